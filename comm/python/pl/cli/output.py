"""What commands print: lines, tables, the progress of steps. Colour on a terminal only, ``NO_COLOR`` respected."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pl.durations import brief
from pl.errors import PlError

if TYPE_CHECKING:
    from pl.tools.fetch import Transfers

_COLOURS = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
}


def coloured(text: str, colour: str, *, stream: int = 1) -> str:
    """The text in a colour, where the stream (1: output, 2: error) is a terminal that wants it."""
    if os.environ.get("NO_COLOR") or not os.isatty(stream):
        return text
    return f"\033[{_COLOURS[colour]}m{text}\033[0m"


def line(text: str = "") -> None:
    """One line of a command's answer."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """One line beside the answer, on standard error: what is happening, not what was asked for."""
    if _drawing:
        _drawing[-1].say(text)
    else:
        _write(f"{text}\n")


def as_json(value: object) -> None:
    line(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = ()) -> None:
    """Rows in columns that line up."""
    shown = [header, *rows] if header else list(rows)
    if not shown:
        return
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    for number, row in enumerate(shown):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        line(coloured(text, "dim") if header and number == 0 else text)


def addresses(found: Mapping[str, str]) -> None:
    """What people want to open, a line each."""
    table([[f"  {label}", url] for label, url in found.items()])


def size(count: int) -> str:
    """A number of bytes as people write it."""
    return f"{count / 1_000_000:.1f} MB"


@contextmanager
def progress() -> Iterator[Transfers]:
    """Who draws the progress of steps: a live list on a terminal, one line a finished step elsewhere."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _Lines()
        return
    with _Live() as live:
        _drawing.append(live)
        try:
            yield live
        finally:
            _drawing.remove(live)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _remark(text: str) -> str:
    return f"  {text}" if text else ""


def _amount(done: int, total: int) -> str:
    return f"{size(done)} of {size(total)}" if total else size(done)


class _Lines:
    """One line for each step that ended, and for each ten seconds of a download: for logs and pipes."""

    _EVERY_S = 10

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def fetched(self, name: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said.setdefault(name, now) >= self._EVERY_S:
            self._said[name] = now
            note(f"  {name} {_amount(done, total)}")

    def started(self, name: str) -> None:
        """Said when it ended: half as many lines."""

    def done(self, name: str, remark: str, duration_s: float) -> None:
        note(f"✓ {name} {brief(duration_s)}{_remark(remark)}")

    def failed(self, name: str, error: PlError) -> None:
        note(f"✗ {name}: {error.what}")


class _Live:
    """Finished steps stay as lines; those that run are drawn below them, with a turning sign and their time."""

    _SIGNS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
    _EVERY_S = 0.1

    def __init__(self) -> None:
        self._running: dict[str, float] = {}
        self._amounts: dict[str, str] = {}
        self._lines = 0
        self._turns = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True)

    def __enter__(self) -> _Live:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with self._lock:
            _write(self._wiped())
            self._lines = 0

    def started(self, name: str) -> None:
        with self._lock:
            self._running[name] = time.monotonic()

    def fetched(self, name: str, done: int, total: int) -> None:
        with self._lock:
            self._amounts[name] = f" {_amount(done, total)}"

    def done(self, name: str, remark: str, duration_s: float) -> None:
        sign = coloured("✓", "green", stream=2)
        self._end(name, f"{sign} {name} {coloured(brief(duration_s) + _remark(remark), 'dim', stream=2)}")

    def failed(self, name: str, error: PlError) -> None:
        self._end(name, f"{coloured('✗', 'red', stream=2)} {name}: {error.what}")

    def say(self, text: str) -> None:
        """A line that stays, above those that are drawn."""
        with self._lock:
            _write(f"{self._wiped()}{text}\n{self._drawn()}")

    def _end(self, name: str, text: str) -> None:
        with self._lock:
            del self._running[name]
        self.say(text)

    def _turn(self) -> None:
        while not self._over.wait(self._EVERY_S):
            with self._lock:
                self._turns += 1
                _write(self._wiped() + self._drawn())

    def _drawn(self) -> str:
        """The lines of what runs, none longer than the terminal is wide: one that wraps would not be wiped whole."""
        now = time.monotonic()
        sign = self._SIGNS[self._turns % len(self._SIGNS)]
        width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        self._lines = len(self._running)
        return "".join(
            f"{sign} {name} {brief(now - began)}{self._amounts.get(name, '')}"[: width - 1] + "\n"
            for name, began in self._running.items()
        )

    def _wiped(self) -> str:
        return f"\033[{self._lines}F\033[J" if self._lines else ""


_drawing: list[_Live] = []
"""Who draws on the terminal now, and must know of every line that others write."""
