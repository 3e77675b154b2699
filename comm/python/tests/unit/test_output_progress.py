"""Progress where nobody watches: a line for what ended, and one for each ten seconds of a download."""

from __future__ import annotations

import pytest
from pl.cli import output


@pytest.mark.parametrize(("seconds", "lines"), [(5, 0), (11, 1), (21, 1)])
def test_a_long_download_is_heard_of_in_a_pipe(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, seconds: float, lines: int
) -> None:
    now = [100.0]
    monkeypatch.setattr("pl.cli.output.time.monotonic", lambda: now[0])
    with output.progress() as progress:
        progress.started("kind")
        progress.fetched("kind", 0, 12_000_000)
        now[0] += seconds
        progress.fetched("kind", 1_500_000, 12_000_000)
        progress.done("kind", "1.0", seconds)
    said = capfd.readouterr().err.splitlines()
    assert said[:-1] == ["  kind 1.5 MB of 12.0 MB"] * lines
    assert said[-1].startswith("✓ kind")


def test_a_download_of_unknown_size_tells_what_came(capfd: pytest.CaptureFixture[str]) -> None:
    assert output._amount(1_000_000, 0) == "1.0 MB"
