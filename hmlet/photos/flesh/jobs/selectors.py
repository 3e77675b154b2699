"""Reads of jobs: who sees which, and what a job looks like."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from ops.work import Work

from jobs.errors import JobMissing
from jobs.models import Job
from jobs.pictures import Pictures, pictures_find

Viewer = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a job, or is to: a job that is tried again is queued at a time to come.

    ``event`` is queued, started, failed (an attempt did), cancelled or done. ``code`` and ``message`` are of failures.
    """

    event: str
    at: datetime
    attempt: int
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job with its past and its pictures."""

    job: Job
    timeline: list[Event]
    pictures: Pictures | None


def jobs_with_past(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """With all that a timeline needs, in two queries whatever the number."""
    return jobs.select_related("owner").prefetch_related("past_attempts")


def jobs_visible(*, viewer: Viewer) -> QuerySet[Job]:
    """The viewer's own; all for staff."""
    jobs = jobs_with_past(Job.objects.all())
    return jobs if getattr(viewer, "is_staff", False) else jobs.filter(owner_id=viewer.pk)


def job_get(*, viewer: Viewer, job_id: uuid.UUID) -> Job:
    """A job that the viewer may see. Raises JobMissing, whether it is hidden or not there."""
    job = jobs_visible(viewer=viewer).filter(pk=job_id).first()
    if job is None:
        raise JobMissing
    return job


def job_waits(*, job_id: uuid.UUID) -> bool:
    """Whether the job is queued and due."""
    return _due().filter(pk=job_id).exists()


def background_next() -> uuid.UUID | None:
    """One of the background's jobs that are due, if there are any."""
    return next(iter(_due().filter(background=True).order_by().values_list("pk", flat=True)[:1]), None)


def subjects_at_work(*, kind: str) -> QuerySet[Job, uuid.UUID | None]:
    """The subjects of jobs of this kind that wait or run, for a subquery."""
    at_work = Job.objects.filter(kind=kind, state__in=(Job.State.QUEUED, Job.State.RUNNING), subject__isnull=False)
    return at_work.values_list("subject", flat=True)


def work_read() -> Work:
    """How much there is, in two queries that read what waits, runs and has failed."""
    now = timezone.now()
    at_work = Job.objects.filter(state__in=(Job.State.QUEUED, Job.State.RUNNING)).order_by().values("state", "kind")
    counted = list(at_work.annotate(count=Count("pk"), since=Min(Coalesce("not_before", "created"))))
    due = [now - row["since"] for row in counted if row["state"] == Job.State.QUEUED]
    failed = Job.objects.filter(state=Job.State.FAILED).order_by().values("kind", "error_code")
    lately = Count("pk", filter=Q(finished__gte=now - timedelta(hours=1)))
    failures = list(failed.annotate(count=Count("pk"), lately=lately))
    return Work(
        waiting={row["kind"]: row["count"] for row in counted if row["state"] == Job.State.QUEUED},
        running={row["kind"]: row["count"] for row in counted if row["state"] == Job.State.RUNNING},
        failed={(row["kind"], row["error_code"]): row["count"] for row in failures},
        failed_last_hour=sum(row["lately"] for row in failures),
        oldest_due_s=max(0.0, max(due, default=timedelta(0)).total_seconds()),
    )


def jobs_view(jobs: Sequence[Job]) -> list[JobView]:
    """What is shown of them, in a number of queries that does not depend on theirs."""
    pictures = pictures_find(jobs)
    return [JobView(job=job, timeline=job_timeline(job), pictures=pictures.get(job.pk)) for job in jobs]


def job_timeline(job: Job) -> list[Event]:
    """What happened to the job, first things first."""
    return list(_timeline(job))


def timelines_of_subjects(subjects: Iterable[uuid.UUID]) -> list[tuple[Job, list[Event]]]:
    """The jobs that were about any of these, oldest first, each with its timeline."""
    jobs = jobs_with_past(Job.objects.filter(subject__in=list(subjects))).order_by("created", "id")
    return [(job, job_timeline(job)) for job in jobs]


def _due() -> QuerySet[Job]:
    reached = Q(not_before=None) | Q(not_before__lte=timezone.now())
    return Job.objects.filter(reached, state=Job.State.QUEUED)


def _timeline(job: Job) -> Iterator[Event]:
    past_attempts = job.past_attempts.all()
    for past in past_attempts:
        yield Event(event="queued", at=past.queued, attempt=past.number)
        if past.started:
            yield Event(event="started", at=past.started, attempt=past.number)
        event = "cancelled" if past.code == "cancelled" else "failed"
        yield Event(event=event, at=past.ended, attempt=past.number, code=past.code, message=past.message)
    if past_attempts and job.state in {Job.State.FAILED, Job.State.CANCELLED}:
        return
    running = job.state != Job.State.QUEUED
    attempt = job.attempts if running else job.attempts + 1
    yield Event(event="queued", at=job.not_before or job.created, attempt=attempt)
    if running and job.started:
        yield Event(event="started", at=job.started, attempt=attempt)
    if job.finished:
        # "failed" only for a job that failed before there were rows of attempts.
        yield Event(event=job.state, at=job.finished, attempt=attempt, code=job.error_code, message=job.error_message)
