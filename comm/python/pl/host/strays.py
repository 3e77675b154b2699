"""Processes of a stage that lost their supervisor, and who holds a port.

Every process of a stage carries the state's path in its variables (``supervisor.STAGE_TAG``).
"""

from __future__ import annotations

import signal

import psutil

from pl.host.supervisor import STAGE_TAG

_STOP_SIGNALS = {"postgres": signal.SIGINT}  # on SIGTERM it waits for its clients


def end_strays(state_path: str, *, supervisor_pid: int = 0) -> tuple[str, ...]:
    """End processes of the stage that are not below its supervisor (all, when none is up). Returns their names.

    They are asked first: a database that is asked ends cleanly. Those that stay for five seconds are killed.
    """
    below = _below(supervisor_pid)
    strays = [process for process in _of_stage(state_path) if process.pid not in below]
    names = []
    for process in strays:
        try:
            name = process.name()
            process.send_signal(_STOP_SIGNALS.get(name, signal.SIGTERM))
            names.append(name)
        except psutil.NoSuchProcess:
            continue
    _, stubborn = psutil.wait_procs(strays, timeout=5)
    for process in stubborn:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(stubborn, timeout=5)
    return tuple(names)


def holder_of(port: int) -> str:
    """Who listens on a port, as far as this user may know: "process 4711 (nginx)"."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "a process of another user"
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid:
            try:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.NoSuchProcess:
                break
    return "a process of another user"


def _below(pid: int) -> set[int]:
    if not pid:
        return set()
    try:
        supervisor = psutil.Process(pid)
        return {pid, *(child.pid for child in supervisor.children(recursive=True))}
    except psutil.NoSuchProcess:
        return set()


def _of_stage(state_path: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(STAGE_TAG) == state_path and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or not ours to look into
    return found
