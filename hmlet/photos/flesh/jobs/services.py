"""Writes to jobs: create and publish, claim and renew, end, take back.

Each is a conditional update. Nothing holds a lock while work is done, so any process may die at any moment.
"""

import logging
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs.commits import commit_durably
from jobs.errors import JobError
from jobs.handlers import Write, handler_of
from jobs.models import Job, OutboxEntry
from jobs.news import news_tell

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 3
LEASE = timedelta(seconds=20)
PUBLICATION_GRACE = timedelta(seconds=10)
"""How long a new job has to be published and done before the reconciler publishes it, perhaps again."""
REPUBLISH_AFTER = timedelta(seconds=30)
BACKOFF = timedelta(seconds=2)


def job_create(
    *, kind: str, owner: AbstractBaseUser | None, subject: uuid.UUID | None, payload: Mapping[str, Any] | None = None
) -> Job:
    """A job and its outbox entry, in the caller's transaction; published once that has committed."""
    job = Job.objects.create(kind=kind, owner_id=owner.pk if owner else None, subject=subject, payload=payload or {})
    OutboxEntry.objects.create(job=job, due=timezone.now() + PUBLICATION_GRACE)
    transaction.on_commit(partial(_publish_or_leave, job.id), robust=True)
    return job


def job_publish(job_id: uuid.UUID) -> None:
    """Tell the queue of a job. Raises what the broker's client raises."""
    from jobs.tasks import run

    run.apply_async((str(job_id),), retry=False)


def _publish_or_leave(job_id: uuid.UUID) -> None:
    """Publish now, for speed. The entry stays as it is: the reconciler looks at it when most jobs are long done."""
    try:
        job_publish(job_id)
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the job is committed
        log.warning("job %s stays in the outbox: %s", job_id, error)


def job_claim(*, job_id: uuid.UUID) -> Job | None:
    """The job, now running and ours until its lease ends; None if it is not to be had (done, taken, not yet due)."""
    now = timezone.now()
    claimed = (
        Job.objects.filter(id=job_id, state=Job.State.QUEUED)
        .exclude(not_before__gt=now)
        .update(state=Job.State.RUNNING, attempts=F("attempts") + 1, started=now, lease_until=now + LEASE)
    )
    return Job.objects.get(id=job_id) if claimed else None


def job_renew(job: Job) -> bool:
    """Lengthen the lease of a claim. False when the claim is lost."""
    return bool(_claim(job).update(lease_until=timezone.now() + LEASE))


def job_complete(job: Job, *, write: Write) -> bool:
    """End a job and write its outcome in one transaction. False, and nothing written, when the claim is lost.

    On disk when this returns: "ready" is not taken back.
    """
    with transaction.atomic():
        commit_durably()
        ended = _claim(job).update(
            state=Job.State.DONE, finished=timezone.now(), lease_until=None, error_code="", error_message=""
        )
        if not ended:
            return False
        OutboxEntry.objects.filter(job_id=job.id).delete()
        write()
        _tell_when_committed(job)
    return True


def job_fail(job: Job, *, error: JobError) -> bool:
    """End an attempt without its work done: queue the next, or give up. False when the claim is lost."""
    again = error.retryable and job.attempts < ATTEMPTS_MAX
    now = timezone.now()
    with transaction.atomic():
        if again:
            not_before = now + BACKOFF * 2 ** (job.attempts - 1)
            ended = _claim(job).update(
                state=Job.State.QUEUED,
                lease_until=None,
                not_before=not_before,
                error_code=error.code,
                error_message=error.message,
            )
            if ended:
                _promise(job.id, due=not_before)
        else:
            ended = _claim(job).update(
                state=Job.State.FAILED,
                lease_until=None,
                finished=now,
                error_code=error.code,
                error_message=error.message,
            )
            if ended:
                commit_durably()
                OutboxEntry.objects.filter(job_id=job.id).delete()
                handler_of(job.kind).give_up(job, error)
                _tell_when_committed(job)
    return bool(ended)


def jobs_reconcile(*, limit: int = 500) -> tuple[int, int]:
    """Take back jobs whose lease ran out, publish what is due. How many of each. Two at once do no harm."""
    now = timezone.now()
    expired = list(Job.objects.filter(state=Job.State.RUNNING, lease_until__lt=now)[:limit])
    taken_back = sum(_take_back(job) for job in expired)
    due = list(OutboxEntry.objects.filter(due__lte=now).order_by("due")[:limit])
    return taken_back, _publish_all(due)


def _take_back(job: Job) -> bool:
    lost = JobError("worker_lost", "The worker that had this stopped in the middle of it.", retryable=True)
    log.warning("job %s: attempt %s was lost with its worker", job.id, job.attempts)
    return job_fail(job, error=lost)


def _publish_all(entries: Iterable[OutboxEntry]) -> int:
    published = 0
    for entry in entries:
        try:
            job_publish(entry.job_id)
        except Exception as error:  # noqa: BLE001 - the queue is away; the entries stay for the next round
            log.warning("the queue does not take jobs: %s", error)
            break
        # A worker may have ended the job by now: then there is no entry left to move on.
        due = timezone.now() + REPUBLISH_AFTER * 2 ** min(entry.publications, 7)
        OutboxEntry.objects.filter(pk=entry.pk).update(publications=F("publications") + 1, due=due)
        published += 1
    return published


def _promise(job_id: uuid.UUID, *, due: datetime) -> None:
    OutboxEntry.objects.update_or_create(job_id=job_id, defaults={"due": due, "publications": 0})


def _tell_when_committed(job: Job) -> None:
    if job.subject is not None:
        transaction.on_commit(partial(news_tell, job.subject), robust=True)


def _claim(job: Job) -> Any:
    """The job's row as long as it is this claim's."""
    return Job.objects.filter(id=job.id, state=Job.State.RUNNING, attempts=job.attempts)
