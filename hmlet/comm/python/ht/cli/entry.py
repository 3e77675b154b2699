"""The door out: from an exception to one line and an exit status.

0 done, 1 it did not go as asked, 2 not understood, 3 a bug of ours (with a log), 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from datetime import UTC, datetime
from typing import NoReturn

from ht.errors import (
    AnswerNotUnderstood,
    ConnectionFailed,
    HtError,
    NoThumbnail,
    NotSignedIn,
    ServerError,
    Throttled,
    TimedOut,
    WaitTimedOut,
)

INTERRUPTED = 130


def main() -> NoReturn:
    """Runs the words of this process. Does not return."""
    for stream in (sys.stdout, sys.stderr):
        # A file's name may be no Unicode, and a terminal may know few signs: better a ? than nothing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        import typer.exceptions
    except ImportError:
        sys.stderr.write("error: the command line needs typer and rich → pip install 'ht[cli]'\n")
        sys.exit(1)
    from ht.cli.app import app

    try:
        status = app(prog_name="ht", standalone_mode=False)
        sys.stdout.flush()
    except typer.exceptions.TyperException as error:
        text = error.format_message()
        # Where a subcommand must be named and none was, the text is the help itself.
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "ht"
        _leave(text if text.startswith("Usage:") else f"error: {one_line(text)} → {where} --help", error.exit_code)
    except (KeyboardInterrupt, typer.exceptions.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; nothing may be written into the closed pipe at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except HtError as error:
        _leave(f"error: {told(error)}", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _leave(f"error: {one_line(f'{where}{error.strerror or error}')} → make room or give rights, and repeat", 1)
    except Exception as error:  # noqa: BLE001
        _leave(f"bug: {type(error).__name__}: {one_line(str(error))} → its traceback is in {_log(error)}", 3)
    if status == INTERRUPTED:
        _leave("interrupted", INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def told(error: HtError) -> str:
    """In one line what happened and, where that is known, what to do next."""
    step = _next_step(error)
    return one_line(str(error)) + (f" → {step}" if step else "")


def one_line(text: str) -> str:
    """Without line breaks and whatever else could move a terminal's cursor: texts come from servers and other users.

    >>> one_line("a\\n  b\\x1b[2J")
    'a b�[2J'
    """
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(text.split()))


def _next_step(error: HtError) -> str:
    if isinstance(error, NotSignedIn):
        return "ht login"
    if isinstance(error, Throttled):
        return f"repeat in {error.retry_after_s:.0f} s" if error.retry_after_s else "repeat in a while"
    if isinstance(error, NoThumbnail):
        return "sizes are made one after the other: repeat in a while, or give another --size"
    if isinstance(error, WaitTimedOut):
        return "it goes on without us: look again later, or give --timeout"
    if isinstance(error, ServerError):
        return "repeat in a while; if it stays so, the request's id leads to the server's log"
    if isinstance(error, AnswerNotUnderstood):
        return "is the address the platform's? --url, HT_WEB_URL"
    if isinstance(error, ConnectionFailed | TimedOut):
        return "is the platform up, and the address right (--url, HT_WEB_URL)? Then repeat"
    return ""


def _leave(text: str, status: int) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    sys.exit(status)


def _log(error: Exception) -> str:
    import traceback

    from ht.cli.state import state_folder

    file = state_folder("bugs") / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.log"
    text = "".join(traceback.format_exception(error))
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(text, encoding="utf-8")
    except OSError:
        sys.stderr.write(text)
        return "the lines above"
    return str(file)
