"""Logs of several programs as one stream."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from pl.stage import LogLine

_POLL_S = 0.2


def tailed(files: Mapping[str, Path], *, lines: int, follow: bool) -> Iterator[LogLine]:
    """The last lines of each file, then, with ``follow``, what is added to any of them."""
    tails = {name: _Tail(path) for name, path in files.items()}
    for name, tail in tails.items():
        for text in tail.last(lines):
            yield LogLine(source=name, text=text)
    while follow:
        time.sleep(_POLL_S)
        for name, tail in tails.items():
            for text in tail.added():
                yield LogLine(source=name, text=text)


class _Tail:
    """A log that grows, and is replaced by a new file when it was rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def last(self, count: int) -> list[str]:
        kept = deque(self.added(), maxlen=count)
        return list(kept)

    def added(self) -> list[str]:
        """The whole lines that were added since the last call."""
        texts = self._read()
        if self._was_replaced():
            self._open()
            texts += self._read()
        return texts

    def _read(self) -> list[str]:
        if self._file is None:
            return []
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [text.decode(errors="replace") for text in whole]

    def _was_replaced(self) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or not os.path.samestat(found, os.fstat(self._file.fileno()))

    def _open(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._path.open("rb")
        self._rest = b""
