"""The one door out: an exception becomes text on standard error and an exit status.

A ``PlError`` says what it has to say. Anything else is a bug: its traceback goes to a file, and the status is 3.
"""

import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from pl.errors import PlError


def leave(error: Exception) -> NoReturn:
    """Say what went wrong and end the process with the status that belongs to it."""
    if isinstance(error, PlError):
        sys.stderr.write(f"{_red('error:')} {error}\n")
        sys.exit(error.exit_status)
    where = _write_log(error)
    sys.stderr.write(f"{_red('bug:')} {type(error).__name__}: {error}\n  its traceback is in {where}\n")
    sys.exit(3)


def _red(text: str) -> str:
    return f"\033[31m{text}\033[0m" if sys.stderr.isatty() else text


def _write_log(error: Exception) -> str:
    from pl.env import state_home

    now = datetime.now(UTC)
    text = "".join(traceback.format_exception(error))
    try:
        folder = state_home() / "bugs"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file: Path = folder / f"{now:%Y%m%d-%H%M%S-%f}.log"
        file.write_text(f"{now.isoformat()} {sys.argv}\n{text}", encoding="utf-8")
    except OSError:
        sys.stderr.write(text)
        return "the lines above"
    return str(file)
