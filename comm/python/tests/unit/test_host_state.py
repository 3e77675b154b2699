"""The state's directory: what is refused, what is written, who holds it."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pl.errors import StateInvalid
from pl.files import write_whole
from pl.host.state import StageState
from pl.ports import is_free
from pl.stage_state import VERSION


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Short, unlike pytest's own: a socket below it may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="pls-") as folder:
        yield Path(folder)


@pytest.fixture
def state(tmp_path: Path) -> StageState:
    return StageState(tmp_path / "plasma/me/sample-host")


def quiet(_text: str) -> None:
    """Nobody listens."""


def test_a_state_is_made_private_and_making_it_again_writes_nothing(state: StageState) -> None:
    state.folder.mkdir(parents=True, mode=0o755)
    state.create()
    assert state.exists()
    assert state.folder.stat().st_mode & 0o777 == 0o700
    made = {path: path.stat().st_mtime_ns for path in state.folder.rglob("*")}
    state.create()
    assert {path: path.stat().st_mtime_ns for path in state.folder.rglob("*")} == made


@pytest.mark.parametrize("version", ["0", str(int(VERSION) + 1), "", "nonsense", "\udcff"])
def test_another_version_is_refused_and_nothing_in_it_touched(state: StageState, version: str) -> None:
    state.folder.mkdir(parents=True)
    (state.folder / "version").write_text(version, errors="surrogateescape")
    for act in (state.check, state.create):
        with pytest.raises(StateInvalid, match="is of version") as caught:
            act()
        assert str(state.folder) in caught.value.hint
    assert [path.name for path in state.folder.iterdir()] == ["version"]


def test_what_somebody_else_put_there_is_refused(state: StageState) -> None:
    state.folder.mkdir(parents=True)
    (state.folder / "thesis.txt").touch()
    with pytest.raises(StateInvalid, match="holds no version"):
        state.check()
    with pytest.raises(StateInvalid, match=r"thesis\.txt"):
        state.check_removable()


def test_making_a_state_that_is_cut_short_goes_on_the_next_time(
    state: StageState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    state.folder.mkdir(parents=True)
    made = Path.mkdir
    for step in range(1, 4):
        left = step

        def some(path: Path, *args: object, **options: object) -> None:
            nonlocal left
            left -= 1
            return made(path, *args, **options) if left else killed()  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(Path, "mkdir", some)
            with pytest.raises(KeyboardInterrupt):
                state.create()
        state.check()
    state.create()
    assert state.log.is_dir()


def removable(state: StageState) -> bool:
    try:
        state.check_removable()
    except StateInvalid:
        return False
    return True


@pytest.mark.parametrize(("version", "goes"), [("1", True), ("0", True), ("nonsense", True), ("", True), ("2", False)])
def test_what_may_be_destroyed(state: StageState, version: str, goes: bool) -> None:
    state.create()
    (state.folder / ".tasks.json.4711").touch()
    (state.folder / "version").write_text(version)
    assert removable(state) is goes


def test_a_state_without_version_may_be_destroyed_when_it_holds_nothing_foreign(state: StageState) -> None:
    state.create()
    (state.folder / "version").unlink()
    assert removable(state)
    (state.folder / "photo.jpg").touch()
    assert not removable(state)


def test_removing_takes_what_the_stage_owns_elsewhere_and_leaves_other_stages(
    state: StageState, tmp_path: Path
) -> None:
    neighbour = state.folder.with_name("other-host")
    neighbour.mkdir(parents=True)
    state.create()
    outside = tmp_path / "outside"
    outside.mkdir()
    state.own_outside(outside)
    state.own_outside(outside)
    (state.data / "link").symlink_to(neighbour)
    with state.locked(quiet):
        state.remove()
    assert not outside.exists()
    assert not state.folder.exists()
    assert neighbour.exists()


def test_removing_the_last_stage_removes_the_instance(state: StageState) -> None:
    state.create()
    with state.locked(quiet):
        state.remove()
    assert not state.folder.parent.exists()


def test_too_long_a_path_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    state = StageState(tmp_path / ("x" * 100))
    with pytest.raises(StateInvalid, match="too long a path") as caught:
        state.create()
    assert "XDG_STATE_HOME" in caught.value.hint
    assert not state.folder.exists()


UNUSABLE: dict[str, Callable[[Path], object]] = {
    "a file in its place": lambda folder: (folder.parent.mkdir(parents=True), folder.touch()),
    "a file above it": lambda folder: folder.parents[1].touch(),
    "a link to nowhere": lambda folder: (folder.parent.mkdir(parents=True), folder.symlink_to("nowhere")),
}


@pytest.mark.parametrize("obstacle", UNUSABLE)
def test_a_place_that_cannot_be_used_is_said_so(state: StageState, obstacle: str) -> None:
    UNUSABLE[obstacle](state.folder)
    with pytest.raises(StateInvalid), state.locked(quiet):
        state.create()


def test_a_place_of_somebody_else_is_said_so() -> None:
    state = StageState(Path("/proc/sample"))
    with pytest.raises(StateInvalid, match="cannot be used"), state.locked(quiet):
        state.create()


def test_what_is_written_meanwhile_is_the_users_alone(state: StageState) -> None:
    before = os.umask(0o022)
    try:
        with state.locked(quiet):
            state.create()
            (state.run / "file").touch()
            assert (state.run / "file").stat().st_mode & 0o777 == 0o600
        now = os.umask(0o022)
    finally:
        os.umask(before)
    assert now == 0o022


def test_who_waits_is_told_who_holds_and_goes_on_after_them(state: StageState) -> None:
    said: list[str] = []
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        with state.locked(lambda text: (said.append(text), waits.set())[0]):
            order.append("second")

    thread = threading.Thread(target=second)
    with state.locked(quiet):
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert said[0].startswith(f"waiting for process {os.getpid()} ")


def test_who_waited_for_a_removal_holds_a_new_state(state: StageState) -> None:
    waits = threading.Event()
    existed: list[bool] = []

    def second() -> None:
        with state.locked(lambda _text: waits.set()):
            existed.append(state.exists())
            state.create()

    thread = threading.Thread(target=second)
    with state.locked(quiet):
        state.create()
        thread.start()
        assert waits.wait(10)
        state.remove()
    thread.join(10)
    assert existed == [False]
    assert state.exists()
    assert (state.folder / "lock").exists()


@pytest.mark.parametrize("text", ["", "[", "[1]", "null", "3"])
def test_a_damaged_record_of_tasks_means_that_none_was_done(state: StageState, text: str) -> None:
    state.create()
    (state.folder / "tasks.json").write_text(text)
    assert state.done_tasks() == {}
    state.remember_tasks({"migrations": "abc"})
    assert state.done_tasks() == {"migrations": "abc"}


def test_a_file_that_could_not_be_written_is_as_before(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, "before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "\udcff")
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_port_is_free_until_somebody_listens() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)
