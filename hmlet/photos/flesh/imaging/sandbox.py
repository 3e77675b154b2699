"""Runs a function over one hostile file in a forked child with limits on memory, processor and time.

The child is forked ahead of need and waits, because forking a grown process and faulting its pages back in costs a
third of making a thumbnail. It serves one file and ends. The file is shared memory, which it may read while the caller
still writes it; the answer comes over a pipe, in a form that cannot execute anything. The child never returns into the
caller's program, so it is safe inside a Celery prefork worker.
"""

import contextlib
import gc
import io
import json
import os
import resource
import select
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, NoReturn, cast

from imaging.arriving import Arrival
from imaging.errors import ERRORS, DecoderDied, ImageError, ImageTooHeavy, ImageTruncated

Work = Callable[[BinaryIO, bytes], bytes]
"""From the file and the order that came with it to the answer."""

_LENGTH = struct.Struct("!Q")
_OK, _ERROR = b"+", b"-"
READ_BYTES = 128 * 1024
REST_S = 0.03
_ANSWER_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``memory_bytes`` comes on top of what the process has mapped already (Linux alone)."""

    memory_bytes: int = 1024 * 1024 * 1024
    cpu_s: int = 20
    deadline_s: float = 40.0


DEFAULT_LIMITS = Limits()


class Sandbox:
    """A child that waits to do ``work`` once, on what is written to ``source`` after its ``begin``.

    ``rehearse`` runs in the child while it waits: what it touches is warm when the file comes.
    """

    def __init__(
        self, work: Work, *, limits: Limits = DEFAULT_LIMITS, rehearse: Callable[[], object] | None = None
    ) -> None:
        self.source = Arrival()
        self.owner = os.getpid()
        self._deadline_s = limits.deadline_s
        self._answer, answer_write = os.pipe()
        self._pid: int | None = os.fork()
        if self._pid == 0:
            os.close(self._answer)
            _child(work, rehearse, self.source, answer_write, limits)
        self.source.send_only()
        os.close(answer_write)

    def run(self) -> bytes:
        """What ``work`` returns. Raises the ImageError that it raised, ImageTooHeavy when it hit a limit, DecoderDied
        when the child died of anything else.

        Close the sandbox afterwards, when there is time: freeing what the child had takes a tenth of a thumbnail.
        """
        self.source.end()
        try:
            return _understood(_read_answer(self._answer, deadline=time.monotonic() + self._deadline_s))
        except TimeoutError:
            raise ImageTooHeavy from None
        except EOFError:
            raise self._cause_of_death() from None

    def close(self) -> None:
        """Let go of the child, used or not. May be called again."""
        if self._answer < 0:
            return
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._reap()
        self.source.close()
        os.close(self._answer)
        self._answer = -1

    def _cause_of_death(self) -> ImageError:
        status = self._reap()
        heavy = os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGALRM}
        return ImageTooHeavy() if heavy else DecoderDied()

    def _reap(self) -> int:
        pid, self._pid = cast(int, self._pid), None
        return os.waitpid(pid, 0)[1]


def _child(
    work: Work, rehearse: Callable[[], object] | None, source: Arrival, writing: int, limits: Limits
) -> NoReturn:
    try:
        # A collection would touch every page that is shared with the parent.
        gc.disable()
        _confine(limits)
        # Somebody may be waiting for the answer that the last child's work is part of: they come first.
        if rehearse is not None and not source.begins_within(REST_S):
            rehearse()
        received = source.receive()
        if received is None:
            os._exit(0)
        arriving, order = received
        answer = _answer_of(work, io.BufferedReader(arriving, READ_BYTES), order)
        view = memoryview(_LENGTH.pack(len(answer)) + answer)
        while view:
            view = view[os.write(writing, view) :]
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing may get out of the child
        os._exit(1)


def _answer_of(work: Work, source: BinaryIO, order: bytes) -> bytes:
    told: ImageError
    try:
        return _OK + work(source, order)
    except ImageError as error:
        told = error
    except EOFError:
        told = ImageTruncated()
    except MemoryError:
        told = ImageTooHeavy()
    return _ERROR + json.dumps({"code": told.code, "message": told.message}).encode()


def _confine(limits: Limits) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGUSR1, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
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


def _read_answer(reading: int, *, deadline: float) -> bytes:
    """Raises EOFError when the other end closes before it is complete, TimeoutError when late or too long."""
    answer = bytearray()
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([reading], [], [], left)
        if not ready:
            break
        part = os.read(reading, 1 << 20)
        if not part:
            raise EOFError
        answer += part
        if len(answer) < _LENGTH.size:
            continue
        (length,) = _LENGTH.unpack_from(answer)
        if length > _ANSWER_MAX:
            break
        if len(answer) >= _LENGTH.size + length:
            return bytes(answer[_LENGTH.size :])
    raise TimeoutError


def _understood(answer: bytes) -> bytes:
    if answer.startswith(_OK):
        return answer[1:]
    if answer.startswith(_ERROR):
        told = json.loads(answer[1:])
        raise ERRORS.get(told["code"], ImageError)(told["message"])
    raise DecoderDied
