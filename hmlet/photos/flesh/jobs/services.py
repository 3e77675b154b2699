"""Writes to jobs: create and publish, claim and renew, end, try again, cancel.

Each is a conditional update. Nothing holds a lock while work is done, so any process may die at any moment.
"""

import logging
import random
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from ops.ids import request_id_current

from jobs.errors import JobError, JobNotCancellable, JobNotRetryable
from jobs.handlers import Write, handler_of
from jobs.models import ATTEMPTS_MAX, BACKGROUND, Attempt, Job, OutboxEntry
from jobs.news import news_tell
from jobs.turns import turn_claim

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)
PUBLICATION_GRACE = timedelta(seconds=10)
"""How long a new job has to be published and done before the reconciler looks after it."""
BACKOFF = (timedelta(seconds=3), timedelta(seconds=60))
"""Before the second attempt, and before each further one: together longer than a part takes to start again."""
OUTAGE_WAIT = (timedelta(seconds=3), timedelta(seconds=60))
"""The shortest and the longest wait for a part that is away; in between, a tenth of the time that it took so far."""
OUTAGE_MAX = timedelta(days=1)
"""For so long a job waits for a part that is away. What still does not work then fails, and can be tried again."""
JITTER = 0.5
"""A delay is longer by up to this share of it: what failed together does not come back together."""

_random = random.SystemRandom()


def job_create(
    *,
    kind: str,
    owner: AbstractBaseUser | None,
    subject: uuid.UUID | None,
    payload: Mapping[str, Any] | None = None,
    name: str = "",
) -> Job:
    """A job and its outbox entry, in the caller's transaction; published once that has committed."""
    job = Job.objects.create(
        kind=kind,
        owner_id=owner.pk if owner else None,
        subject=subject,
        payload=payload or {},
        name=name[:255],
        background=kind in BACKGROUND,
        request_id=request_id_current(),
    )
    OutboxEntry.objects.create(job=job, due=timezone.now() + PUBLICATION_GRACE)
    transaction.on_commit(partial(job_remind, job.id), robust=True)
    return job


def purge_create(
    *, originals: Iterable[str] = (), thumbnails: Iterable[str] = (), subject: uuid.UUID | None = None
) -> Job:
    """A job that deletes the objects of these keys, with the row of ``subject`` where one is named. In the caller's
    transaction."""
    payload = {"originals": list(originals), "thumbnails": list(thumbnails)}
    return job_create(kind=Job.Kind.PURGE, owner=None, subject=subject, payload=payload)


def job_publish(job_id: uuid.UUID) -> None:
    """Tell the queue of a job. Raises what the broker's client raises."""
    from jobs.tasks import run

    run.apply_async((str(job_id),), retry=False)


def job_remind(job_id: uuid.UUID) -> None:
    """Publish now, for speed. The outbox entry stays: the reconciler looks at it when most jobs are long done."""
    try:
        job_publish(job_id)
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the job is committed
        log.warning("job %s stays in the outbox: %s", job_id, error)


def job_claim() -> Job | None:
    """The job whose turn it is, now running and ours until its lease ends; None if there is nothing to do."""
    now = timezone.now()
    return turn_claim(now=now, lease_until=now + LEASE)


def job_renew(job: Job) -> bool:
    """Lengthen the lease of a claim. False when the claim is lost."""
    return bool(_claim(job).update(lease_until=timezone.now() + LEASE))


def job_complete(job: Job, *, write: Write) -> bool:
    """End a job and write its outcome in one transaction. False, and nothing written, when the claim is lost."""
    with transaction.atomic():
        ended = _claim(job).update(
            state=Job.State.DONE,
            finished=timezone.now(),
            lease_until=None,
            error_code="",
            error_message="",
            error_retryable=False,
        )
        if not ended:
            return False
        # Told first: what is written may publish other jobs.
        _tell_when_committed(job)
        write()
    return True


