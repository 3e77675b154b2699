"""What the gallery does in workers: make thumbnails, delete objects."""

import os
import struct
import uuid
from io import BytesIO
from typing import BinaryIO, cast

from imaging.errors import ImageError
from imaging.sandbox import Sandbox
from imaging.thumbnail import Thumbnail, thumbnail_make
from jobs.errors import JobError
from jobs.handlers import Write, handler_register
from jobs.models import Job
from PIL import Image

from gallery.buckets import originals, thumbnails
from gallery.models import Original, Rendition
from gallery.originals import STORAGE_ERRORS, THUMBNAIL_KIND, original_delete_unused, rendition_key

BOX = (128, 128)


class ThumbnailHandler:
    """Original in, rendition out."""

    def work(self, job: Job) -> Write:
        original = Original.objects.filter(pk=job.subject).first() if job.subject else None
        if original is None or original.state == Original.State.READY:
            return _nothing
        thumbnail = _thumbnail_of(original)
        key = rendition_key(original)
        try:
            thumbnails().write(key, BytesIO(thumbnail.content), thumbnail.content_type)
        except STORAGE_ERRORS as error:
            raise _storage_away() from error
        return lambda: _rendition_write(original.pk, key, thumbnail)

    def give_up(self, job: Job, error: JobError) -> None:
        if job.subject is None:
            return
        Original.objects.filter(pk=job.subject, state=Original.State.PROCESSING).update(
            state=Original.State.FAILED, failure_code=error.code, failure_message=error.message
        )


class PurgeHandler:
    """Deletes an original that lost its last photo. Keys are never used twice, so nothing else can have its objects."""

    def work(self, job: Job) -> Write:
        # The row first: while it is there, a new photo of the same bytes may take it, and needs the objects.
        if job.subject is not None and not original_delete_unused(original_id=job.subject):
            return _nothing
        # An upload that came to nothing, or seemed to: a commit whose answer was lost has made the row all the same.
        if job.subject is None and Original.objects.filter(key__in=job.payload["originals"]).exists():
            return _nothing
        try:
            for key in job.payload["originals"]:
                originals().discard(key)
            for key in job.payload["thumbnails"]:
                thumbnails().discard(key)
        except STORAGE_ERRORS as error:
            raise _storage_away() from error
        return _nothing

    def give_up(self, job: Job, error: JobError) -> None:
        """The sweep deletes what no row names."""


def handlers_register() -> None:
    """Called once, when the app is ready."""
    handler_register(Job.Kind.THUMBNAIL, ThumbnailHandler())
    handler_register(Job.Kind.PURGE, PurgeHandler())


def _storage_away() -> JobError:
    return JobError("storage_unavailable", "The object storage did not answer.", retryable=True)


def _thumbnail_of(original: Original) -> Thumbnail:
    """Copied from the bucket into the sandbox, which decodes while bytes still come; it answers numbers and bytes."""
    sandbox = sandbox_take()
    _spent.append(sandbox)
    try:
        sandbox.source.begin(original.bytes)
        originals().read(original.key, sandbox.source)
        return _unpacked(sandbox.run())
    except FileNotFoundError as error:
        raise JobError("original_missing", "The stored image is not there any more. Post it again.") from error
    except STORAGE_ERRORS as error:
        raise _storage_away() from error
    except ImageError as error:
        raise JobError(error.code, error.message, retryable=error.retryable) from error


_standby: Sandbox | None = None
_spent: list[Sandbox] = []


def sandbox_stand_by() -> None:
    """Between jobs, when nobody waits: let go of the last child and fork one for the next thumbnail."""
    global _standby
    while _spent:
        _spent.pop().close()
    if _standby is None or _standby.owner != os.getpid():
        _standby = Sandbox(_packed_thumbnail, rehearse=_rehearse)


def sandbox_take() -> Sandbox:
    """The waiting child, else a new one."""
    global _standby
    sandbox_stand_by()
    taken, _standby = cast(Sandbox, _standby), None
    return taken


def _rehearse() -> None:
    _packed_thumbnail(BytesIO(_REHEARSAL))


def _rehearsal_image() -> bytes:
    out = BytesIO()
    Image.new("RGB", (1600, 1200)).save(out, "JPEG")
    return out.getvalue()


_REHEARSAL = _rehearsal_image()


def _packed_thumbnail(source: BinaryIO) -> bytes:
    return _packed(thumbnail_make(source, box=BOX))


_SIZES = struct.Struct("!4I")


def _packed(thumbnail: Thumbnail) -> bytes:
    sizes = (thumbnail.width, thumbnail.height, thumbnail.source_width, thumbnail.source_height)
    return _SIZES.pack(*sizes) + thumbnail.content


def _unpacked(answer: bytes) -> Thumbnail:
    width, height, source_width, source_height = _SIZES.unpack_from(answer)
    return Thumbnail(
        content=answer[_SIZES.size :],
        width=width,
        height=height,
        source_width=source_width,
        source_height=source_height,
    )


def _rendition_write(original_id: uuid.UUID, key: str, thumbnail: Thumbnail) -> None:
    # The original first: it is thereby locked, and who deletes it waits, and then deletes the rendition too.
    there = Original.objects.filter(pk=original_id).update(
        state=Original.State.READY,
        width=thumbnail.source_width,
        height=thumbnail.source_height,
        failure_code="",
        failure_message="",
    )
    if not there:
        return
    rendition = Rendition(
        original_id=original_id,
        kind=THUMBNAIL_KIND,
        key=key,
        content_type=thumbnail.content_type,
        bytes=len(thumbnail.content),
        width=thumbnail.width,
        height=thumbnail.height,
    )
    # One statement, where update_or_create takes four.
    Rendition.objects.bulk_create(
        [rendition],
        update_conflicts=True,
        unique_fields=["original", "kind"],
        update_fields=["key", "content_type", "bytes", "width", "height"],
    )


def _nothing() -> None:
    """There is nothing to write along with the job's end."""
