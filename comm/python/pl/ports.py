"""Ports of this machine: chosen free and remembered, and who holds one that is not."""

from __future__ import annotations

import json
import socket
from collections.abc import Collection

from pl.env import StageEnv, ports_file
from pl.files import write_whole


def choose_ports(env: StageEnv, *, again: bool, keep: Collection[str] = ()) -> dict[str, int]:
    """The stage's ports, chosen free and remembered. Those remembered stay, unless ``again``; those to ``keep`` always.

    ``keep`` are names of fields.
    """
    file = ports_file(env.state)
    names = env.chosen_ports()
    if file.exists() and not again:
        return {name: getattr(env, name) for name in names}
    chosen = {name: getattr(env, name) for name in names if name in keep}
    for name in names:
        if name in chosen:
            continue
        candidate = getattr(env, name)
        while candidate in chosen.values() or not is_free(candidate):
            candidate += len(names)
        chosen[name] = candidate
    write_whole(file, json.dumps(chosen, indent=1))
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def holder_of(port: int) -> str:
    """Who listens on a port, as far as this user may know: "process 4711 (nginx)"."""
    import psutil

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
