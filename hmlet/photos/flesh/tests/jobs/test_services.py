"""Jobs: claims, leases, retries, the outbox, and what a lost message or a killed worker leaves behind."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from jobs import handlers, reconciling, services
from jobs.errors import JobError, JobNotCancellable, JobNotRetryable
from jobs.models import ATTEMPTS_MAX, Attempt, Job, OutboxEntry
from jobs.reconciling import jobs_reconcile
from jobs.runner import job_run
from jobs.selectors import job_timeline
from jobs.services import job_cancel, job_claim, job_complete, job_create, job_fail, job_retry

pytestmark = pytest.mark.django_db
KIND = "thumbnail"


class Scripted:
    """A handler that does what the test says, and remembers what was asked of it."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.worked: list[uuid.UUID] = []
        self.written: list[uuid.UUID] = []
        self.given_up: list[str] = []
        self.taken_up: list[uuid.UUID] = []
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

    def take_up(self, job: Job) -> None:
        self.taken_up.append(job.pk)


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


def _promises() -> int:
    """How many are left when the reconciler has looked."""
    _due_now()
    jobs_reconcile()
    return OutboxEntry.objects.count()


def test_five_deliveries_do_the_work_once(job: Job, handler: Scripted) -> None:
    assert [job_run(job.pk) for _ in range(5)] == [True] + [False] * 4
    assert (handler.worked, handler.written) == ([job.pk], [job.pk])
    job.refresh_from_db()
    assert (job.state, job.attempts, job.lease_until) == ("done", 1, None)
    assert job.started
    assert job.finished
    assert _promises() == 0


def test_a_claimed_job_is_not_to_be_had(job: Job) -> None:
    claimed = job_claim()
    assert claimed is not None
    assert (claimed.pk, claimed.state, claimed.attempts) == (job.pk, "running", 1)
    assert job_claim() is None


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


def test_the_reconciler_publishes_what_got_lost_and_not_at_once_again(job: Job, published: list[uuid.UUID]) -> None:
    assert jobs_reconcile() == (0, 0), "its own process has a while for it"
    for _ in range(3):
        _due_now()
        assert jobs_reconcile() == (0, 1)
        assert jobs_reconcile() == (0, 0)
    assert published == [job.pk] * 3


def test_the_reconciler_fills_the_queue_up_to_what_is_due_and_no_further(
    handler: Scripted, published: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        job_create(kind=KIND, owner=None, subject=None)
    _due_now()
    monkeypatch.setattr(reconciling, "queue_length", lambda: 5)
    assert jobs_reconcile() == (0, 0), "a queue that is merely long"
    monkeypatch.setattr(reconciling, "queue_length", lambda: 3)
    assert jobs_reconcile() == (0, 2)
    assert len(set(published)) == 2


def test_a_killed_workers_job_is_taken_back_when_its_lease_ends(job: Job, handler: Scripted) -> None:
    job_claim()
    assert jobs_reconcile()[0] == 0, "the lease holds"
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs_reconcile()[0] == 1
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("queued", "worker_lost")
    assert job.not_before is not None
    assert job.not_before <= timezone.now(), "the lease was wait enough"
    assert job_run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error_code) == ("done", 2, "")


def test_a_job_that_kills_every_worker_ends_as_failed(job: Job, handler: Scripted) -> None:
    for _ in range(ATTEMPTS_MAX):
        _due_now()
        assert job_claim() is not None
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert jobs_reconcile()[0] == 1
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error_code) == ("failed", ATTEMPTS_MAX, "worker_lost")
    assert handler.given_up == ["worker_lost"]
    assert _promises() == 0


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
    stale = job_claim()
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