def job_fail(job: Job, *, error: JobError, delay: timedelta | None = None) -> bool:
    """End an attempt without its work done: queue the next, or give up. False when the claim is lost.

    ``delay`` is how long the next one waits, if not for ever longer. After an outage there is one attempt more.
    """
    now = timezone.now()
    excused = error.outage and now - job.created < OUTAGE_MAX
    again = excused or (error.retryable and job.attempts < job.attempts_max)
    if delay is None:
        delay = _outage_wait(now - job.created) if excused else _backoff(job)
    not_before = now + delay if again else None
    with transaction.atomic():
        ended = _claim(job).update(
            state=Job.State.FAILED if not_before is None else Job.State.QUEUED,
            attempts_max=job.attempts_max + excused,
            lease_until=None,
            # A failed job keeps when it was queued, so that its past can be told.
            not_before=not_before or job.not_before,
            finished=now if not_before is None else None,
            error_code=error.code,
            error_message=error.message,
            error_retryable=error.retryable,
        )
        if not ended:
            return False
        _attempt_remember(job, error, ended=now)
        if not_before is None:
            _give_up(job, error)
        else:
            _promise(job.id, due=not_before)
    return True


def job_retry(job: Job) -> None:
    """Queue a job again that failed or was cancelled, for as many attempts as a new one has.

    Raises JobNotRetryable for a job in any other state.
    """
    now = timezone.now()
    with transaction.atomic():
        again = Job.objects.filter(id=job.id, state__in=(Job.State.FAILED, Job.State.CANCELLED)).update(
            state=Job.State.QUEUED,
            # Attempts go on counting: they fence claims.
            attempts_max=F("attempts") + ATTEMPTS_MAX,
            not_before=now,
            finished=None,
            error_code="",
            error_message="",
            error_retryable=False,
        )
        if not again:
            raise JobNotRetryable
        handler_of(job.kind).take_up(job)
        _promise(job.id, due=now + PUBLICATION_GRACE)
        transaction.on_commit(partial(job_remind, job.id), robust=True)


def job_cancel(job: Job) -> None:
    """End a job that waits or runs. Who runs it has lost the claim: nothing of the outcome is written.

    Raises JobNotCancellable for one that has ended, and for the platform's own: deleting what nobody needs is not for
    anybody to stop.
    """
    now = timezone.now()
    cancelled = JobError("cancelled", "It was cancelled. Try it again, if it is wanted after all.", retryable=True)
    with transaction.atomic():
        held = (
            Job.objects.select_for_update()
            .filter(id=job.id, owner__isnull=False, state__in=(Job.State.QUEUED, Job.State.RUNNING))
            .first()
        )
        if held is None:
            raise JobNotCancellable
        Job.objects.filter(id=held.id).update(
            state=Job.State.CANCELLED,
            lease_until=None,
            finished=now,
            error_code=cancelled.code,
            error_message=cancelled.message,
            error_retryable=cancelled.retryable,
        )
        _attempt_remember(held, cancelled, ended=now)
        _give_up(held, cancelled)


def _give_up(job: Job, error: JobError) -> None:
    handler_of(job.kind).give_up(job, error)
    _tell_when_committed(job)


def _attempt_remember(job: Job, error: JobError, *, ended: datetime) -> None:
    """``job`` is as it was before the attempt ended."""
    running = job.state == Job.State.RUNNING
    Attempt.objects.create(
        job_id=job.id,
        number=job.attempts if running else job.attempts + 1,
        queued=job.not_before or job.created,
        started=job.started if running else None,
        ended=ended,
        code=error.code,
        message=error.message,
    )


def _backoff(job: Job) -> timedelta:
    """How long the next attempt waits."""
    made = job.attempts - (job.attempts_max - ATTEMPTS_MAX)
    return BACKOFF[min(made, len(BACKOFF)) - 1] * _jitter()


def _outage_wait(age: timedelta) -> timedelta:
    """How long a job of this age waits for a part that is away."""
    shortest, longest = OUTAGE_WAIT
    return max(shortest, min(age / 10, longest)) * _jitter()


def _jitter() -> float:
    return 1 + JITTER * _random.random()


def _promise(job_id: uuid.UUID, *, due: datetime) -> None:
    OutboxEntry.objects.update_or_create(job_id=job_id, defaults={"due": due, "publications": 0})


def _tell_when_committed(job: Job) -> None:
    if job.subject is not None:
        transaction.on_commit(partial(news_tell, job.subject), robust=True)


def _claim(job: Job) -> Any:
    """The job's row as long as it is this claim's."""
    return Job.objects.filter(id=job.id, state=Job.State.RUNNING, attempts=job.attempts)
