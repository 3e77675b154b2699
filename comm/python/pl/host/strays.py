"""Processes of a stage that lost their supervisor.

Every process of a stage carries the state's path in its variables (``StageState.tag``).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from pl.host.state import StageState

_STOP_SIGNALS = {"postgres": signal.SIGINT}  # on SIGTERM it waits for its clients
_PATIENCE_S = 5.0
_ROUNDS = 5  # what is found in one round may have started others meanwhile


def end_strays(state: StageState, *, supervisor_pid: int = 0) -> tuple[str, ...]:
    """End processes of the stage that are not below its supervisor, or below this process. Returns their names.

    All of them, when no supervisor is up. They are asked first: a database that is asked ends cleanly. Those that stay
    for five seconds are killed. What cannot be ended at all is still found by ``find_strays``.
    """
    names: list[str] = []
    for _ in range(_ROUNDS):
        found = find_strays(state, supervisor_pid=supervisor_pid)
        if not found:
            break
        names += _end(found)
    return tuple(dict.fromkeys(names))


def find_strays(state: StageState, *, supervisor_pid: int = 0) -> list[psutil.Process]:
    """Processes of the stage that are neither below its supervisor nor below this process."""
    kept = {supervisor_pid, os.getpid()} - {0}
    return [process for process in processes_of(state) if not _is_below(process, kept)]


def processes_of(state: StageState) -> list[psutil.Process]:
    """All processes of the stage that run."""
    found = []
    for pid in _tagged(state.tag):
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def _end(processes: Iterable[psutil.Process]) -> list[str]:
    names = []
    asked = []
    for process in processes:
        try:
            name = process.name()
            process.send_signal(_STOP_SIGNALS.get(name, signal.SIGTERM))
        except psutil.Error:
            continue
        names.append(name)
        asked.append(process)
    _, stubborn = psutil.wait_procs(asked, timeout=_PATIENCE_S)
    for process in stubborn:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(stubborn, timeout=_PATIENCE_S)
    return names


def _is_below(process: psutil.Process, pids: set[int]) -> bool:
    try:
        while process.pid not in pids:
            parent = process.parent()
            if parent is None:
                return False
            process = parent
    except psutil.NoSuchProcess:
        return False
    return True


def _tagged(tag: dict[str, str]) -> list[int]:
    """Ids of processes that have this variable. Reading /proc is ten times quicker than asking psutil."""
    ((name, value),) = tag.items()
    found = []
    if sys.platform != "linux":
        for process in psutil.process_iter():
            try:
                if process.environ().get(name) == value:
                    found.append(process.pid)
            except (psutil.Error, OSError):
                continue  # ended meanwhile, or not ours to look into
        return found
    wanted = os.fsencode(f"{name}={value}")
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdecimal():
            try:
                variables = Path("/proc", entry, "environ").read_bytes()
            except OSError:
                continue
            if wanted in variables and wanted in variables.split(b"\0"):
                found.append(int(entry))
    return found
