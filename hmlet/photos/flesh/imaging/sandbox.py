"""Runs a function over hostile bytes in a forked child with limits on memory, processor and time.

The child answers over a pipe in a format that cannot execute anything (one byte, then bytes or JSON). It never returns
into the caller's program, so it is safe inside a Celery prefork worker: no task is acknowledged twice, no handler at
exit runs, no connection is closed.
"""

import contextlib
import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from imaging.errors import ERRORS, DecoderDied, ImageError, ImageTooHeavy

_OK, _ERROR = b"+", b"-"
_ANSWER_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``memory_bytes`` comes on top of what the process has mapped already (Linux alone)."""

    memory_bytes: int = 1024 * 1024 * 1024
    cpu_s: int = 20
    deadline_s: float = 40.0


def sandbox_run(function: Callable[[], bytes], *, limits: Limits = Limits()) -> bytes:  # noqa: B008 - frozen
    """What ``function`` returns, computed in a child. Raises the ImageError that it raised, ImageTooHeavy when it
    hit a limit, DecoderDied when it died of anything else.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(function, writing, limits)
    os.close(writing)
    reaped = False
    try:
        answer = _read_all(reading, deadline=time.monotonic() + limits.deadline_s)
        _, status = os.waitpid(pid, 0)
        reaped = True
    except TimeoutError:
        raise ImageTooHeavy from None
    finally:
        os.close(reading)
        if not reaped:
            _kill(pid)
    return _understood(answer, status)


def _child(function: Callable[[], bytes], writing: int, limits: Limits) -> NoReturn:
    try:
        _confine(limits)
        try:
            answer = _OK + function()
        except ImageError as error:
            answer = _ERROR + json.dumps({"code": error.code, "message": error.message}).encode()
        except MemoryError:
            answer = _ERROR + json.dumps({"code": ImageTooHeavy.code, "message": ImageTooHeavy.message}).encode()
        view = memoryview(answer)
        while view:
            view = view[os.write(writing, view) :]
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing may get out of the child
        os._exit(1)


def _confine(limits: Limits) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGUSR1, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    # The alarm ends a child whose parent was killed.
    signal.setitimer(signal.ITIMER_REAL, limits.deadline_s + 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    mapped = _mapped_bytes()
    if mapped is not None:
        ceiling = mapped + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))


def _mapped_bytes() -> int | None:
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - after a fork, as little as can be
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None


def _read_all(reading: int, *, deadline: float) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        ready, _, _ = select.select([reading], [], [], left)
        if not ready:
            continue
        part = os.read(reading, 1 << 20)
        if not part:
            return b"".join(parts)
        total += len(part)
        if total > _ANSWER_MAX:
            raise TimeoutError
        parts.append(part)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _understood(answer: bytes, status: int) -> bytes:
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGALRM}:
            raise ImageTooHeavy
        raise DecoderDied
    if answer.startswith(_OK):
        return answer[1:]
    if answer.startswith(_ERROR):
        told = json.loads(answer[1:])
        raise ERRORS.get(told["code"], ImageError)(told["message"])
    raise DecoderDied
