"""Comparisons of two images, and what takes part in them."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q


class Diff(models.Model):
    """Two images, how they are compared, and what came of it. The subject of its job.

    ``picture_key`` is chosen when the row is made, so that every attempt writes the same object. ``job_id`` is no
    foreign key: jobs are forgotten sooner than what is kept.
    """

    class State(models.TextChoices):
        PROCESSING = "processing"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    keep = models.BooleanField(help_text="Stays until it is deleted, and is listed.")
    state = models.CharField(max_length=16, choices=State, default=State.PROCESSING)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.TextField(blank=True)
    options: Any = models.JSONField(help_text="As imaging.confined_diff tells them.")
    job_id = models.UUIDField()
    picture_key = models.CharField(max_length=100, unique=True)
    picture_bytes = models.PositiveIntegerField(null=True)
    picture_width = models.PositiveIntegerField(null=True)
    picture_height = models.PositiveIntegerField(null=True)
    regions: Any = models.JSONField(default=list)
    regions_found = models.PositiveIntegerField(null=True)
    pixels_changed = models.PositiveIntegerField(null=True)
    pixels_compared = models.PositiveIntegerField(null=True)
    aligned = models.CharField(max_length=8, blank=True)
    shift_right = models.SmallIntegerField(null=True)
    shift_down = models.SmallIntegerField(null=True)
    created = models.DateTimeField(auto_now_add=True)
    finished = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created", "-id")
        indexes = (
            models.Index(fields=["owner", "-created", "-id"], name="diff_kept_of_owner", condition=Q(keep=True)),
            models.Index(fields=["-created", "-id"], name="diff_newest"),
            models.Index(fields=["created"], name="diff_passing", condition=Q(keep=False)),
        )

    def __str__(self) -> str:
        return f"comparison {self.id}"

    @property
    def share_changed(self) -> float | None:
        """Of the pixels that were compared."""
        if self.pixels_changed is None or self.pixels_compared is None:
            return None
        return self.pixels_changed / self.pixels_compared if self.pixels_compared else 0.0


class Side(models.Model):
    """One of the two images: a photo, or a file that was sent, under ``key`` in the bucket of originals.

    ``photo_id`` is no foreign key: a photo may be deleted, and what was compared stays compared. ``key`` is null for a
    photo, and for a file whose time is over. ``bytes`` is of a file; ``width`` and ``height`` are pixels as compared.
    """

    class Place(models.TextChoices):
        BEFORE = "before"
        AFTER = "after"

    diff = models.ForeignKey(Diff, models.CASCADE, related_name="sides")
    place = models.CharField(max_length=8, choices=Place)
    photo_id = models.UUIDField(null=True, db_index=True)
    name = models.CharField(max_length=255, blank=True)
    key = models.CharField(max_length=100, unique=True, null=True)
    bytes = models.BigIntegerField(null=True)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["diff", "place"], name="diff_side_once"),)

    def __str__(self) -> str:
        return f"{self.place} of {self.diff_id}"
