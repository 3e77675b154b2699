"""How much heavy work there is, as whoever runs the platform is told. Jobs registers at start: ops knows none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``waiting`` and ``running`` by kind; ``failed``, all that are kept, by kind and reason.

    ``oldest_due_s`` is how long the job that has been due for longest has waited; 0 when none is due.
    """

    waiting: Mapping[str, int]
    running: Mapping[str, int]
    failed: Mapping[tuple[str, str], int]
    failed_last_hour: int
    oldest_due_s: float


Read = Callable[[], Work]
_reads: list[Read] = []


def work_register(read: Read) -> None:
    """Have ``read`` tell how much work there is."""
    _reads[:] = [read]


def work_read() -> Work:
    """In a number of queries that does not depend on how much there is. Raises what the database raises."""
    [read] = _reads
    return read()


Last = Callable[[], datetime | None]
_lasts: list[Last] = []


def backups_register(last: Last) -> None:
    """Have ``last`` tell of when the last good backup's rows are."""
    _lasts[:] = [last]


def backup_age_s() -> float | None:
    """How old the last good backup's rows are; None if there is none. Raises what the database raises."""
    [last] = _lasts
    taken = last()
    return None if taken is None else max(0.0, (timezone.now() - taken).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """When rows were last compared with objects, and how many objects had each kind of problem, 0 included."""

    finished: datetime
    found: Mapping[str, int]

    @property
    def age_s(self) -> float:
        return max(0.0, (timezone.now() - self.finished).total_seconds())


Comparison = Callable[[], Compared | None]
_comparisons: list[Comparison] = []


def comparisons_register(last: Comparison) -> None:
    """Have ``last`` tell of the last comparison that came to its end."""
    _comparisons[:] = [last]


def compared_last() -> Compared | None:
    """None if there was none. Raises what the database raises."""
    [last] = _comparisons
    return last()
