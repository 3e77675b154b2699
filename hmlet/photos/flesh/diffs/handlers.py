"""What is done in workers: compare the two images, and draw what changed."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from django.contrib.auth import get_user_model
from django.utils import timezone
from gallery.buckets import Bucket, originals, thumbnails
from gallery.renditions import rendition_kind
from gallery.selectors import photo_get
from gallery.work_errors import as_job_errors
from imaging.confined_diff import Compared, diff_confined, options_of
from imaging.encode import JPEG
from jobs.errors import JobError
from jobs.handlers import Write, write_nothing
from jobs.models import Job
from jobs.services import purge_create
from ops.errors import NotFound
from uploads.staging import Sink

from diffs.errors import file_expired, photo_gone, rendition_not_yet
from diffs.models import Diff, Side
from diffs.selectors import PICTURE_TYPE

SHOWN_OF_OTHERS = rendition_kind("1440", JPEG)
"""Of another's photo nothing larger takes part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the bytes of one image are; ``missing`` says that they are not there."""

    bucket: Callable[[], Bucket]
    key: str
    bytes: int
    missing: Callable[[], JobError]


class DiffHandler:
    """Two images in; boxes and an annotated picture out."""

    def work(self, job: Job) -> Write:
        diff = Diff.objects.filter(pk=job.subject).prefetch_related("sides").first() if job.subject else None
        if diff is None:
            raise file_expired()
        if diff.state == Diff.State.DONE:
            return write_nothing
        sides = {Side.Place(side.place): side for side in diff.sides.all()}
        before, after = (_source(sides[place], diff.owner_id) for place in (Side.Place.BEFORE, Side.Place.AFTER))

        def feed(sink: Sink) -> None:
            for source in (before, after):
                with as_job_errors(missing=source.missing()):
                    source.bucket().read(source.key, sink)

        with as_job_errors(missing=photo_gone()):
            compared = diff_confined(options_of(diff.options), sizes_bytes=(before.bytes, after.bytes), feed=feed)
            thumbnails().write(diff.picture_key, BytesIO(compared.picture), PICTURE_TYPE)
        return lambda: _write(diff, sides, compared)

    def give_up(self, job: Job, error: JobError) -> None:
        if job.subject is None:
            return
        Diff.objects.filter(pk=job.subject, state=Diff.State.PROCESSING).update(
            state=Diff.State.FAILED, failure_code=error.code, failure_message=error.message, finished=timezone.now()
        )

    def take_up(self, job: Job) -> None:
        if job.subject is None:
            return
        Diff.objects.filter(pk=job.subject, state=Diff.State.FAILED).update(
            state=Diff.State.PROCESSING, failure_code="", failure_message="", finished=None
        )


def _source(side: Side, owner_id: int) -> Source:
    """What of the image takes part. Whether the owner may see a photo is asked anew: it may be a draft by now."""
    if side.photo_id is None:
        if side.key is None:
            raise file_expired()
        return Source(bucket=originals, key=side.key, bytes=side.bytes or 0, missing=file_expired)
    try:
        photo = photo_get(viewer=get_user_model()(pk=owner_id), photo_id=side.photo_id)
    except NotFound as error:
        raise photo_gone() from error
    if photo.owner_id == owner_id:
        return Source(bucket=originals, key=photo.original.key, bytes=photo.original.bytes, missing=photo_gone)
    shown = {rendition.kind: rendition for rendition in photo.original.renditions.all()}.get(SHOWN_OF_OTHERS)
    if shown is None:
        raise rendition_not_yet()
    return Source(bucket=thumbnails, key=shown.key, bytes=shown.bytes, missing=photo_gone)


def _write(diff: Diff, sides: dict[Side.Place, Side], compared: Compared) -> None:
    there = Diff.objects.filter(pk=diff.pk).update(
        state=Diff.State.DONE,
        failure_code="",
        failure_message="",
        finished=timezone.now(),
        picture_bytes=len(compared.picture),
        picture_width=compared.picture_size[0],
        picture_height=compared.picture_size[1],
        regions=[
            [region.x, region.y, region.width, region.height, region.area, region.mean, region.peak]
            for region in compared.regions
        ],
        regions_found=compared.regions_found,
        pixels_changed=compared.pixels_changed,
        pixels_compared=compared.pixels_compared,
        aligned=compared.aligned or "",
        shift_right=compared.shift[0],
        shift_down=compared.shift[1],
    )
    if not there:
        # Deleted meanwhile, and the picture was stored after that.
        purge_create(thumbnails=[diff.picture_key])
        return
    for place, size in ((Side.Place.BEFORE, compared.before), (Side.Place.AFTER, compared.after)):
        Side.objects.filter(pk=sides[place].pk).update(width=size[0], height=size[1])
