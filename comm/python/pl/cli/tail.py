"""Shows lines of several logs, each with the name of who wrote it."""

from __future__ import annotations

from collections.abc import Iterable

from pl.cli import output
from pl.stage import LogLine

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue")


def show(lines: Iterable[LogLine]) -> None:
    """Print lines as they come. A source keeps its colour."""
    colours: dict[str, str] = {}
    width = 0
    for line in lines:
        colour = colours.setdefault(line.source, _COLOURS[len(colours) % len(_COLOURS)])
        width = max(width, len(line.source))
        output.line(f"{output.coloured(line.source.ljust(width), colour)} {line.text}")
