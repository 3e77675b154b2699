"""What every stage can do, on whatever it runs: the commands work on this, and on nothing more particular."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Literal, Protocol

from pl.env import StageEnv
from pl.proc import Command
from pl.steps import Progress

Action = Literal[
    "start", "restart", "stop", "run", "build", "create", "install", "upgrade", "repair", "clear", "remove"
]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One value in one object. What is secret is masked already."""

    path: str
    """``Deployment/backend-web spec.replicas``."""
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that a deploy would act upon (a program, a task, an image, a release), and why."""

    name: str
    action: Action
    why: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Review:
    """What a deploy would do. ``digest`` stands for all of it, for who applies exactly what was reviewed, if the stage
    has such a thing. ``remarks`` is what a deploy would leave as it is, and somebody should know of; ``obstacles`` is
    why it would be refused.
    """

    changes: tuple[Change, ...]
    digest: str = ""
    remarks: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows for people to read."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a stage consists of now. ``facts`` says the same as the tables, for scripts: JSON's types alone."""

    healthy: bool
    tables: tuple[Table, ...]
    facts: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """A line of a log, and the program or pod that wrote it."""

    source: str
    text: str


class Stage(Protocol):
    """A stage of a project. All methods raise PlError for what a user can mend."""

    @property
    def env(self) -> StageEnv: ...

    def bootstrap(self, progress: Progress, *, new_ports: bool = False) -> bool:
        """State and servers, without the platform. Whether anything had to be done."""

    def deploy(
        self, progress: Progress, names: Sequence[str] = (), *, expected: str = "", clean: bool = False
    ) -> Sequence[Change]:
        """Bring the stage to what the checkout says; with names, those parts and what they need. What was changed.

        With ``expected``, the digest of a review, raises PlanChanged where something else would be done now.
        With ``clean``, what others added by hand goes as well.
        """

    def diff(self, names: Sequence[str] = (), *, clean: bool = False) -> Review:
        """What a deploy would change. Changes nothing."""

    def status(self) -> Status:
        """Raises StageDown when nothing runs."""

    def smoke(self) -> str:
        """Prove that the platform works, and say what was done. Raises SmokeFailed, StageDown."""

    def logs(self, names: Sequence[str] = (), *, lines: int, follow: bool) -> Iterator[LogLine]:
        """The last lines of each named program (of all), then what comes. Raises UsageError for a wrong name."""

    def run_inside(self, argv: Sequence[str], *, input: str = "") -> str:
        """Run a command beside the programs, with their settings, and return what it printed. Raises CommandFailed."""

    def stream_inside(
        self,
        argv: Sequence[str],
        *,
        source: Command | None = None,
        stdout: IO[bytes] | None = None,
        on_line: Callable[[str], bool],
        where: str = "",
    ) -> None:
        """Run a command as ``run_inside`` does, over any number of bytes: it reads what ``source`` writes, and
        writes to ``stdout``. ``on_line`` is told what it says on standard error (``proc.flow``). ``where`` names one of
        the places that the project has for commands. Raises CommandFailed, StageDown.
        """

    def run_scheduled(self, name: str, arguments: Sequence[str] = (), *, on_line: Callable[[str], None]) -> int:
        """Run now what the project has run by a schedule, with more arguments; its lines and its exit status.

        Raises StageUnsupported, StageDown, PodFailed.
        """

    def terminal(self, argv: Sequence[str], *, app: str = "") -> int:
        """A shell (or one command) beside the programs, on this terminal. Returns its exit status."""

    def host_names(self) -> Mapping[str, Sequence[str]]:
        """The stage's names and the addresses that they should have; none where addresses need no names."""

    def must_exist(self) -> None:
        """Raises StageDown when the stage was never deployed, StateInvalid when its state is not to be used."""

    def what_dies(self) -> Sequence[str]:
        """What ``destroy`` would delete, for the question before it. Raises StateInvalid."""

    def what_stays(self) -> Sequence[str]:
        """What ``destroy`` would leave, where that is more than nothing."""

    def destroy(self) -> bool:
        """Stop and remove everything. Whether there was anything."""
