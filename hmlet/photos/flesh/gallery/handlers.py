"""What the gallery does in workers: make thumbnails and renditions, delete objects."""

from collections.abc import Callable, Sequence
from io import BytesIO

from django.contrib.auth import get_user_model
from imaging.confined import renditions_confined
from imaging.renditions import Picture, Pictures, Wanted
from jobs.errors import JobError
from jobs.handlers import Write, handler_register, write_nothing
from jobs.models import Job
from jobs.services import job_create, purge_create
from uploads.staging import STORAGE_ERRORS

from gallery.buckets import originals, thumbnails
from gallery.models import Original, Rendition
from gallery.originals import original_delete_unused
from gallery.renditions import OTHERS, SIZES_BY_KIND, THUMBNAIL, rendition_key, rendition_keys, rendition_kind
from gallery.storing import Storing
from gallery.work_errors import as_job_errors, storage_away

STORED_WITHIN_S = 10.0
"""Less than a lease: nobody renews that while a transaction waits."""


class ThumbnailHandler:
    """Original in, thumbnail out: what an upload waits for. Its end commits the job that makes the other renditions."""

    def work(self, job: Job) -> Write:
        return _with_original(job, self._work)

    def _work(self, job: Job, original: Original) -> Write:
        if original.state == Original.State.READY:
            return write_nothing
        made = _made(original, [THUMBNAIL])
        stored = _Stored(original, made.pictures)
        return lambda: self._write(job, original, made, stored)

    def give_up(self, job: Job, error: JobError) -> None:
        if job.subject is None:
            return
        Original.objects.filter(pk=job.subject, state=Original.State.PROCESSING).update(
            state=Original.State.FAILED, failure_code=error.code, failure_message=error.message
        )

    def take_up(self, job: Job) -> None:
        if job.subject is None:
            return
        Original.objects.filter(pk=job.subject, state=Original.State.FAILED).update(
            state=Original.State.PROCESSING, failure_code="", failure_message=""
        )

    def _write(self, job: Job, original: Original, made: Pictures, stored: "_Stored") -> None:
        # The original first: it is thereby locked, and who deletes it waits, and then deletes the renditions too.
        there = Original.objects.filter(pk=original.pk).update(
            state=Original.State.READY,
            width=made.source_width,
            height=made.source_height,
            failure_code="",
            failure_message="",
        )
        if not there:
            stored.wait()
            _leave_nothing(job)
            return
        _rows_write(stored.rows)
        # Named by id alone, which spares asking for the user.
        owner = get_user_model()(pk=job.owner_id) if job.owner_id else None
        job_create(kind=Job.Kind.RENDITIONS, owner=owner, subject=original.pk, name=job.name)
        stored.wait()


class RenditionsHandler:
    """Original in, all the other renditions out. The photo is ready before this and stays so when it fails.

    With ``again`` in its payload, all are made whatever rows say: objects of theirs are gone or broken.
    """

    def work(self, job: Job) -> Write:
        return _with_original(job, self._work)

    def _work(self, job: Job, original: Original) -> Write:
        again = job.payload.get("again", False)
        if not again and set(original.renditions.values_list("kind", flat=True)) >= set(SIZES_BY_KIND):
            return write_nothing
        # All of them, whatever is there: they are made of each other, and come out the same each time.
        pictures = _made(original, OTHERS, patient=True).pictures
        if again:
            # Alone, as the first time: of one decode with the others it would come out a little different.
            pictures += _made(original, [THUMBNAIL], patient=True).pictures
        stored = _Stored(original, pictures)
        return lambda: self._write(job, original, stored)

    def give_up(self, job: Job, error: JobError) -> None:
        """The job tells the reason."""

    def take_up(self, job: Job) -> None:
        """The photo has been ready all the time."""

    def _write(self, job: Job, original: Original, stored: "_Stored") -> None:
        stored.wait()
        if Original.objects.select_for_update().filter(pk=original.pk).values_list("pk").first():
            _rows_write(stored.rows)
        else:
            _leave_nothing(job)


