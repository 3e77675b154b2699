"""Rows of heavy work. They are the truth; the queue is a hint that there is something to look at."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

ATTEMPTS_MAX = 3


class Kind(models.TextChoices):
    """What there is to do. A new kind is no change of any table."""

    THUMBNAIL = "thumbnail"
    RENDITIONS = "renditions"
    FILE_THUMBNAIL = "file_thumbnail", "Thumbnail of a file"
    DIFF = "diff", "Comparison"
    PURGE = "purge"


BACKGROUND = frozenset({Kind.RENDITIONS})
"""Kinds that nobody waits for: their turn comes when no other job is due, and few of them run at once."""


def kind_choices() -> list[tuple[str, str]]:
    """Asked for by the field, so that migrations need not know the kinds."""
    return Kind.choices


class Job(models.Model):
    """One piece of work. ``attempts`` counts claims and fences them: who writes must still be the last to have claimed.

    ``subject`` is the id of what the work is about. It is no foreign key: a job outlives its subject, and tells of it.
    ``payload`` is for the handler alone; it may name private objects, so nothing shows it.
    ``name`` is what the owner calls the thing: the name of the file as it was submitted.
    ``request_id`` is that of the request it came of, by way of other jobs perhaps; it ties together what is logged.
    ``not_before`` is null for a job that was due when it was made; a job in the queue waits from then on.
    """

    Kind = Kind

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32, choices=kind_choices)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    subject = models.UUIDField(null=True, db_index=True)
    payload = models.JSONField(default=dict)
    background = models.BooleanField(default=False, db_default=False)
    name = models.CharField(max_length=255, blank=True, default="", db_default="")
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    attempts_max = models.PositiveSmallIntegerField(default=ATTEMPTS_MAX, db_default=ATTEMPTS_MAX)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    error_retryable = models.BooleanField(default=False, db_default=False)
    created = models.DateTimeField(auto_now_add=True)
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created", "-id")
        indexes = (
            # Lists, newest first: of all, of one owner, and narrowed by state or kind.
            models.Index(fields=["-created", "-id"], name="job_newest"),
            models.Index(fields=["state", "-created", "-id"], name="job_newest_state"),
            models.Index(fields=["kind", "-created", "-id"], name="job_newest_kind"),
            models.Index(fields=["owner", "-created", "-id"], name="job_of_owner"),
            models.Index(fields=["owner", "state", "-created", "-id"], name="job_of_owner_state"),
            models.Index(fields=["owner", "kind", "-created", "-id"], name="job_of_owner_kind"),
            # Whose turn it is (jobs/turns.py): each owner's queue, and when each was served last.
            models.Index(
                Coalesce("owner", 0),
                Coalesce("not_before", "created"),
                F("id"),
                name="job_queue_foreground",
                condition=Q(state="queued", background=False),
            ),
            models.Index(
                Coalesce("owner", 0),
                Coalesce("not_before", "created"),
                F("id"),
                name="job_queue_background",
                condition=Q(state="queued", background=True),
            ),
            models.Index(Coalesce("owner", 0), F("started"), name="job_served"),
            models.Index(fields=["lease_until"], name="job_lease", condition=Q(state="running")),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Attempt(models.Model):
    """A stay in the queue and what followed, when that did not do the work: a failure, or a cancellation.

    What is queued, runs or did the work is told by the job itself, so that a job which simply works has no row here.
    ``started`` is null for one that was cancelled before it began.
    """

    job = models.ForeignKey(Job, models.CASCADE, related_name="past_attempts")
    number = models.PositiveSmallIntegerField()
    queued = models.DateTimeField()
    started = models.DateTimeField(null=True)
    ended = models.DateTimeField()
    code = models.CharField(max_length=64)
    message = models.TextField()

    class Meta:
        ordering = ("ended", "id")

    def __str__(self) -> str:
        return f"attempt {self.number} at {self.job_id}: {self.code}"


class OutboxEntry(models.Model):
    """A promise to tell the queue of a job, committed with the job. The reconciler lets go of it when the job has
    ended: at the end of each it would be a statement that somebody waits for.

    ``due`` is when the reconciler looks whether the queue still knows; it moves on with each publication.
    """

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="outbox_entry")
    publications = models.PositiveSmallIntegerField(default=0)
    due = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"outbox entry of {self.job_id}"
