"""What a deploy would change on the host stage, found without changing anything.

A program that supervisor is just starting counts as running: whether it gets there is seen by asking it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pl.host.platform import Platform, tasks_resting_on
from pl.host.state import StageState
from pl.host.supervisor import ProcessInfo, Supervisor, spec_digest
from pl.stage import Change


def plan(platform: Platform, state: StageState, supervisor: Supervisor) -> tuple[Change, ...]:
    """All changes, in the platform's order. Empty means that a deploy has nothing to do."""
    processes = supervisor.processes() if supervisor.is_up() else {}
    changes = [*_program_changes(platform, state, supervisor, processes)]
    done = state.done_tasks()
    for program in platform.programs:
        if program.data and not program.data.exists():
            done = {name: value for name, value in done.items() if name not in tasks_resting_on(platform, program.name)}
    for task in platform.tasks:
        if task.name not in done:
            changes.append(Change(name=task.name, action="run", why="not done yet"))
        elif done[task.name] != task.fingerprint:
            changes.append(Change(name=task.name, action="run", why="what it depends on changed"))
    return tuple(changes)


def _program_changes(
    platform: Platform, state: StageState, supervisor: Supervisor, processes: Mapping[str, ProcessInfo]
) -> list[Change]:
    changes: list[Change] = []
    for program in platform.programs:
        process = processes.get(program.name)
        if process is None or not process.runs:
            why = f"is {process.state.lower()}" if process else "does not run"
            changes.append(Change(name=program.name, action="start", why=why))
        elif supervisor.started_with(program.name) != spec_digest(program, state):
            changes.append(Change(name=program.name, action="restart", why="its code or settings changed"))
    known = {program.name for program in platform.programs}
    changes += [
        Change(name=name, action="stop", why="is no longer part of it") for name in processes if name not in known
    ]
    return changes