def test_an_outage_costs_no_attempt_however_long_it_is(job: Job, handler: Scripted) -> None:
    handler.errors = [JobError("away", "Away.", outage=True)] * 10
    for _ in range(10):
        _due_now()
        assert job_run(job.pk)
        job.refresh_from_db()
        assert (job.state, job.error_code) == ("queued", "away")
    handler.errors = [JobError("worse", "Worse.", retryable=True)] * ATTEMPTS_MAX
    for _ in range(ATTEMPTS_MAX):
        assert job.state == "queued", "as many attempts as ever are left"
        _due_now()
        assert job_run(job.pk)
        job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "worse")


def test_a_kind_of_a_newer_version_waits_for_a_worker_that_knows_it(job: Job) -> None:
    Job.objects.update(kind="of_tomorrow")
    for _ in range(ATTEMPTS_MAX + 1):
        _due_now()
        assert job_run(job.pk)
        job.refresh_from_db()
        assert (job.state, job.error_code) == ("queued", "worker_outdated")


def test_who_waits_for_long_already_looks_less_often_whether_an_outage_is_over(
    handler: Scripted, published: list[uuid.UUID]
) -> None:
    waits = []
    for age_s in (0, 100, 3600):
        job = job_create(kind=KIND, owner=None, subject=None)
        Job.objects.filter(pk=job.pk).update(created=timezone.now() - timedelta(seconds=age_s))
        handler.errors = [JobError("away", "Away.", outage=True)]
        assert job_run(job.pk)
        job.refresh_from_db()
        assert job.not_before is not None
        waits.append((job.not_before - timezone.now()).total_seconds())
    assert [2 < waits[0] < 5, 9 < waits[1] < 16, 55 < waits[2] < 91] == [True] * 3, waits


def test_a_job_does_not_wait_for_ever_for_what_does_not_come_back(job: Job, handler: Scripted) -> None:
    Job.objects.update(created=timezone.now() - services.OUTAGE_MAX)
    handler.errors = [JobError("away", "Away.", outage=True)] * ATTEMPTS_MAX
    for _ in range(ATTEMPTS_MAX):
        _due_now()
        assert job_run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_retryable) == ("failed", "away", True)


def test_delays_grow_and_are_not_the_same_for_all(handler: Scripted, published: list[uuid.UUID]) -> None:
    waits: list[list[float]] = []
    for _ in range(8):
        job = job_create(kind=KIND, owner=None, subject=None)
        handler.errors = [JobError("away", "Away.", retryable=True)] * 2
        of_this_job = []
        for _ in range(2):
            assert job_run(job.pk)
            job.refresh_from_db()
            assert job.not_before is not None
            of_this_job.append((job.not_before - timezone.now()).total_seconds())
            _due_now()
        assert job_run(job.pk)
        waits.append(of_this_job)
    assert all(2 < first < 5 and 55 < second < 91 for first, second in waits)
    assert len({round(second) for _, second in waits}) > 1


def test_the_timeline_tells_each_attempt_with_its_end_and_reason(job: Job, handler: Scripted) -> None:
    handler.errors = [JobError("away", "The storage was away.", retryable=True)]
    assert job_run(job.pk)
    job.refresh_from_db()
    assert [event.event for event in job_timeline(job)] == ["queued", "started", "failed", "queued"]
    assert job_timeline(job)[-1].at > timezone.now(), "when it is tried again"
    Job.objects.update(not_before=timezone.now())
    assert job_run(job.pk)
    job.refresh_from_db()
    told = [(event.event, event.attempt, event.message) for event in job_timeline(job)]
    assert told == [
        ("queued", 1, ""),
        ("started", 1, ""),
        ("failed", 1, "The storage was away."),
        ("queued", 2, ""),
        ("started", 2, ""),
        ("done", 2, ""),
    ]
    moments = [event.at for event in job_timeline(job)]
    assert moments == sorted(moments)


