"""Threads that do something while a block runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Background:
    """``count`` threads, each calling ``work`` with its number, from the block's begin; ``over`` is set at its end, and
    all of them are waited for."""

    def __init__(self, work: Callable[[int], None], count: int) -> None:
        self.over = threading.Event()
        self._threads = [
            threading.Thread(target=work, args=(number,), name=f"client {number}") for number in range(count)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()
