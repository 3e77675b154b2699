"""Rows of heavy work. They are the truth; the queue is a hint that there is something to look at."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class Job(models.Model):
    """One piece of work. ``attempts`` counts claims and fences them: who writes must still be the last to have claimed.

    ``subject`` is the id of what the work is about. It is no foreign key: a job outlives its subject, and tells of it.
    ``payload`` is for the handler alone; it may name private objects, so nothing shows it.
    """

    class Kind(models.TextChoices):
        THUMBNAIL = "thumbnail"
        PURGE = "purge"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32, choices=Kind)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    subject = models.UUIDField(null=True, db_index=True)
    payload = models.JSONField(default=dict)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    created = models.DateTimeField(auto_now_add=True)
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created", "-id")
        indexes = (
            models.Index(fields=["-created", "-id"], name="job_newest"),
            models.Index(fields=["lease_until"], name="job_lease", condition=Q(state="running")),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class OutboxEntry(models.Model):
    """A promise to tell the queue of a job, committed with the job and gone when the job ends.

    ``due`` is when to publish (again): it moves on with each publication, farther each time, so that a queue that lost
    its messages gets them back and one that is merely long is not flooded.
    """

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="outbox_entry")
    publications = models.PositiveSmallIntegerField(default=0)
    due = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"outbox entry of {self.job_id}"
