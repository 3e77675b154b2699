"""What beat asks for every few seconds: take back what was dropped, publish what got lost, forget what was kept."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from jobs import services
from jobs.errors import JobError
from jobs.models import Job, OutboxEntry
from jobs.queue import queue_length

log = logging.getLogger(__name__)

REPUBLISH_AFTER = timedelta(seconds=30)
FORGOTTEN_AT_ONCE = 10_000


def jobs_reconcile(*, limit: int = 500) -> tuple[int, int]:
    """Take back jobs whose lease ran out, publish what is due. How many of each. Two at once do no harm.

    A message is for whichever job comes next, so only so many are published as are not in the queue: one that is merely
    long is not flooded, and one that lost everything is filled again at once.
    """
    now = timezone.now()
    expired = list(Job.objects.filter(state=Job.State.RUNNING, lease_until__lt=now)[:limit])
    taken_back = sum(_take_back(job) for job in expired)
    due = list(OutboxEntry.objects.filter(due__lte=now, job__state=Job.State.QUEUED).order_by("due")[:limit])
    missing = max(0, len(due) - queue_length()) if due else 0
    published = _publish_all(due[:missing])
    _forget_kept(now)
    return taken_back, published


def _forget_kept(now: datetime) -> None:
    """Delete entries of jobs that have ended. Not one of a job that is tried again meanwhile: it is due later then, by
    more than clocks differ."""
    over = OutboxEntry.objects.filter(due__lte=now).exclude(job__state__in=(Job.State.QUEUED, Job.State.RUNNING))
    keys = list(over.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    OutboxEntry.objects.filter(pk__in=keys, due__lte=now).delete()


def _take_back(job: Job) -> bool:
    lost = JobError("worker_lost", "The worker that had this stopped in the middle of it.", retryable=True)
    log.warning("job %s: attempt %s was lost with its worker", job.id, job.attempts)
    # Its lease was wait enough.
    return services.job_fail(job, error=lost, delay=timedelta(0))


def _publish_all(entries: Iterable[OutboxEntry]) -> int:
    published = 0
    for entry in entries:
        try:
            services.job_publish(entry.job_id)
        except Exception as error:  # noqa: BLE001 - the queue is away; the entries stay for the next round
            log.warning("the queue does not take jobs: %s", error)
            break
        # A worker may have ended the job by now: then the entry is kept for as much longer.
        due = timezone.now() + REPUBLISH_AFTER
        OutboxEntry.objects.filter(pk=entry.pk).update(publications=F("publications") + 1, due=due)
        published += 1
    return published
