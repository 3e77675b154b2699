"""Announced uploads."""

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

STAGED = "uploads/"
"""Where in the originals' bucket announced bytes arrive. What becomes an original gets another key: no one is told."""


def staged_key() -> str:
    """A key that cannot be guessed."""
    return f"{STAGED}{secrets.token_hex(24)}"


class DirectUpload(models.Model):
    """Bytes that somebody announced and may put into the bucket. ``photo`` is what was made of them.

    ``multipart`` is the storage's id of an upload in parts, empty for one in one piece.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=100, unique=True, default=staged_key)
    bytes = models.BigIntegerField()
    content_type = models.CharField(max_length=32)
    sha256 = models.CharField(max_length=64)
    multipart = models.CharField(max_length=1024, blank=True)
    photo = models.UUIDField(null=True)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField(db_index=True)

    class Meta:
        indexes = (models.Index(fields=["owner"], name="upload_open", condition=Q(photo=None)),)
        constraints = (models.CheckConstraint(condition=Q(bytes__gt=0), name="upload_has_bytes"),)

    def __str__(self) -> str:
        return f"upload {self.id}"