class PurgeHandler:
    """Deletes an original that lost its last photo. Keys are never used twice, so nothing else can have its objects."""

    def work(self, job: Job) -> Write:
        # The row first: while it is there, a new photo of the same bytes may take it, and needs the objects.
        if job.subject is not None and not original_delete_unused(original_id=job.subject):
            return write_nothing
        # An upload that came to nothing, or seemed to: a commit whose answer was lost has made the row all the same.
        if job.subject is None and Original.objects.filter(key__in=job.payload["originals"]).exists():
            return write_nothing
        renditions = rendition_keys(job.subject) if job.subject else ()
        try:
            for key in job.payload["originals"]:
                originals().discard(key)
            for key in {*job.payload["thumbnails"], *renditions}:
                thumbnails().discard(key)
        except STORAGE_ERRORS as error:
            raise storage_away(error) from error
        return write_nothing

    def give_up(self, job: Job, error: JobError) -> None:
        """The sweep deletes what no row names."""

    def take_up(self, job: Job) -> None:
        """Nobody sees what is to be deleted."""


def handlers_register() -> None:
    """Called once, when the app is ready."""
    handler_register(Job.Kind.THUMBNAIL, ThumbnailHandler())
    handler_register(Job.Kind.RENDITIONS, RenditionsHandler())
    handler_register(Job.Kind.PURGE, PurgeHandler())


class _OriginalMissing(JobError):
    def __init__(self) -> None:
        super().__init__("original_missing", "The stored image is not there any more. Post it again.")


def _with_original(job: Job, work: Callable[[Job, Original], Write]) -> Write:
    """What ``work`` makes of the job's original; nothing where that is deleted, before or while it is read."""
    original = _original_of(job)
    if original is None:
        return _gone(job)
    try:
        return work(job, original)
    except _OriginalMissing:
        # The row goes before the object: where the row is still there, the object was lost.
        if _original_of(job) is None:
            return _gone(job)
        raise


def _made(original: Original, wanted: Sequence[Wanted], *, patient: bool = False) -> Pictures:
    """Copied from the bucket into the sandbox, which decodes while bytes still come."""
    with as_job_errors(missing=_OriginalMissing()):
        return renditions_confined(
            wanted,
            size_bytes=original.bytes,
            feed=lambda sink: originals().read(original.key, sink),
            patient=patient,
        )


class _Stored:
    """Renditions on their way to the bucket, and the rows that are to name them."""

    def __init__(self, original: Original, pictures: Sequence[Picture]) -> None:
        self.rows: list[Rendition] = []
        self._objects: list[Storing] = []
        for picture in pictures:
            kind = rendition_kind(picture.kind, picture.format)
            key = rendition_key(original.pk, kind)
            self._objects.append(Storing(thumbnails(), key, BytesIO(picture.content), picture.content_type))
            self.rows.append(
                Rendition(
                    original_id=original.pk,
                    kind=kind,
                    key=key,
                    content_type=picture.content_type,
                    bytes=len(picture.content),
                    width=picture.width,
                    height=picture.height,
                )
            )

    def wait(self) -> None:
        """Before the rows commit. Raises a JobError where one did not get there."""
        try:
            for storing in self._objects:
                storing.wait(STORED_WITHIN_S)
        except STORAGE_ERRORS as error:
            raise storage_away(error) from error


def _rows_write(rows: list[Rendition]) -> None:
    """In one statement, where update_or_create takes four for each."""
    Rendition.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["original", "kind"],
        update_fields=["key", "content_type", "bytes", "width", "height"],
    )


def _original_of(job: Job) -> Original | None:
    return Original.objects.filter(pk=job.subject).first() if job.subject else None


def _gone(job: Job) -> Write:
    """For an original that is not there: an earlier attempt may have stored something after it went."""
    return (lambda: _leave_nothing(job)) if job.attempts > 1 else write_nothing


def _leave_nothing(job: Job) -> None:
    """Have all renditions deleted of an original that went."""
    if job.subject is not None:
        purge_create(thumbnails=rendition_keys(job.subject))
