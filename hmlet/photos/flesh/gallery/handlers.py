"""What the gallery does in workers: make thumbnails, delete objects."""

import uuid
from io import BytesIO

from imaging.confined import renditions_confined
from imaging.errors import ImageError
from imaging.renditions import Picture, Pictures, Wanted
from jobs.errors import JobError
from jobs.handlers import Write, handler_register
from jobs.models import Job

from gallery.buckets import originals, thumbnails
from gallery.models import Original, Rendition
from gallery.originals import STORAGE_ERRORS, THUMBNAIL_KIND, original_delete_unused, rendition_key

THUMBNAIL = Wanted(kind=THUMBNAIL_KIND, box=(128, 128))


class ThumbnailHandler:
    """Original in, rendition out."""

    def work(self, job: Job) -> Write:
        original = Original.objects.filter(pk=job.subject).first() if job.subject else None
        if original is None or original.state == Original.State.READY:
            return _nothing
        made = _made(original)
        key = rendition_key(original)
        (thumbnail,) = made.pictures
        try:
            thumbnails().write(key, BytesIO(thumbnail.content), thumbnail.content_type)
        except STORAGE_ERRORS as error:
            raise _storage_away() from error
        return lambda: _rendition_write(original.pk, key, made, thumbnail)

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


def _made(original: Original) -> Pictures:
    """Copied from the bucket into the sandbox, which decodes while bytes still come."""
    try:
        return renditions_confined(
            [THUMBNAIL], size_bytes=original.bytes, feed=lambda sink: originals().read(original.key, sink)
        )
    except FileNotFoundError as error:
        raise JobError("original_missing", "The stored image is not there any more. Post it again.") from error
    except STORAGE_ERRORS as error:
        raise _storage_away() from error
    except ImageError as error:
        raise JobError(error.code, error.message, retryable=error.retryable) from error


def _rendition_write(original_id: uuid.UUID, key: str, made: Pictures, thumbnail: Picture) -> None:
    # The original first: it is thereby locked, and who deletes it waits, and then deletes the rendition too.
    there = Original.objects.filter(pk=original_id).update(
        state=Original.State.READY,
        width=made.source_width,
        height=made.source_height,
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
