"""The only place that starts a process: argv lists, deadlines, signals passed on, no shell.

A secret never goes into an argv: pass it in ``env``, in a file, or as ``input``.
``subprocess`` is imported where it is used, because every shell imports this package and most of them start nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pl import tied
from pl.errors import CommandFailed, CommandMissing, CommandTimedOut

if TYPE_CHECKING:
    import subprocess


_LINES_KEPT = 40
_NOBODY_READS = (-signal.SIGPIPE, 128 + signal.SIGPIPE)
"""How a program ends whose reader has gone."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a finished program left: ``status`` is negative for a signal."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: str = "",
    timeout_s: float | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
) -> Result:
    """Run a program to its end and return what it printed.

    Raises CommandMissing, CommandTimedOut (the program is killed) and, with ``check``, CommandFailed.
    """
    import subprocess

    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            env=None if env is None else dict(env),
            cwd=cwd,
            input=input,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            pass_fds=tuple(pass_fds),
            check=False,
        )
    except FileNotFoundError as error:
        raise _missing(words, cwd, error) from None
    except subprocess.TimeoutExpired as error:
        output = error.stderr or error.stdout or b""
        raise CommandTimedOut(words, error.timeout, _text(output)) from None
    if check and done.returncode != 0:
        raise CommandFailed(words, done.returncode, done.stderr or done.stdout)
    return Result(argv=tuple(words), status=done.returncode, stdout=done.stdout, stderr=done.stderr)


def attach(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | None = None,
    pass_fds: Sequence[int] = (),
    death_signal: int = 0,
) -> int:
    """Run a program on this process's own streams and return its status as a shell would (128 + n for signal n).

    SIGTERM and SIGHUP are passed on. The terminal sends SIGINT to both, and only the program answers it; where it ends
    badly after one, the status is 130, whatever it made of that.
    ``stdout`` may name another descriptor for the program's standard output. ``death_signal`` is what the kernel sends
    to the program when this process is killed (on Linux).
    """
    import subprocess

    words = [str(word) for word in argv]
    if death_signal:
        words = _tied(words, death_signal)
    try:
        child = subprocess.Popen(
            words, env=None if env is None else dict(env), cwd=cwd, stdout=stdout, pass_fds=tuple(pass_fds)
        )
    except FileNotFoundError as error:
        raise _missing(words, cwd, error) from None
    with _signals_passed_on(child) as signals:
        status = child.wait()
    if status != 0 and signals.interrupted:
        return 128 + signal.SIGINT
    return status if status >= 0 else 128 - status


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program that is to be started."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None


