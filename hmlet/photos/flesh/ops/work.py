"""How much heavy work there is, as whoever runs the platform is told. Jobs registers at start: ops knows none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

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


T = TypeVar("T")


class _Teller(Generic[T]):
    """What an app has registered to tell. Which one that is, ops does not know."""

    def __init__(self) -> None:
        self._registered: Callable[[], T] | None = None

    def register(self, tell: Callable[[], T]) -> None:
        self._registered = tell

    def tell(self) -> T:
        assert self._registered is not None  # noqa: S101 - apps register at start
        return self._registered()


_work = _Teller[Work]()


def work_register(read: Callable[[], Work]) -> None:
    """Have ``read`` tell how much work there is."""
    _work.register(read)


def work_read() -> Work:
    """In a number of queries that does not depend on how much there is. Raises what the database raises."""
    return _work.tell()


_backup = _Teller[datetime | None]()


def backups_register(last: Callable[[], datetime | None]) -> None:
    """Have ``last`` tell of when the last good backup's rows are."""
    _backup.register(last)


def backup_age_s() -> float | None:
    """How old the last good backup's rows are; None if there is none. Raises what the database raises."""
    taken = _backup.tell()
    return None if taken is None else max(0.0, (timezone.now() - taken).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """When rows were last compared with objects, and how many objects had each kind of problem, 0 included."""

    finished: datetime
    found: Mapping[str, int]

    @property
    def agree(self) -> bool:
        """Whether there was no problem of any kind."""
        return not any(self.found.values())

    @property
    def age_s(self) -> float:
        return max(0.0, (timezone.now() - self.finished).total_seconds())


_comparison = _Teller[Compared | None]()


def comparisons_register(last: Callable[[], Compared | None]) -> None:
    """Have ``last`` tell of the last comparison that came to its end."""
    _comparison.register(last)


def compared_last() -> Compared | None:
    """None if there was none. Raises what the database raises."""
    return _comparison.tell()