def test_a_failed_job_that_is_tried_again_has_as_many_attempts_as_a_new_one(
    job: Job, handler: Scripted, published: list[uuid.UUID], django_capture_on_commit_callbacks: Any
) -> None:
    handler.errors = [JobError("away", "Away.", retryable=True)] * (2 * ATTEMPTS_MAX - 1)
    for _ in range(ATTEMPTS_MAX):
        _due_now()
        assert job_run(job.pk)
    job.refresh_from_db()
    assert job.state == "failed"
    with django_capture_on_commit_callbacks(execute=True):
        job_retry(job)
    assert published == handler.taken_up == [job.pk]
    job.refresh_from_db()
    assert (job.state, job.finished, job.error_code) == ("queued", None, "")
    assert OutboxEntry.objects.get().job == job
    for _ in range(ATTEMPTS_MAX):
        assert job_run(job.pk)
        _due_now()
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("done", 2 * ATTEMPTS_MAX)


def test_only_what_failed_or_was_cancelled_is_tried_again(job: Job) -> None:
    with pytest.raises(JobNotRetryable):
        job_retry(job)
    claimed = job_claim()
    assert claimed is not None
    with pytest.raises(JobNotRetryable):
        job_retry(claimed)
    assert job_complete(claimed, write=lambda: None)
    with pytest.raises(JobNotRetryable):
        job_retry(claimed)


@pytest.fixture
def owned(handler: Scripted, published: list[uuid.UUID], owner: Any) -> Job:
    return job_create(kind=KIND, owner=owner, subject=uuid.uuid4())


def test_a_queued_job_that_is_cancelled_never_runs_until_it_is_tried_again(owned: Job, handler: Scripted) -> None:
    job_cancel(owned)
    owned.refresh_from_db()
    assert (owned.state, owned.error_code) == ("cancelled", "cancelled")
    assert handler.given_up == ["cancelled"]
    assert _promises() == 0
    assert not job_run(owned.pk)
    assert [event.event for event in job_timeline(owned)] == ["queued", "cancelled"]
    job_retry(owned)
    assert job_run(owned.pk)
    owned = Job.objects.get()
    assert [event.event for event in job_timeline(owned)] == ["queued", "cancelled", "queued", "started", "done"]


def test_a_running_job_that_is_cancelled_writes_nothing(owned: Job, handler: Scripted) -> None:
    handler.meanwhile = lambda: job_cancel(owned)
    assert job_run(owned.pk) is False
    assert handler.written == []
    owned.refresh_from_db()
    assert owned.state == "cancelled"
    assert [event.event for event in job_timeline(owned)] == ["queued", "started", "cancelled"]


def test_what_has_ended_and_what_is_the_platforms_own_cannot_be_cancelled(owned: Job, handler: Scripted) -> None:
    assert job_run(owned.pk)
    with pytest.raises(JobNotCancellable):
        job_cancel(owned)
    with pytest.raises(JobNotCancellable):
        job_cancel(job_create(kind="purge", owner=None, subject=None))


def test_a_job_that_simply_works_costs_no_row_of_its_past(job: Job, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(4):  # claim; savepoint, end, release
        assert job_run(job.pk)
    assert not Attempt.objects.exists()


def test_a_promise_outlives_its_job_until_it_is_due_and_goes_with_it_alone(job: Job, handler: Scripted) -> None:
    waiting = job_create(kind=KIND, owner=None, subject=uuid.uuid4())
    assert job_run(job.pk)
    jobs_reconcile()
    assert OutboxEntry.objects.count() == 2
    assert _promises() == 1
    assert OutboxEntry.objects.get().job == waiting


def test_a_job_that_is_tried_again_while_its_promise_is_forgotten_keeps_one(
    owned: Job, handler: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_cancel(owned)
    _due_now()
    found = QuerySet.values_list

    def then_tried_again(self: Any, *args: Any, **kwargs: Any) -> Any:
        keys = list(found(self, *args, **kwargs))
        if self.model is OutboxEntry:
            job_retry(owned)
        return keys

    monkeypatch.setattr(QuerySet, "values_list", then_tried_again)
    jobs_reconcile()
    assert OutboxEntry.objects.get().job == owned
