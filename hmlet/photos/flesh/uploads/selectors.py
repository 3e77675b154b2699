"""Reads of uploads."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from uploads.errors import upload_missing
from uploads.models import DirectUpload


def upload_get_own(*, owner: Any, upload_id: uuid.UUID) -> DirectUpload:
    """An upload of the owner's that has not expired, used or not. Raises NotFound."""
    upload = DirectUpload.objects.filter(pk=upload_id, owner_id=owner.pk, expires__gt=timezone.now()).first()
    if upload is None:
        raise upload_missing()
    return upload


def staged_keys_held(keys: Iterable[str]) -> set[str]:
    """Those of the keys at which an upload may still arrive."""
    return set(DirectUpload.objects.filter(key__in=list(keys)).values_list("key", flat=True))
