"""Stages for one run of the tests: an instance of its own with its state in a temporary directory, gone afterwards.

::

    with ThrowAway(checkout, say=print) as place:
        place.deployed("hmlet/host")
        proc.attach([*place.shell("hmlet/host"), "pytest", ...], env=place.environ())

A run that is killed leaves its directory behind, with its lock free: the next run, or ``pl.doctor``, finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pl import proc
from pl.errors import CommandFailed, PlError

PREFIX = "pl-test-"
_DESTROY_TIMEOUT_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """The directory of a run that did not come to its end."""

    folder: Path
    checkout: Path
    stages: tuple[str, ...]


class ThrowAway:
    """A place for stages that only this run knows. ``say`` is told of what takes long or goes wrong."""

    def __init__(self, checkout: Path, *, say: Callable[[str], None]) -> None:
        self._checkout = checkout
        self._say = say
        self._folder = Path()
        self._lock = -1

    def __enter__(self) -> ThrowAway:
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _take(self._folder)
        (self._folder / "checkout").write_text(str(self._checkout), encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            stages = _stages_of(self._folder)
            if stages:
                self._say(f"destroying the throw-away stage ({', '.join(stages)})")
            _remove(Leftover(folder=self._folder, checkout=self._checkout, stages=stages))
        finally:
            os.close(self._lock)

    def environ(self) -> dict[str, str]:
        """The caller's environment, with the instance and the state of this run."""
        return _environ(self._folder)

    def shell(self, stage: str) -> tuple[str, ...]:
        """The words before a command that is to run in the shell of PROJECT/STAGE, or of the root for an empty one."""
        return _shell(self._checkout, stage)

    def deployed(self, stage: str) -> None:
        """Deploy PROJECT/STAGE unless that was done. Raises CommandFailed."""
        if stage in _stages_of(self._folder):
            return
        self._say(f"deploying a throw-away stage ({stage})")
        # Recorded first: a deploy that is cut short has started servers, too.
        with (self._folder / "stages").open("a", encoding="utf-8") as record:
            record.write(f"{stage}\n")
        argv = (*self.shell(stage), _cluster(self._checkout, stage), "deploy")
        status = proc.attach(argv, env=self.environ())
        if status != 0:
            raise CommandFailed([f"{stage}: deploy"], status, "", hint="its output is above")


def leftovers() -> tuple[Leftover, ...]:
    """What killed runs of this user left in the temporary directory."""
    return tuple(_leftovers())


def sweep(say: Callable[[str], None]) -> None:
    """Destroy what killed runs left behind. What cannot be destroyed is told and stays."""
    for leftover in leftovers():
        say(f"destroying what a killed run left in {leftover.folder}")
        try:
            lock = _take(leftover.folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # another run was faster
        try:
            _remove(leftover)
        except (PlError, OSError) as error:
            say(str(error))
        finally:
            os.close(lock)


def _remove(leftover: Leftover) -> None:
    """Destroy the stages, then the directory. The directory of a stage that could not be destroyed stays."""
    with _no_interrupts():
        for stage in leftover.stages:
            if not (leftover.checkout / stage.partition("/")[0] / "shell.py").exists():
                continue
            argv = (*_shell(leftover.checkout, stage), _cluster(leftover.checkout, stage), "destroy", "--yes")
            proc.run(argv, env=_environ(leftover.folder), timeout_s=_DESTROY_TIMEOUT_S)
        shutil.rmtree(leftover.folder)


def _environ(folder: Path) -> dict[str, str]:
    # The directory's random part makes the instance: names of processes and ports follow from it.
    instance = f"test-{folder.name.removeprefix(PREFIX).lower().replace('_', 'x')}"
    return {**os.environ, "PL_INSTANCE": instance, "XDG_STATE_HOME": str(folder / "state")}


def _shell(checkout: Path, stage: str) -> tuple[str, ...]:
    project, _, name = stage.partition("/")
    return (str(checkout / project / "shell.py"), *((name,) if name else ()), "--")


def _cluster(checkout: Path, stage: str) -> str:
    return str(checkout / stage.partition("/")[0] / "cluster.py")


def _stages_of(folder: Path) -> tuple[str, ...]:
    try:
        return tuple((folder / "stages").read_text(encoding="utf-8").split())
    except FileNotFoundError:
        return ()


def _leftovers() -> Iterator[Leftover]:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Others may write to the temporary directory: only what is this user's alone is believed.
        with contextlib.suppress(OSError):
            seen = folder.lstat()
            if seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
                continue
            try:
                os.close(_take(folder))
            except BlockingIOError:
                continue
            checkout = Path((folder / "checkout").read_text(encoding="utf-8"))
            yield Leftover(folder=folder, checkout=checkout, stages=_stages_of(folder))


def _take(folder: Path) -> int:
    """Hold the directory's lock for as long as the descriptor is open. Raises BlockingIOError."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Clean up to the end: neither this process nor what it starts meanwhile answers Ctrl-C."""
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
