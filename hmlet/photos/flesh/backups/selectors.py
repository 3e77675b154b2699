"""Reads: when the stage was last backed up."""

from datetime import datetime

from backups.models import Backup


def backup_last() -> datetime | None:
    """The moment whose rows the last good backup holds."""
    return Backup.objects.order_by("-taken").values_list("taken", flat=True).first()
