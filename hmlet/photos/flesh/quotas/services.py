"""Writes of usage. One conditional update decides, so two uploads at once cannot pass together.

Its row is locked until the caller's transaction ends: call it last, when nothing is waited for any more.
"""

from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.db.models import F

from quotas.errors import QuotaExceeded
from quotas.models import StorageUsage


def usage_charge(*, owner_id: int, bytes: int) -> None:
    """Count what is stored, in the transaction that stores it. Raises QuotaExceeded."""
    quota = settings.PHOTO_QUOTA_BYTES
    if not quota:
        return
    for _ in range(2):
        room = StorageUsage.objects.filter(owner_id=owner_id, bytes__lte=quota - bytes)
        if room.update(bytes=F("bytes") + bytes):
            return
        # Nothing held yet, perhaps.
        StorageUsage.objects.bulk_create([StorageUsage(owner_id=owner_id)], ignore_conflicts=True)
    raise QuotaExceeded(used=usage_of(owner_id=owner_id), quota=quota)


def usage_refund(*, owner_id: int, bytes: int) -> None:
    """Count what is deleted, in the transaction that deletes it."""
    if settings.PHOTO_QUOTA_BYTES:
        StorageUsage.objects.filter(owner_id=owner_id).update(bytes=F("bytes") - bytes)


def usage_check(*, owner_id: int, bytes: int) -> None:
    """Raise QuotaExceeded for what could not be stored now. A courtesy: usage_charge decides."""
    quota = settings.PHOTO_QUOTA_BYTES
    if quota and (used := usage_of(owner_id=owner_id)) + bytes > quota:
        raise QuotaExceeded(used=used, quota=quota)


def usage_of(*, owner_id: int) -> int:
    """The bytes that a user holds."""
    found = StorageUsage.objects.filter(owner_id=owner_id).values_list("bytes", flat=True).first()
    return found or 0


def usage_correct(*, owner_id: int, count: Callable[[], int]) -> bool:
    """Make it what ``count`` counts. Who stores or deletes meanwhile waits, or is waited for. True if it was wrong."""
    StorageUsage.objects.bulk_create([StorageUsage(owner_id=owner_id)], ignore_conflicts=True)
    with transaction.atomic():
        usage = StorageUsage.objects.select_for_update().get(owner_id=owner_id)
        before, usage.bytes = usage.bytes, count()
        usage.save(update_fields=["bytes"])
    return before != usage.bytes