def flow(commands: Sequence[Command], *, stdout: IO[bytes] | None = None, on_line: Callable[[str], bool]) -> None:
    """Run programs, each of which reads what the one before it writes; the last one's output goes to ``stdout``.

    The first reads nothing. ``on_line`` is told each line of their standard errors, from threads, and says whether it
    understood it; what it did not is kept for the error. Raises CommandMissing, and CommandFailed for that program
    whose failure was not another's consequence.
    """
    import subprocess
    import threading

    children: list[subprocess.Popen[bytes]] = []
    said: list[list[str]] = [[] for _ in commands]

    def listen(number: int) -> None:
        errors = children[number].stderr
        assert errors is not None  # noqa: S101
        for raw in errors:
            line = raw.decode(errors="replace").rstrip("\n")
            if not on_line(line):
                said[number] = [*said[number], line][-_LINES_KEPT:]

    try:
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            before = children[-1].stdout if children else None
            try:
                child = subprocess.Popen(
                    command.argv,
                    env=dict(command.env),
                    cwd=command.cwd,
                    stdin=before or subprocess.DEVNULL,
                    stdout=(stdout or subprocess.DEVNULL) if last else subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            except FileNotFoundError as error:
                raise _missing(command.argv, command.cwd, error) from None
            children.append(child)
            if before:
                before.close()  # it is the child's now: who writes there is told when that is gone
        listeners = [threading.Thread(target=listen, args=(number,)) for number in range(len(children))]
        for listener in listeners:
            listener.start()
        for listener in listeners:
            listener.join()
        statuses = [child.wait() for child in children]
    except BaseException:
        for child in children:
            child.kill()
        for child in children:
            child.wait()
        raise
    failed = [number for number, status in enumerate(statuses) if status != 0]
    if failed:
        causes = [number for number in failed if statuses[number] not in _NOBODY_READS] or failed
        number = causes[0]
        raise CommandFailed(list(commands[number].argv), statuses[number], "\n".join(said[number]))


def start_detached(argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Start a program in a session of its own, its output appended to ``log``, and return its process id."""
    import subprocess

    words = [str(word) for word in argv]
    with log.open("ab") as sink:
        try:
            child = subprocess.Popen(
                words,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise _missing(words, cwd, error) from None
    return child.pid


def follow(argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, on_line: Callable[[str], None]) -> Result:
    """Run a program to its end, with each line that it says told as it comes; errors are in ``stdout``, too.

    Raises CommandMissing.
    """
    import subprocess

    words = [str(word) for word in argv]
    try:
        child = subprocess.Popen(
            words,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise _missing(words, cwd, error) from None
    said: list[str] = []
    try:
        assert child.stdout is not None  # noqa: S101
        for line in child.stdout:
            said.append(line)
            on_line(line.rstrip("\n"))
    except BaseException:
        child.kill()
        raise
    finally:
        status = child.wait()
    return Result(argv=tuple(words), status=status, stdout="".join(said), stderr="")


class Running:
    """A program that runs beside this one, its output collected, and that does not outlive it."""

    def __init__(
        self, argv: Sequence[str], child: subprocess.Popen[bytes], stdout: IO[bytes], stderr: IO[bytes]
    ) -> None:
        self._argv = tuple(argv)
        self._child = child
        self._stdout = stdout
        self._stderr = stderr
        self.pid = child.pid

    def wait(self, timeout_s: float | None = None) -> Result | None:
        """What it left, or None while it still runs after that time."""
        import subprocess

        try:
            status = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        return Result(argv=self._argv, status=status, stdout=_collected(self._stdout), stderr=_collected(self._stderr))

    def interrupt(self) -> None:
        """Send it SIGINT, as Ctrl-C would."""
        self._child.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()


def start_tied(argv: Sequence[str | Path], *, env: Mapping[str, str], input: str = "") -> Running:
    """Start a program that dies with this process, even by SIGKILL, and that hears no Ctrl-C unless it is passed on.

    Where the kernel promises no such thing (only Linux does), a killed parent leaves it running. The thread that calls
    this must outlive it, too: to the kernel, that is the parent. Raises CommandMissing.
    """
    import shutil
    import subprocess
    import tempfile

    words = [str(word) for word in argv]
    if shutil.which(words[0], path=env.get("PATH")) is None:
        raise CommandMissing(words[0])
    # Files and no pipes: nobody needs to read along for the program to go on.
    stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    child = subprocess.Popen(
        _tied(words, signal.SIGKILL),
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        process_group=0,
    )
    assert child.stdin is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError), child.stdin:
        child.stdin.write(input.encode())
    return Running(words, child, stdout, stderr)


def _tied(words: Sequence[str], death_signal: int) -> list[str]:
    return [sys.executable, "-I", "-S", tied.__file__, str(os.getpid()), str(int(death_signal)), *words]


class _signals_passed_on:  # noqa: N801
    """While inside, SIGTERM and SIGHUP go to the child and SIGINT is left to it."""

    def __init__(self, child: subprocess.Popen[Any]) -> None:
        self._child = child
        self._before: dict[int, Any] = {}
        self.interrupted = False

    def __enter__(self) -> _signals_passed_on:
        import threading

        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, lambda received, _frame: self._child.send_signal(received))
        self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._note_interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note_interrupt(self, _received: int, _frame: object) -> None:
        self.interrupted = True


def _missing(argv: Sequence[str], cwd: Path | None, error: FileNotFoundError) -> CommandMissing:
    if cwd is not None and not os.path.isdir(cwd):  # noqa: PTH112
        return CommandMissing(str(cwd), hint="the working directory is gone")
    return CommandMissing(error.filename or argv[0])


def _collected(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _text(output: str | bytes) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output
