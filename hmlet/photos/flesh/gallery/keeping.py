"""Which objects the gallery's rows name, and which have to be there."""

import string
import uuid
from collections.abc import Iterator

from uploads.models import STAGED
from uploads.selectors import staged_keys_held

from gallery.models import Original, Rendition
from gallery.named import Kept

BATCH = 1000


def originals_named(keys: list[str]) -> set[str]:
    """Those of the keys that an Original or an upload on its way to become one names."""
    staged = [key for key in keys if key.startswith(STAGED)]
    return staged_keys_held(staged) | set(Original.objects.filter(key__in=keys).values_list("key", flat=True))


def originals_kept(folder: str) -> Iterator[Kept]:
    """Originals alone: what is announced need not have arrived, and is verified when it is used."""
    rows = Original.objects.filter(key__startswith=folder).order_by().only("key", "bytes", "sha256")
    for row in rows.iterator(chunk_size=BATCH):
        yield Kept(key=row.key, bytes=row.bytes, sha256=row.sha256)


def originals_forget(keys: list[str]) -> None:
    """Delete Originals, and the photos that show them."""
    Original.objects.filter(key__in=keys).delete()


def renditions_named(keys: list[str]) -> set[str]:
    """Those of the keys that a Rendition names."""
    return set(Rendition.objects.filter(key__in=keys).values_list("key", flat=True))


def renditions_kept(folder: str) -> Iterator[Kept]:
    """Asked for by the original's id, which keys begin with, because of that there is an index."""
    digits = folder.rstrip("/")
    if len(digits) != 2 or set(digits) - set(string.hexdigits):
        return
    first, last = (uuid.UUID(digits + filling * 30) for filling in "0f")
    rows = Rendition.objects.filter(original_id__gte=first, original_id__lte=last).order_by()
    rows = rows.only("key", "bytes", "original_id")
    for row in rows.iterator(chunk_size=BATCH):
        yield Kept(key=row.key, bytes=row.bytes, made_of=row.original_id)


def renditions_forget(keys: list[str]) -> None:
    """Delete rows of renditions."""
    Rendition.objects.filter(key__in=keys).delete()
