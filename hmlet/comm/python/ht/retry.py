"""When a failed request may be sent again, and after how long."""

from __future__ import annotations

import random
from email.utils import parsedate_to_datetime
from typing import Protocol

from ht.errors import ConnectionFailed, TimedOut

#: RFC 9110, 9.2.2: sending these twice does no more than sending them once.
REPEATABLE_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
REPEATABLE_STATUSES = frozenset({429, 502, 503, 504})
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
FIRST_POLL_S = 0.1
LONGEST_POLL_S = 2.0
#: A server that asks for a longer pause gets its error raised instead; the caller knows better how to spend it.
LONGEST_RETRY_AFTER_S = 60.0

_random = random.SystemRandom()


class Clock(Protocol):
    """What the client needs of the module ``time``, which is one; tests bring one that does not wait."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class Pauses:
    """The growing pauses of one who looks again and again, for ``timeout_s`` seconds in all."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._deadline_s = clock.monotonic() + timeout_s
        self._next_s = FIRST_POLL_S

    def pause(self) -> bool:
        """Sleep until it is time to look again. False, at once, when the time is over."""
        left_s = self._deadline_s - self._clock.monotonic()
        if left_s <= 0:
            return False
        self._clock.sleep(min(self._next_s, left_s))
        self._next_s = min(LONGEST_POLL_S, self._next_s * 1.5)
        return True


def is_repeatable(failure: ConnectionFailed | TimedOut, *, repeatable: bool) -> bool:
    """Whether to send again after ``failure``. What never reached the server may always be sent again."""
    return failure.transient and (repeatable or not failure.may_have_arrived)


def backoff_delay_s(attempt: int) -> float:
    """Seconds to wait after attempt number ``attempt`` (from 0): doubling, of which the upper half is random."""
    ceiling = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempt, 30))
    return _random.uniform(ceiling / 2, ceiling)


def retry_after_s(header: str | None, *, now_s: float) -> float | None:
    """Seconds from a Retry-After header in either of its forms (RFC 9110, 10.2.3); None when absent or nonsense.

    >>> retry_after_s("120", now_s=0)
    120.0
    >>> retry_after_s("Thu, 01 Jan 1970 00:00:05 GMT", now_s=2)
    3.0
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None
