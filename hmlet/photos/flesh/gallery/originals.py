"""Originals: receiving one, storing it once per owner, letting go of it with its last photo.

The order matters. An object and the rows that name it are written at the same time, but the rows commit when the object
is there; and it is deleted by a job that the deletion of the row commits. A process that dies in between leaves an
object without a row, which a sweep finds, never the reverse.
"""

import hashlib
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import IO, Any, TypeVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.db import Error, IntegrityError, transaction
from django.utils import timezone
from imaging.errors import ImageError
from imaging.header import Header, header_read
from jobs.models import Job
from jobs.services import job_create, purge_create
from quotas.services import usage_charge, usage_refund
from uploads.staging import storage_takes

from gallery.buckets import Bucket, originals, thumbnails
from gallery.errors import ImageBytesLimit, ImageRefused
from gallery.models import Original, original_key
from gallery.named import ALIASES, named_of
from gallery.renditions import rendition_keys
from gallery.storing import Storing

log = logging.getLogger(__name__)

ORPHAN_GRACE = timedelta(hours=1)
"""Longer than any request or job lives: an object younger than this may be about to get its row."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A received image, judged by its header and hashed; not stored yet. ``name`` is that of a file that was posted."""

    name: str
    file: IO[bytes]
    header: Header
    sha256: str
    bytes: int


def upload_inspect(*, file: "File[bytes]", sha256: str | None = None) -> Upload:
    """Judge and, unless that was done, hash what was received. Raises ImageRefused or ImageBytesLimit."""
    size = file.size
    if size > settings.PHOTO_MAX_BYTES:
        raise ImageBytesLimit(settings.PHOTO_MAX_BYTES)
    # Pillow and urllib3 take the plain file inside Django's wrapper, where reading costs no Python call per chunk.
    inner: Any = file.file if file.file is not None else file
    try:
        header = header_read(inner)
    except ImageError as error:
        raise ImageRefused(error) from error
    digest = sha256 or hashlib.file_digest(inner, "sha256").hexdigest()
    name = file.name if isinstance(file, UploadedFile) else None
    return Upload(name=name or "", file=inner, header=header, sha256=digest, bytes=size)


def with_original(
    *, owner: AbstractBaseUser, upload: Upload, write: Callable[[Original], Row], stored: bool | None = None
) -> Row:
    """Call ``write`` with the upload's Original, in the transaction that creates or holds it.

    The bytes are stored unless this owner has them. Whoever else posts or deletes the same bytes at the same moment is
    met by trying again. ``stored`` says whether this owner had them a moment ago, where that is known.

    Raises StorageUnavailable, QuotaExceeded, and what ``write`` raises; then nothing is kept.
    """
    storing: Storing | None = None
    used = False
    try:
        while True:
            if stored is None:
                stored = Original.objects.filter(owner_id=owner.pk, sha256=upload.sha256).exists()
            if storing is None and not stored:
                storing = _store(upload)
            stored = None
            original: Original | None = None
            try:
                with transaction.atomic():
                    original = _held(owner, upload, storing.key if storing else None)
                    if original is None:
                        continue
                    row = write(original)
                    if storing:
                        with storage_takes():
                            storing.wait()
                        if original.key == storing.key:
                            usage_charge(owner_id=owner.pk, bytes=original.bytes)
            except IntegrityError:
                # Without an original, somebody has stored the same bytes meanwhile; with one, it was write's.
                if original is None:
                    continue
                raise
            used = storing is not None and original.key == storing.key
            return row
    finally:
        if storing and not used and storing.is_there():
            _discard_later(storing.key)


def _held(owner: AbstractBaseUser, upload: Upload, key: str | None) -> Original | None:
    """The owner's Original of these bytes, locked against deletion; None if it went and its bytes are not stored."""
    original = Original.objects.select_for_update().filter(owner_id=owner.pk, sha256=upload.sha256).first()
    if original is None:
        if key is None:
            return None
        original = Original.objects.create(
            owner_id=owner.pk,
            sha256=upload.sha256,
            key=key,
            bytes=upload.bytes,
            format=upload.header.format,
            width=upload.header.width,
            height=upload.header.height,
        )
    elif original.state != Original.State.FAILED:
        return original
    else:
        # Posting again is how a person tries again.
        original.state, original.failure_code, original.failure_message = Original.State.PROCESSING, "", ""
        original.save(update_fields=["state", "failure_code", "failure_message"])
    job_create(kind=Job.Kind.THUMBNAIL, owner=owner, subject=original.id, name=upload.name)
    return original


def original_release(*, original: Original) -> None:
    """Commit a job that deletes the Original and its objects, unless photos show it by then. Needs a transaction.

    A job, so that no transaction ever waits for two originals.
    """
    purge_create(originals=[original.key], thumbnails=rendition_keys(original.pk), subject=original.pk)


def original_delete_unused(*, original_id: uuid.UUID) -> bool:
    """Delete the row of an Original that no photo shows. False if one does; then its objects are needed."""
    with transaction.atomic():
        held = Original.objects.select_for_update().filter(pk=original_id).first()
        if held is None:
            return True
        if held.photos.exists():
            return False
        held.delete()
        usage_refund(owner_id=held.owner_id, bytes=held.bytes)
    return True


def objects_sweep() -> int:
    """Delete objects that no row names, older than any upload lives. How many."""
    before = timezone.now() - ORPHAN_GRACE
    named = {alias: partial(named_of, alias) for alias in ALIASES}
    return _sweep(originals(), named["originals"], before) + _sweep(thumbnails(), named["thumbnails"], before)


def _sweep(bucket: Bucket, named_of: Callable[[list[str]], set[str]], before: datetime) -> int:
    swept = 0
    batch: list[str] = []

    def flush() -> int:
        named = named_of(batch)
        orphans = [key for key in batch if key not in named]
        for key in orphans:
            bucket.discard(key)
        batch.clear()
        return len(orphans)

    for key in bucket.keys(older_than=before):
        batch.append(key)
        if len(batch) == 500:
            swept += flush()
    return swept + flush()


def _store(upload: Upload) -> Storing:
    key = original_key(upload.header.extension)
    return Storing(originals(), key, upload.file, upload.header.content_type)


def _discard_later(key: str) -> None:
    """Have an object that no row names deleted by a job: who stores originals need not be allowed to delete them."""
    try:
        with transaction.atomic():
            purge_create(originals=[key])
    except Error as error:
        log.warning("an object without a row stays until the sweep: %s", error)
