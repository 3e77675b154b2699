"""What a project says about itself to be run on the host stage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pl.env import Secret


class NotReadyError(Exception):
    """What a readiness check, or a task, raises while a program does not serve. Users never see it."""


@dataclass(frozen=True, kw_only=True)
class SecretText:
    """The text of a variable that holds secrets, put together at the last moment: ``template`` has {0}, {1}, ..."""

    template: str
    secrets: tuple[Secret, ...]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process that is kept running.

    ``before_start`` prepares what it needs on disk; ``check_ready`` raises NotReadyError until it serves; ``mend`` is
    given what a failed start logged and returns whether it did something that makes another start worth it. ``code`` is
    a digest of the code it runs: the program restarts when that, its command or its variables change, and for nothing
    else. ``data`` is the folder of a server's data: tasks that rest on it are done again when it is new.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, SecretText] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    code: str = ""
    port: int | None = None
    refuses_root: bool = False
    data: Path | None = None
    before_start: Callable[[], None] | None = None
    mend: Callable[[str], bool] | None = None
    check_ready: Callable[[], None] | None = None
    ready_within_s: float = 60.0
    stop_signal: str = "TERM"
    stop_within_s: int = 20


@dataclass(frozen=True, kw_only=True)
class Task:
    """Something done once for each value of ``fingerprint``: a migration, making buckets, a user."""

    name: str
    run: Callable[[], None]
    fingerprint: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Platform:
    """All of a project on the host stage."""

    programs: tuple[Program, ...]
    tasks: tuple[Task, ...]
    shell_env: Mapping[str, str]
    """Variables for commands that are run beside the programs (``terminal``, management commands)."""
    shell_cwd: Path
    scheduled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By name, commands that elsewhere are run by a schedule, and here by beat or by hand."""


def needs_among(platform: Platform, name: str, names: Collection[str]) -> tuple[str, ...]:
    """Which of ``names`` a part needs, directly or through parts that are not among them."""
    parts: tuple[Program | Task, ...] = (*platform.programs, *platform.tasks)
    needs = {part.name: part.needs for part in parts}
    found: dict[str, None] = {}
    left = list(needs[name])
    while left:
        need = left.pop()
        if need in names:
            found[need] = None
        else:
            left.extend(needs[need])
    return tuple(found)


def tasks_resting_on(platform: Platform, program: str) -> tuple[str, ...]:
    """The tasks that need a program, directly or through other tasks and programs."""
    resting = {program}
    parts: tuple[Program | Task, ...] = (*platform.programs, *platform.tasks)
    for _ in parts:
        resting |= {part.name for part in parts if resting.intersection(part.needs)}
    return tuple(task.name for task in platform.tasks if task.name in resting)
