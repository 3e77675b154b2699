"""The end-to-end tests reach a stage under its own names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pl.resolving import resolving
from pl.stage import Stage


@pytest.fixture(scope="session", autouse=True)
def names_resolve(stage: Stage) -> Iterator[None]:
    """Whether this machine knows them or not."""
    with resolving({name: addresses[0] for name, addresses in stage.host_names().items()}):
        yield


ROWS = pytest.StashKey[list[tuple[str, int, str]]]()


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[[str, int, str], None]:
    """Puts a row (case, status, code) into the table that is printed at the end."""
    rows = request.config.stash.setdefault(ROWS, [])
    return lambda case, status, code: rows.append((case, status, code))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of bad input."""
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("bad input")
        width = max(len(case) for case, _, _ in rows)
        for case, status, code in rows:
            terminalreporter.write_line(f"{case:{width}}  {status}  {code}")
