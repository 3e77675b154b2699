"""Writes of uploads: announce, sign, fetch, use, discard, sweep.

A signature binds length, type and SHA-256, but not every S3 server compares the bytes with the last two. So an upload
is fetched and verified when it is finalised, and what was verified is what is stored: the object that the signed URL
can still overwrite becomes no original.
"""

import base64
import hashlib
import logging
import math
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import IO, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.base import File
from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone
from imaging.header import EXTENSIONS
from jobs.services import purge_create
from ops.errors import InvalidInput
from quotas.services import usage_check

from uploads.errors import (
    ImageBytesLimit,
    StorageUnavailable,
    UploadIncomplete,
    UploadInOnePiece,
    UploadMismatch,
    UploadsOpenLimit,
    UploadUsed,
    upload_missing,
)
from uploads.models import DirectUpload, staged_key
from uploads.staging import STORAGE_ERRORS, Staging, StoredPart, staging

log = logging.getLogger(__name__)

LIFE = timedelta(hours=24)
URL_LIFE = timedelta(hours=1)
SWEEP_GRACE = timedelta(hours=1)
"""A finalisation that began in time may still read."""
OPEN_MAX = 2000
PART_BYTES = 16 * 1024 * 1024
PARTS_MAX = 1000
CONTENT_TYPES = frozenset(content_type for content_type, _ in EXTENSIONS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPut:
    """What the holder may put where: a body of ``bytes`` with these ``headers``, until ``expires``."""

    url: str
    headers: Mapping[str, str]
    bytes: int
    expires: datetime


def upload_create(*, owner: AbstractBaseUser, bytes: int, content_type: str, sha256: str) -> DirectUpload:
    """Announce an upload. ``sha256`` is hexadecimal. Over UPLOAD_PARTS_OVER_BYTES it goes in parts.

    Raises InvalidInput, ImageBytesLimit, UploadsOpenLimit, QuotaExceeded or StorageUnavailable.
    """
    if bytes > settings.PHOTO_MAX_BYTES:
        raise ImageBytesLimit(settings.PHOTO_MAX_BYTES)
    if content_type not in CONTENT_TYPES:
        message = f"Of these types an image may be: {', '.join(sorted(CONTENT_TYPES))}."
        raise InvalidInput(message, errors={"content_type": [message]})
    opened = DirectUpload.objects.filter(owner_id=owner.pk, photo=None).aggregate(count=Count("pk"), sum=Sum("bytes"))
    if opened["count"] >= OPEN_MAX:
        raise UploadsOpenLimit(OPEN_MAX)
    usage_check(owner_id=owner.pk, bytes=(opened["sum"] or 0) + bytes)
    key = staged_key()
    multipart = ""
    if bytes > settings.UPLOAD_PARTS_OVER_BYTES:
        with _storage() as bucket:
            multipart = bucket.parts_begin(key, content_type)
    return DirectUpload.objects.create(
        owner_id=owner.pk,
        key=key,
        bytes=bytes,
        content_type=content_type,
        sha256=sha256.lower(),
        multipart=multipart,
        expires=timezone.now() + LIFE,
    )


def upload_sign(upload: DirectUpload) -> SignedPut | None:
    """Leave to put all of it. None for an upload in parts, and for one that is used."""
    if upload.multipart or upload.photo:
        return None
    headers = {"content-type": upload.content_type, **staging().encryption_headers()}
    return _signed(upload, bytes=upload.bytes, sha256=upload.sha256, headers=headers)


def part_count(upload: DirectUpload) -> int:
    """How many parts it goes in."""
    return math.ceil(upload.bytes / PART_BYTES)


def part_bytes(upload: DirectUpload, number: int) -> int:
    """The length of a part, of which the last may be shorter. Raises InvalidInput for a number that is none."""
    count = part_count(upload)
    if not 1 <= number <= count:
        message = f"The parts of this upload have the numbers 1 to {count}."
        raise InvalidInput(message, errors={"parts": [message]})
    return PART_BYTES if number < count else upload.bytes - PART_BYTES * (count - 1)


def upload_sign_part(upload: DirectUpload, *, number: int, sha256: str) -> SignedPut:
    """Leave to put one part. Raises InvalidInput, UploadInOnePiece or UploadUsed."""
    if upload.photo:
        raise UploadUsed
    if not upload.multipart:
        raise UploadInOnePiece
    query = {"partNumber": str(number), "uploadId": upload.multipart}
    return _signed(upload, bytes=part_bytes(upload, number), sha256=sha256, query=query)


def parts_there(upload: DirectUpload) -> list[StoredPart]:
    """The parts that have arrived whole. Raises StorageUnavailable."""
    if not upload.multipart or upload.photo:
        return []
    try:
        with _storage() as bucket:
            found = bucket.parts_list(upload.key, upload.multipart)
    except FileNotFoundError:
        return []
    count = part_count(upload)
    return [part for part in found if part.number <= count and part.bytes == part_bytes(upload, part.number)]


@contextmanager
def upload_fetched(upload: DirectUpload) -> Iterator["File[bytes]"]:
    """The announced bytes in a file, in memory if they are few; size and SHA-256 are what was announced.

    Raises UploadUsed, UploadIncomplete, StorageUnavailable, or UploadMismatch, and then the upload is discarded.
    """
    if upload.photo:
        raise UploadUsed
    if upload.multipart:
        _joined(upload)
    with _spool(upload.bytes) as spool:
        arriving = _Verifying(spool, upload.bytes)
        try:
            with _storage() as bucket:
                bucket.read(upload.key, arriving)
        except FileNotFoundError:
            raise UploadIncomplete("nothing has arrived yet") from None
        except _TooLong:
            upload_discard(upload)
            raise UploadMismatch(f"it has more than {upload.bytes} bytes") from None
        if arriving.length != upload.bytes:
            upload_discard(upload)
            raise UploadMismatch(f"it has {arriving.length} bytes, not {upload.bytes}")
        if arriving.digest.hexdigest() != upload.sha256:
            upload_discard(upload)
            raise UploadMismatch("its SHA-256 is another one")
        spool.seek(0)
        yield File(spool, name=str(upload.pk))


def upload_use(upload: DirectUpload, *, photo_id: uuid.UUID) -> None:
    """Write that a photo is made of it, in the photo's transaction; its staged object goes by a job.

    Raises UploadUsed when it was, or is, by another.
    """
    if not DirectUpload.objects.filter(pk=upload.pk, photo=None).update(photo=photo_id):
        raise UploadUsed
    _discard_staged(upload)


def upload_discard(upload: DirectUpload) -> None:
    """Forget the upload and all that has arrived of it. Raises NotFound if it is gone, UploadUsed if it is used."""
    with transaction.atomic():
        if not DirectUpload.objects.filter(pk=upload.pk, photo=None).delete()[0]:
            raise UploadUsed if DirectUpload.objects.filter(pk=upload.pk).exists() else upload_missing()
        _discard_staged(upload)
    if upload.multipart:
        try:
            staging().parts_abort(upload.key, upload.multipart)
        except FileNotFoundError:
            pass
        except STORAGE_ERRORS as error:
            # The storage forgets unfinished uploads by itself, sooner or later (doc/charts.rst).
            log.warning("an upload in parts is not aborted: %s", error)


def uploads_sweep(*, limit: int = 1000) -> int:
    """Abort and forget what was not finalised in time. How many. Raises what the storage's client raises."""
    swept = 0
    for upload in DirectUpload.objects.filter(expires__lt=timezone.now() - SWEEP_GRACE)[:limit]:
        if upload.multipart and not upload.photo:
            try:
                staging().parts_abort(upload.key, upload.multipart)
            except FileNotFoundError:
                log.debug("%s has no parts any more", upload)
        staging().discard(upload.key)
        swept += upload.delete()[0]
    return swept


def _signed(
    upload: DirectUpload,
    *,
    bytes: int,
    sha256: str,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> SignedPut:
    now = timezone.now()
    life = min(URL_LIFE, upload.expires - now)
    checksum = base64.b64encode(bytes_of_hex(sha256)).decode()
    bound = {**(headers or {}), "x-amz-checksum-sha256": checksum}
    signed = {"content-length": str(bytes), **bound}
    url = staging().signed_put(upload.key, headers=signed, query=query or {}, life=life)
    return SignedPut(url=url, headers=bound, bytes=bytes, expires=now + life)


def bytes_of_hex(sha256: str) -> bytes:
    """Raises InvalidInput unless it is a SHA-256 in hexadecimal."""
    try:
        digest = bytes.fromhex(sha256)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        message = "A SHA-256 is 64 hexadecimal digits."
        raise InvalidInput(message, errors={"sha256": [message]})
    return digest


def _joined(upload: DirectUpload) -> None:
    """Have the storage make one object of the parts, unless it has done that. Raises UploadIncomplete."""
    there = {part.number: part for part in parts_there(upload)}
    missing = [number for number in range(1, part_count(upload) + 1) if number not in there]
    try:
        with _storage() as bucket:
            if missing:
                # Joined by an earlier attempt, or not all there.
                bucket.parts_list(upload.key, upload.multipart)
                raise UploadIncomplete(f"of its {part_count(upload)} parts {len(missing)} are missing")
            bucket.parts_join(upload.key, upload.multipart, [there[number] for number in sorted(there)])
    except FileNotFoundError:
        log.debug("%s was joined before", upload)


def _discard_staged(upload: DirectUpload) -> None:
    purge_create(originals=[upload.key])


@contextmanager
def _storage() -> Iterator[Staging]:
    try:
        yield staging()
    except FileNotFoundError:
        raise
    except STORAGE_ERRORS as error:
        log.warning("the object storage does not answer for an upload: %s", error)
        raise StorageUnavailable from error


def _spool(size: int) -> IO[bytes]:
    """As Django receives a form's file: in memory up to a size, in a temporary file beyond."""
    if size <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
        return BytesIO()
    return cast(IO[bytes], tempfile.TemporaryFile(prefix="upload-"))


class _TooLong(Exception):
    """More arrives than was announced."""


class _Verifying:
    """Hashes what it writes on, and ends what is too long."""

    def __init__(self, into: IO[bytes], limit: int) -> None:
        self._into = into
        self._limit = limit
        self.length = 0
        self.digest = hashlib.sha256()

    def write(self, content: bytes, /) -> int:
        self.length += len(content)
        if self.length > self._limit:
            raise _TooLong
        self.digest.update(content)
        return self._into.write(content)
