"""A client that goes on asking while something happens, and remembers every answer that was none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests

_EVERY_S = 0.05
_TIMEOUT_S = 10.0


class Poll:
    """How often was asked, and what went wrong."""

    def __init__(self) -> None:
        self.answers = 0
        self.failures: list[str] = []


@contextmanager
def polled(url: str) -> Iterator[Poll]:
    """Ask for ``url`` all the time, on a new connection each time, until the block ends."""
    poll = Poll()
    over = threading.Event()

    def ask() -> None:
        while not over.wait(_EVERY_S):
            try:
                status = requests.get(url, timeout=_TIMEOUT_S).status_code
            except requests.RequestException as error:
                poll.failures.append(str(error))
                continue
            poll.answers += 1
            if status != 200:
                poll.failures.append(f"status {status}")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield poll
    finally:
        over.set()
        thread.join()
