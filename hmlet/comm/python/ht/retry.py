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
#: A server that asks for a longer pause gets its error raised instead; the caller knows better how to spend it.
LONGEST_RETRY_AFTER_S = 60.0

_random = random.SystemRandom()


class Clock(Protocol):
    """What the client needs of the module ``time``, which is one; tests bring one that does not wait."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


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
