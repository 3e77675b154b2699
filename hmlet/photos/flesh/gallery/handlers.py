"""What the gallery does in workers: make thumbnails, delete objects."""

import struct
import uuid
from io import BytesIO

from gallery.buckets import originals, thumbnails
from gallery.models import Original, Rendition
from gallery.originals import STORAGE_ERRORS, THUMBNAIL_KIND, rendition_key
from imaging.errors import ImageError
from imaging.sandbox import sandbox_run
from imaging.thumbnail import Thumbnail, thumbnail_make
from jobs.errors import JobError
from jobs.handlers import Write, handler_register
from jobs.models import Job

BOX = (128, 128)


class ThumbnailHandler:
    """Original in, rendition out."""

    def work(self, job: Job) -> Write:
        original = Original.objects.filter(pk=job.subject).first()
        if original is None or original.state == Original.State.READY:
            return _nothing
        thumbnail = _thumbnail_of(_bytes_of(original))
        key = rendition_key(original)
        try:
            thumbnails().write(key, BytesIO(thumbnail.content), thumbnail.content_type)
        except STORAGE_ERRORS as error:
            raise _storage_away() from error
        return lambda: _rendition_write(original.pk, key, thumbnail)

    def give_up(self, job: Job, error: JobError) -> None:
        Original.objects.filter(pk=job.subject, state=Original.State.PROCESSING).update(
            state=Original.State.FAILED, failure_code=error.code, failure_message=error.message
        )


class PurgeHandler:
    """Deletes the objects of an original that is gone. Keys are never used twice, so nothing else can have them."""

    def work(self, job: Job) -> Write:
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


def _bytes_of(original: Original) -> bytes:
    try:
        return originals().read(original.key)
    except FileNotFoundError as error:
        raise JobError("original_missing", "The stored image is not there any more. Post it again.") from error
    except STORAGE_ERRORS as error:
        raise _storage_away() from error


def _storage_away() -> JobError:
    return JobError("storage_unavailable", "The object storage did not answer.", retryable=True)


def _thumbnail_of(source: bytes) -> Thumbnail:
    """Made in a child, whose answer is numbers and bytes."""
    try:
        return _unpacked(sandbox_run(lambda: _packed(thumbnail_make(source, box=BOX))))
    except ImageError as error:
        raise JobError(error.code, error.message, retryable=error.retryable) from error


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
    # Locked: whoever deletes the original waits, and then deletes the rendition too.
    if not Original.objects.select_for_update().filter(pk=original_id).exists():
        return
    Rendition.objects.update_or_create(
        original_id=original_id,
        kind=THUMBNAIL_KIND,
        defaults={
            "key": key,
            "content_type": thumbnail.content_type,
            "bytes": len(thumbnail.content),
            "width": thumbnail.width,
            "height": thumbnail.height,
        },
    )
    Original.objects.filter(pk=original_id).update(
        state=Original.State.READY,
        width=thumbnail.source_width,
        height=thumbnail.source_height,
        failure_code="",
        failure_message="",
    )


def _nothing() -> None:
    """There is nothing to write along with the job's end."""
