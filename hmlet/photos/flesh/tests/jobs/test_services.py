"""Jobs: claims, leases, retries, the outbox, and what a lost message or a killed worker leaves behind."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone
from jobs import handlers, services
from jobs.errors import JobError
from jobs.models import Job, OutboxEntry
from jobs.runner import job_run
from jobs.services import ATTEMPTS_MAX, job_claim, job_complete, job_create, job_fail, jobs_reconcile

pytestmark = pytest.mark.django_db
KIND = "thumbnail"


class Scripted:
    """A handler that does what the test says, and remembers what was asked of it."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.worked: list[uuid.UUID] = []
        self.written: list[uuid.UUID] = []
        self.given_up: list[str] = []
        self.meanwhile: Callable[[], object] | None = None

    def work(self, job: Job) -> handlers.Write:
        self.worked.append(job.pk)
        if self.meanwhile:
            self.meanwhile()
        if self.errors:
            raise self.errors.pop(0)
        return lambda: self.written.append(job.pk)

    def give_up(self, job: Job, error: JobError) -> None:
        self.given_up.append(error.code)


@pytest.fixture
def handler() -> Iterator[Scripted]:
    before, scripted = handlers.handler_of(KIND), Scripted()
    handlers.handler_register(KIND, scripted)
    yield scripted
    handlers.handler_register(KIND, before)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[uuid.UUID]:
    """The ids that went to the queue, which loses them."""
    ids: list[uuid.UUID] = []
    monkeypatch.setattr(services, "job_publish", ids.append)
    return ids


@pytest.fixture
def job(handler: Scripted, published: list[uuid.UUID]) -> Job:
    return job_create(kind=KIND, owner=None, subject=uuid.uuid4())


def _due_now() -> None:
    OutboxEntry.objects.update(due=timezone.now() - timedelta(seconds=1))
    Job.objects.update(not_before=None)


def test_five_deliveries_do_the_work_once(job: Job, handler: Scripted) -> None:
    assert [job_run(job.pk) for _ in range(5)] == [True] + [False] * 4
    assert (handler.worked, handler.written) == ([job.pk], [job.pk])
    job.refresh_from_db()
    assert (job.state, job.attempts, job.lease_until) == ("done", 1, None)
    assert job.started
    assert job.finished
    assert not OutboxEntry.objects.exists()


def test_a_claimed_job_is_not_to_be_had(job: Job) -> None:
    assert job_claim(job_id=job.pk) is not None
    assert job_claim(job_id=job.pk) is None
    assert job_claim(job_id=uuid.uuid4()) is None


def test_it_is_published_at_the_commit_and_not_before(
    handler: Scripted, published: list[uuid.UUID], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = job_create(kind=KIND, owner=None, subject=None)
        assert published == []
    assert published == [job.pk]


def test_a_transaction_that_fails_promises_nothing(handler: Scripted) -> None:
    def write() -> None:
        with transaction.atomic():
            job_create(kind=KIND, owner=None, subject=None)
            raise DatabaseError

    with pytest.raises(DatabaseError):
        write()
    assert not Job.objects.exists()
    assert not OutboxEntry.objects.exists()


def test_a_queue_that_is_away_leaves_the_job_in_the_outbox(
    handler: Scripted, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def away(job_id: uuid.UUID) -> None:
        raise ConnectionError("no queue")

    monkeypatch.setattr(services, "job_publish", away)
    with django_capture_on_commit_callbacks(execute=True):
        job = job_create(kind=KIND, owner=None, subject=None)
    _due_now()
    assert jobs_reconcile() == (0, 0)
    assert OutboxEntry.objects.get().job == job


def test_the_reconciler_publishes_what_got_lost_and_ever_less_often(job: Job, published: list[uuid.UUID]) -> None:
    assert jobs_reconcile() == (0, 0), "its own process has a while for it"
    waits = []
    for _ in range(3):
        _due_now()
        assert jobs_reconcile() == (0, 1)
        assert jobs_reconcile() == (0, 0)
        waits.append(round((OutboxEntry.objects.get().due - timezone.now()).total_seconds()))
    assert published == [job.pk] * 3
    assert waits == [30, 60, 120]


def test_a_killed_workers_job_is_taken_back_when_its_lease_ends(job: Job, handler: Scripted) -> None:
    job_claim(job_id=job.pk)
    assert jobs_reconcile()[0] == 0, "the lease holds"
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs_reconcile()[0] == 1
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("queued", "worker_lost")
    _due_now()
    assert job_run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error_code) == ("done", 2, "")


def test_a_job_that_kills_every_worker_ends_as_failed(job: Job, handler: Scripted) -> None:
    for _ in range(ATTEMPTS_MAX):
        _due_now()
        assert job_claim(job_id=job.pk) is not None
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert jobs_reconcile()[0] == 1
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error_code) == ("failed", ATTEMPTS_MAX, "worker_lost")
    assert handler.given_up == ["worker_lost"]
    assert not OutboxEntry.objects.exists()


def test_who_lost_the_claim_writes_nothing(job: Job, handler: Scripted) -> None:
    def another_takes_over() -> None:
        handler.meanwhile = None
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        jobs_reconcile()
        _due_now()
        assert job_run(job.pk) is True

    handler.meanwhile = another_takes_over
    assert job_run(job.pk) is False
    assert handler.written == [job.pk], "once, by the other"
    assert Job.objects.get().attempts == 2


def test_a_stale_claim_can_neither_end_nor_fail_nor_renew(job: Job) -> None:
    stale = job_claim(job_id=job.pk)
    assert stale is not None
    Job.objects.update(attempts=2)
    assert not job_complete(stale, write=lambda: pytest.fail("written"))
    assert not job_fail(stale, error=JobError("x", "x"))
    assert not services.job_renew(stale)


def test_a_retryable_error_is_tried_again_later(job: Job, handler: Scripted) -> None:
    handler.errors = [JobError("away", "Away.", retryable=True)]
    assert job_run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("queued", "away")
    assert job.not_before is not None
    assert job.not_before > timezone.now()
    assert not job_run(job.pk), "not yet due"
    _due_now()
    assert job_run(job.pk)
    assert Job.objects.get().state == "done"


@pytest.mark.parametrize(
    ("error", "attempts", "code"),
    [
        (JobError("bad", "Bad."), 1, "bad"),
        (JobError("away", "Away.", retryable=True), ATTEMPTS_MAX, "away"),
        (RuntimeError("a bug"), ATTEMPTS_MAX, "internal"),
    ],
)
def test_a_job_fails_for_good_with_its_reason(
    job: Job, handler: Scripted, error: Exception, attempts: int, code: str
) -> None:
    handler.errors = [error] * ATTEMPTS_MAX
    for _ in range(attempts):
        _due_now()
        assert job_run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error_code) == ("failed", attempts, code)
    assert job.error_message
    assert "bug" not in job.error_message
    assert handler.given_up == [code]
    assert not job_run(job.pk)
