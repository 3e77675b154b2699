"""What each user holds."""

from django.conf import settings
from django.db import models


class StorageUsage(models.Model):
    """The bytes of a user's originals. It changes in the transaction that makes or deletes one."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    bytes = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"usage of {self.owner_id}"
