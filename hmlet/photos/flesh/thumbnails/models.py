"""Images that were sent for a thumbnail alone."""

import uuid

from django.conf import settings
from django.db import models


class LooseImage(models.Model):
    """The file as it was sent, and the thumbnail once it is made. Its job's subject.

    Both keys are chosen when the row is made, so that every attempt writes the same object.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=100, unique=True)
    bytes = models.BigIntegerField()
    width = models.PositiveIntegerField(help_text="Pixels, as shown: after the EXIF orientation.")
    height = models.PositiveIntegerField()
    box_width = models.PositiveSmallIntegerField()
    box_height = models.PositiveSmallIntegerField()
    thumbnail_key = models.CharField(max_length=100, unique=True)
    thumbnail_content_type = models.CharField(max_length=32, blank=True)
    thumbnail_bytes = models.PositiveIntegerField(null=True)
    thumbnail_width = models.PositiveIntegerField(null=True)
    thumbnail_height = models.PositiveIntegerField(null=True)
    created = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"loose image {self.id}"
