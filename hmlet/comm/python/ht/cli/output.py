"""What commands print: answers on standard output, progress on standard error.

On a terminal a table and bars; elsewhere lines that cut, grep and logs can take: columns between tabs, a line for each
thing done. rich is imported where something is drawn, because that takes longer than all the rest.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ht.cli.entry import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


def plain(value: object) -> object:
    """What JSON can hold: an object for each dataclass, without the file that a photo was made from."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.name != "image"]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def as_json(value: object) -> None:
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """With a header on a terminal, bare columns elsewhere."""
    cells = [[one_line("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not _is_terminal(sys.stdout.isatty()):
        sys.stdout.writelines("\t".join(row) + "\n" for row in cells)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for name in header:
        drawn.add_column(name, overflow="fold", no_wrap=name == "ID")
    for row in cells:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)


def note(text: str) -> None:
    """Beside the answer."""
    sys.stderr.write(f"{text}\n")


class Progress(Protocol):
    """How far many things have come; threads may share it."""

    def moved(self, name: str, done: int, total: int) -> None: ...

    def ended(self, name: str, remark: str) -> None: ...


@contextmanager
def progress(doing: str, *, count: int) -> Iterator[Progress]:
    """Bars on a terminal, elsewhere a line for each thing that ended."""
    if not _is_terminal(sys.stderr.isatty()):
        yield _Lines(count)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

    name = TextColumn("{task.description}", markup=False)
    bars = Progress(name, BarColumn(), TaskProgressColumn(), console=Console(stderr=True), transient=True)
    whole = Progress(name, BarColumn(), MofNCompleteColumn(), console=bars.console, transient=True)
    from rich.console import Group
    from rich.live import Live

    with Live(Group(bars, whole), console=bars.console, transient=True, refresh_per_second=8):
        yield _Bars(bars, whole, whole.add_task(doing, total=count))


class _Lines:
    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._lock = threading.Lock()

    def moved(self, name: str, done: int, total: int) -> None:
        """Said when it ended."""

    def ended(self, name: str, remark: str) -> None:
        with self._lock:
            self._done += 1
            note(f"{self._done}/{self._count} {one_line(name)}: {remark}")


class _Bars:
    def __init__(self, bars: RichProgress, whole: RichProgress, overall: TaskID) -> None:
        self._bars = bars
        self._whole = whole
        self._overall = overall
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def moved(self, name: str, done: int, total: int) -> None:
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(one_line(name), total=total)
            task = self._tasks[name]
        self._bars.update(task, completed=done, total=total)

    def ended(self, name: str, remark: str) -> None:
        with self._lock:
            task = self._tasks.pop(name, None)
        if task is not None:
            self._bars.remove_task(task)
        self._whole.advance(self._overall)


def _is_terminal(tty: bool) -> bool:
    return tty and os.environ.get("TERM") != "dumb"
