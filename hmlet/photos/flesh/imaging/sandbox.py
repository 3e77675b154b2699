"""Runs a function over one hostile file in a forked child with limits on memory, processor and time.

The child is forked ahead of need and waits, by a server of its own: forking a grown process and faulting its pages back
in costs a third of making a thumbnail. It serves one file and ends. The file is shared memory, which it may read while
the caller still writes it; the answer comes over a pipe, in a form that cannot execute anything. Neither server nor
child ever returns into the caller's program, so it is safe inside a Celery prefork worker.
"""

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from imaging.arriving import Arrival, ArrivingReader, receive
from imaging.errors import ERRORS, DecoderDied, DecoderLate, ImageError, ImageTooHeavy, ImageTruncated

Work = Callable[[BinaryIO, bytes], bytes]
"""From the file and the order that came with it to the answer."""

_LENGTH = struct.Struct("!Q")
_STATUS = struct.Struct("!i")
_OK, _ERROR = b"+", b"-"
_DESCRIPTORS_MAX = 1 << 16
_ANSWER_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``memory_bytes`` comes on top of what the process has mapped already (Linux alone)."""

    memory_bytes: int = 1024 * 1024 * 1024
    cpu_s: int = 20
    deadline_s: float = 40.0


DEFAULT_LIMITS = Limits()


class Sandbox:
    """A child of a ForkServer that does its work once, on what is written to ``source`` after its ``begin``."""

    def __init__(self, source: Arrival, *, pid: int, answer: int, status: int, deadline_s: float) -> None:
        self.source = source
        self._pid: int | None = pid
        self._answer, self._status = answer, status
        self._deadline_s = deadline_s

    def run(self) -> bytes:
        """What the work returns. Raises the ImageError that it raised, ImageTooHeavy when it hit a limit, DecoderDied
        when the child died of anything else, DecoderLate when it did not come to its end.

        Close the sandbox afterwards, when there is time.
        """
        self.source.end()
        try:
            return _understood(_read_answer(self._answer, deadline=time.monotonic() + self._deadline_s))
        except TimeoutError:
            raise DecoderLate from None
        except OverflowError:
            raise ImageTooHeavy from None
        except EOFError:
            raise self._cause_of_death() from None

    def close(self) -> None:
        """Let go of the child, used or not; it is gone when this returns. May be called again."""
        if self._answer < 0:
            return
        if self._pid is not None:
            # Once its end is told, its number may be another's.
            if not select.select([self._status], [], [], 0)[0]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
            self._await_end()
        self.source.close()
        os.close(self._answer)
        os.close(self._status)
        self._answer = -1

    def _cause_of_death(self) -> ImageError:
        status = self._await_end()
        heavy = os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGALRM}
        return ImageTooHeavy() if heavy else DecoderDied()

    def _await_end(self) -> int:
        """The child's wait status; 0 where the server went first."""
        self._pid = None
        told = os.read(self._status, _STATUS.size)
        return int(_STATUS.unpack(told)[0]) if told else 0


class ForkServer:
    """A process from which sandboxes are forked, so that the caller never forks.

    A fork costs a large process twice: while it happens, and afterwards, when each page that it writes to is copied.
    The server is forked once, when the caller is young, and goes with it. ``rehearse`` runs in each child while it
    waits: what it touches is warm when the file comes.
    """

    def __init__(
        self, work: Work, *, limits: Limits = DEFAULT_LIMITS, rehearse: Callable[[], object] | None = None
    ) -> None:
        self.owner = os.getpid()
        self._deadline_s = limits.deadline_s
        self._socket, served = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            _serve(served, work, rehearse, limits)
        served.close()

    def sandbox(self) -> Sandbox:
        """A child that waits for its file. Raises OSError when the server is gone."""
        source = Arrival()
        answer, answer_write = os.pipe()
        status, status_write = os.pipe()
        told = b""
        try:
            socket.send_fds(self._socket, [b"f"], [*source.for_receiver(), answer_write, status_write])
            told = self._socket.recv(_STATUS.size)
        finally:
            os.close(answer_write)
            os.close(status_write)
            source.send_only()
            if not told:
                source.close()
                os.close(answer)
                os.close(status)
        if not told:
            raise ConnectionResetError("the server that sandboxes are forked from is gone")
        (pid,) = _STATUS.unpack(told)
        return Sandbox(source, pid=pid, answer=answer, status=status, deadline_s=self._deadline_s)

    def close(self) -> None:
        """End the server, and the children that it has. May be called again."""
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


class KeptServer:
    """A ForkServer that is started where and when it is first needed, and anew when it is gone."""

    def __init__(self, start: Callable[[], ForkServer]) -> None:
        self._start = start
        self._server: ForkServer | None = None

    def is_ours(self) -> bool:
        """Whether this process has started it; one that is forked later has its parent's."""
        return self._server is not None and self._server.owner == os.getpid()

    def sandbox(self) -> Sandbox:
        """A child that waits for its file."""
        if self._server is None or not self.is_ours():
            self._server = self._start()
        try:
            return self._server.sandbox()
        except OSError:
            self._server.close()
            self._server = self._start()
            return self._server.sandbox()

    def close(self) -> None:
        """End it, if there is one. May be called again, and it may be asked for a child again."""
        if self._server is not None and self.is_ours():
            self._server.close()
        self._server = None


def _serve(asked: socket.socket, work: Work, rehearse: Callable[[], object] | None, limits: Limits) -> NoReturn:
    """Fork a child for each request, tell its end, and end with whoever asks."""
    children: dict[int, int] = {}
    try:
        gc.disable()
        # It is ended by the caller's end alone, which may be busy long after a signal to all.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        # The caller's connections would stay open as long as this has them.
        os.closerange(3, asked.fileno())
        os.closerange(asked.fileno() + 1, _DESCRIPTORS_MAX)
        # Some codecs write a line for each row that they cannot read: a hostile file must not fill the caller's log.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([asked.fileno(), woken], [], [])
            if woken in ready:
                os.read(woken, 512)
                _tell_ends(children)
            if asked.fileno() in ready:
                request, descriptors, _, _ = socket.recv_fds(asked, 1, 4)
                if not request:
                    break
                file, hear, answer, status = descriptors
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for descriptor in (asked.fileno(), woken, wake, status, *children.values()):
                        os.close(descriptor)
                    _child(work, rehearse, (file, hear), answer, limits)
                for descriptor in (file, hear, answer):
                    os.close(descriptor)
                children[pid] = status
                asked.sendall(_STATUS.pack(pid))
    except BaseException:  # noqa: BLE001 - nothing may get out of the server; the caller starts another
        os._exit(1)
    finally:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _tell_ends(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        telling = children.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(telling, _STATUS.pack(status))
        os.close(telling)


def _child(
    work: Work, rehearse: Callable[[], object] | None, arriving: tuple[int, int], writing: int, limits: Limits
) -> NoReturn:
    try:
        # A collection would touch every page that is shared with the parent.
        gc.disable()
        _confine(limits)
        if rehearse is not None:
            rehearse()
        received = receive(*arriving)
        if received is None:
            os._exit(0)
        file, order = received
        answer = _answer_of(work, ArrivingReader(file), order)
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
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGUSR1, signal.SIGQUIT, signal.SIGCHLD):
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
    """Raises EOFError when the other end closes before it is complete, TimeoutError when late, OverflowError when
    too long."""
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
            raise OverflowError
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
