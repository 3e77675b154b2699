"""Photos, the originals behind them, and the renditions that are shown instead."""

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


def original_key(extension: str) -> str:
    """A key that nothing public resembles. The folder keeps directories short where buckets are directories."""
    token = secrets.token_hex(24)
    return f"{token[:2]}/{token[2:]}.{extension}"


class Original(models.Model):
    """The bytes that somebody posted, once, however many photos show them. They never leave the private bucket."""

    class State(models.TextChoices):
        PROCESSING = "processing"
        READY = "ready"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="originals")
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=100, unique=True)
    bytes = models.BigIntegerField()
    format = models.CharField(max_length=8)
    width = models.PositiveIntegerField(help_text="Pixels, as shown: after the EXIF orientation.")
    height = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.PROCESSING)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.TextField(blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["owner", "sha256"], name="original_once_per_owner"),)

    def __str__(self) -> str:
        return f"original {self.id}"


class Rendition(models.Model):
    """An object made of an original, smaller and in one format; gallery.renditions has the kinds."""

    original = models.ForeignKey(Original, models.CASCADE, related_name="renditions")
    kind = models.CharField(max_length=16)
    key = models.CharField(max_length=100)
    content_type = models.CharField(max_length=32)
    bytes = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["original", "kind"], name="rendition_once_per_kind"),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.original_id}"


class Photo(models.Model):
    """What the owner calls it, says of it, and whether others see it. ``publish_date`` is null exactly for drafts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="photos")
    # Its index is one of those below.
    original = models.ForeignKey(Original, models.CASCADE, related_name="photos", db_index=False)
    name = models.CharField(max_length=150)
    caption = models.TextField(max_length=2000, blank=True)
    draft = models.BooleanField(default=False)
    publish_date = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-publish_date", "-id")
        constraints = (
            models.UniqueConstraint(fields=["owner", "name"], name="photo_name_once_per_owner"),
            models.CheckConstraint(
                condition=Q(draft=True, publish_date=None) | Q(draft=False, publish_date__isnull=False),
                name="photo_published_has_date",
            ),
        )
        indexes = (
            # Pages go by these: published photos of all or of one, and one's drafts. The condition is word for word
            # what pages ask for (ops.pages), or PostgreSQL does not see that the index will do.
            models.Index(fields=["publish_date", "id"], name="photo_dated", condition=Q(publish_date__isnull=False)),
            models.Index(fields=["owner", "publish_date", "id"], name="photo_of_owner"),
            # Whose first entry is the earliest photo of an original, however many there are.
            models.Index(fields=["original", "created", "id"], name="photo_of_original"),
        )

    def __str__(self) -> str:
        return self.name


class PhotoTag(models.Model):
    """A ``#tag`` of a photo's caption, folded, for searching. The caption is the truth."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="tag_rows")
    name = models.CharField(max_length=50)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["photo", "name"], name="tag_once_per_photo"),)
        indexes = (models.Index(fields=["name", "photo"], name="tag_photos"),)

    def __str__(self) -> str:
        return self.name


class IntegrityRun(models.Model):
    """A comparison of rows with objects that came to its end, and what it found: before it repaired any of it."""

    finished = models.DateTimeField(auto_now_add=True, db_index=True)
    deep = models.BooleanField(help_text="Contents were compared, too.")
    missing = models.PositiveBigIntegerField()
    mismatched = models.PositiveBigIntegerField()
    orphaned = models.PositiveBigIntegerField()

    class Meta:
        ordering = ("-finished", "-id")

    def __str__(self) -> str:
        return f"{self.missing} missing, {self.mismatched} mismatched, {self.orphaned} orphaned"
