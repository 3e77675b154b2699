"""Who does which kind of job. Apps register at start, so that jobs knows none of them."""

from collections.abc import Callable
from typing import Protocol

from jobs.errors import JobError
from jobs.models import Job

Write = Callable[[], None]


def write_nothing() -> None:
    """The Write of a job whose end there is nothing to write along with."""


class Handler(Protocol):
    """All may be called any number of times for one job: leave the same rows and objects each time."""

    def work(self, job: Job) -> Write:
        """Do what takes long, outside any transaction. What is returned writes the outcome, in the transaction that
        ends the job, and is not called if another worker has taken the job over. Raises JobError."""

    def give_up(self, job: Job, error: JobError) -> None:
        """Write that the job has failed for good or was cancelled, in the transaction that says so."""

    def take_up(self, job: Job) -> None:
        """Write that what was given up is to be done after all, in the transaction that queues the job again."""


_handlers: dict[str, Handler] = {}


def handler_register(kind: str, handler: Handler) -> None:
    """Make ``handler`` do the jobs of ``kind``."""
    _handlers[kind] = handler


def handler_of(kind: str) -> Handler:
    """The handler of ``kind``. Raises KeyError for a kind that nobody does."""
    return _handlers[kind]
