"""What a deploy would change, for every state that a program can be in."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pl.errors import UsageError
from pl.host.plan import plan
from pl.host.platform import Platform, Program, Task, needs_among, tasks_resting_on
from pl.host.stage import _with_needs
from pl.host.state import StageState
from pl.host.supervisor import ProcessInfo, spec_digest


def program(name: str, **given: Any) -> Program:
    return Program(name=name, argv=(name,), cwd=Path("/"), **given)


PLATFORM = Platform(
    programs=(
        program("database"),
        program("queue"),
        program("web", needs=("migrations", "queue")),
    ),
    tasks=(
        Task(name="migrations", run=lambda: None, fingerprint="1", needs=("database",)),
        Task(name="admin", run=lambda: None, fingerprint="1", needs=("migrations",)),
    ),
    shell_env={},
    shell_cwd=Path("/"),
)
DONE = {"migrations": "1", "admin": "1"}


class Known:
    """A supervisor whose programs are what a test says."""

    def __init__(self, states: Mapping[str, str] | None, started_with: Callable[[str], str]) -> None:
        self._states = states
        self.started_with = started_with

    def is_up(self) -> bool:
        return self._states is not None

    def processes(self) -> dict[str, ProcessInfo]:
        states = self._states or {}
        return {name: ProcessInfo(name=name, state=state, pid=1, started=1.0) for name, state in states.items()}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Short, unlike pytest's own: a socket below it may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="pls-") as folder:
        yield Path(folder)


@pytest.fixture
def changes(tmp_path: Path) -> Callable[..., dict[str, str]]:
    state = StageState(tmp_path / "s")
    state.create()

    def found(
        states: Mapping[str, str] | None, platform: Platform = PLATFORM, done: dict[str, str] = DONE, **started: str
    ) -> dict[str, str]:
        state.remember_tasks(done)
        programs = {program.name: program for program in platform.programs}
        known: Any = Known(states, lambda name: started.get(name, spec_digest(programs[name], state)))
        return {change.name: change.action for change in plan(platform, state, known)}

    return found


ALL_RUN = dict.fromkeys(("database", "queue", "web"), "RUNNING")


def test_nothing_changes_where_all_runs_as_it_should(changes: Callable[..., dict[str, str]]) -> None:
    assert changes(ALL_RUN) == {}
    assert changes({**ALL_RUN, "web": "STARTING"}) == {}


def test_all_is_started_and_run_the_first_time(changes: Callable[..., dict[str, str]]) -> None:
    assert changes(None, done={}) == {**dict.fromkeys(ALL_RUN, "start"), **dict.fromkeys(DONE, "run")}


@pytest.mark.parametrize("state", ["FATAL", "BACKOFF", "EXITED", "STOPPED", "STOPPING", "UNKNOWN"])
def test_a_program_that_does_not_run_is_started(changes: Callable[..., dict[str, str]], state: str) -> None:
    assert changes({**ALL_RUN, "queue": state}) == {"queue": "start"}


def test_a_program_that_was_started_with_something_else_is_restarted(changes: Callable[..., dict[str, str]]) -> None:
    assert changes(ALL_RUN, web="of another code") == {"web": "restart"}
    assert changes(ALL_RUN, web="") == {"web": "restart"}, "nobody knows with what"


def test_a_program_that_is_no_longer_part_of_it_is_stopped(changes: Callable[..., dict[str, str]]) -> None:
    assert changes({**ALL_RUN, "old": "RUNNING"}) == {"old": "stop"}


def test_a_task_is_run_again_when_its_fingerprint_changed(changes: Callable[..., dict[str, str]]) -> None:
    assert changes(ALL_RUN, done={"migrations": "0", "admin": "1"}) == {"migrations": "run"}


def test_what_rests_on_data_that_is_gone_is_done_again(changes: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    emptied = Platform(
        programs=(program("database", data=tmp_path / "gone"), *PLATFORM.programs[1:]),
        tasks=PLATFORM.tasks,
        shell_env={},
        shell_cwd=Path("/"),
    )
    assert changes(ALL_RUN, platform=emptied) == {"migrations": "run", "admin": "run"}


def test_a_digest_follows_from_command_variables_and_code_and_holds_no_secret(tmp_path: Path) -> None:
    state = StageState(tmp_path)
    same = spec_digest(program("web", code="1", env={"A": "1"}), state)
    assert same == spec_digest(program("web", code="1", env={"A": "1"}), state)
    assert same != spec_digest(program("web", code="2", env={"A": "1"}), state)
    assert same != spec_digest(program("web", code="1", env={"A": "2"}), state)


def test_needs_reach_through_what_is_left_alone() -> None:
    assert needs_among(PLATFORM, "web", {"database", "web"}) == ("database",)
    assert set(needs_among(PLATFORM, "web", {"migrations", "database", "queue"})) == {"migrations", "queue"}
    assert needs_among(PLATFORM, "database", {"web"}) == ()


def test_tasks_rest_on_a_program_through_other_tasks() -> None:
    assert tasks_resting_on(PLATFORM, "database") == ("migrations", "admin")
    assert tasks_resting_on(PLATFORM, "queue") == ()


def test_names_bring_what_they_need_and_unknown_ones_are_refused() -> None:
    assert _with_needs(PLATFORM, ["web"]) == {"web", "migrations", "database", "queue"}
    assert _with_needs(PLATFORM, []) == {"web", "migrations", "database", "queue", "admin"}
    with pytest.raises(UsageError, match="there is no nonsense") as caught:
        _with_needs(PLATFORM, ["web", "nonsense"])
    assert "database, queue, web, migrations, admin" in caught.value.why
