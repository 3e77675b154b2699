"""Writes: a comparison is asked for, deleted, forgotten when its time is over."""

import logging
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.base import File
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from gallery.buckets import originals
from gallery.errors import ImageBytesLimit, ImageRefused
from gallery.models import Photo, original_key
from gallery.originals import Upload, upload_inspect
from imaging.confined_diff import options_told
from imaging.diff_options import DiffOptions
from imaging.errors import ImageTooLarge
from imaging.header import DECODED_PIXELS_MAX
from jobs.errors import JobNotCancellable
from jobs.models import Job
from jobs.selectors import subjects_at_work
from jobs.services import job_cancel, job_create, purge_create
from quotas.services import usage_check
from uploads.staging import storage_takes

from diffs.errors import DiffBytesLimit, DiffMissing, DiffsLimit
from diffs.models import Diff, Side

log = logging.getLogger(__name__)

BATCH = 500
DIFFS_MAX = 10_000
"""Of one owner, kept or not."""

WHICH = {Side.Place.BEFORE: "first", Side.Place.AFTER: "second"}
"""What people are told of a side, as imaging does."""

Along = Callable[[Diff], None]
Image: TypeAlias = "File[bytes] | Photo"
"""A file that came with the request, or a photo that the owner may see."""


def diff_request(
    *,
    owner: AbstractBaseUser,
    before: Image,
    after: Image,
    options: DiffOptions,
    keep: bool | None = None,
    along: Along | None = None,
) -> Diff:
    """Store the files and create the comparison and the job that makes it. ``keep`` is as the stage says if left out.

    Returns when all is durable. ``along`` is called in the transaction that writes the rows. Raises ImageRefused,
    ImageBytesLimit, DiffBytesLimit, DiffsLimit, QuotaExceeded or StorageUnavailable; then nothing is kept.
    """
    places = {Side.Place.BEFORE: before, Side.Place.AFTER: after}
    uploads = _inspected({place: image for place, image in places.items() if not isinstance(image, Photo)})
    if Diff.objects.filter(owner_id=owner.pk).order_by()[:DIFFS_MAX].count() >= DIFFS_MAX:
        raise DiffsLimit(DIFFS_MAX)
    if uploads:
        # What is sent passes; whoever's storage is full sends no more all the same.
        usage_check(owner_id=owner.pk, bytes=sum(upload.bytes for upload in uploads.values()))
    diff_id = uuid.uuid4()
    sides = [_side(diff_id, place, image, uploads.get(place)) for place, image in places.items()]
    # The objects first: without their rows they are swept, a row without them would be a promise that nobody can keep.
    for side in sides:
        if side.key is not None:
            upload = uploads[Side.Place(side.place)]
            with storage_takes():
                originals().write(side.key, upload.file, upload.header.content_type)
    with transaction.atomic():
        # What a photo is called is not for everyone who may look at jobs.
        named = {place: "photo" if isinstance(image, Photo) else "" for place, image in places.items()}
        name = " → ".join(named[Side.Place(side.place)] or side.name or side.place for side in sides)
        job = job_create(kind=Job.Kind.DIFF, owner=owner, subject=diff_id, name=name)
        diff = Diff.objects.create(
            id=diff_id,
            owner_id=owner.pk,
            keep=settings.DIFFS_KEEP if keep is None else keep,
            options=options_told(options),
            job_id=job.pk,
            picture_key=f"{diff_id.hex[:2]}/{diff_id.hex[2:]}-diff.png",
        )
        Side.objects.bulk_create(sides)
        if along:
            along(diff)
    return diff


def diff_delete(*, diff: Diff) -> None:
    """Delete the comparison, done or not; its objects follow by a job. Raises DiffMissing if it is gone already."""
    job = Job.objects.filter(pk=diff.job_id, state__in=(Job.State.QUEUED, Job.State.RUNNING)).first()
    with transaction.atomic():
        if job is not None:
            _cancel(job)
        held = Diff.objects.select_for_update().filter(pk=diff.pk).first()
        if held is None:
            raise DiffMissing
        files = [key for key in held.sides.values_list("key", flat=True) if key]
        purge_create(originals=files, thumbnails=[held.picture_key])
        held.delete()


def diffs_sweep() -> int:
    """Forget comparisons older than DIFFS_KEPT_HOURS that are not kept, and the files of those that are, unless a job
    works on them; what no row names, the sweep of objects deletes. How many were forgotten."""
    before = timezone.now() - timedelta(hours=settings.DIFFS_KEPT_HOURS)
    at_work = subjects_at_work(kind=Job.Kind.DIFF)
    old = Diff.objects.filter(created__lt=before, keep=False).order_by("created").values_list("id", flat=True)
    swept = 0
    while ids := list(old.exclude(id__in=at_work)[:BATCH]):
        swept += Diff.objects.filter(id__in=ids).delete()[1].get(Diff._meta.label, 0)
    Side.objects.filter(~Q(key=None), diff__created__lt=before).exclude(diff_id__in=at_work).update(key=None)
    return swept


def files_forget(keys: list[str]) -> None:
    """Forget the comparisons whose files are gone; but what is kept and done stays, as when their time is over."""
    Diff.objects.filter(sides__key__in=keys).exclude(keep=True, state=Diff.State.DONE).delete()
    Side.objects.filter(key__in=keys).update(key=None)


def pictures_forget(keys: list[str]) -> None:
    """Forget the comparisons whose pictures are gone."""
    Diff.objects.filter(picture_key__in=keys).delete()


def _inspected(files: "dict[Side.Place, File[bytes]]") -> dict[Side.Place, Upload]:
    if sum(file.size for file in files.values()) > settings.PHOTO_MAX_BYTES:
        raise DiffBytesLimit(settings.PHOTO_MAX_BYTES)
    uploads = {}
    for place, file in files.items():
        try:
            uploads[place] = upload_inspect(file=file)
            _pixels_check(uploads[place])
        except (ImageRefused, ImageBytesLimit) as error:
            error.message = f"The {WHICH[place]} image: {error.message}"
            error.errors = {place.value: [error.message]}
            raise
    return uploads


def _pixels_check(upload: Upload) -> None:
    """Every pixel is compared, where a thumbnail of a JPEG needs few of them."""
    width, height = upload.header.width, upload.header.height
    if width * height > DECODED_PIXELS_MAX:
        allowed = DECODED_PIXELS_MAX // 1_000_000
        message = f"It has {width}×{height} pixels; we compare {allowed} megapixels at most. Scale it down."
        raise ImageRefused(ImageTooLarge(message))


def _side(diff_id: uuid.UUID, place: Side.Place, image: Image, upload: Upload | None) -> Side:
    if isinstance(image, Photo):
        return Side(diff_id=diff_id, place=place, photo_id=image.pk, name=image.name)
    assert upload is not None  # noqa: S101 - each file was inspected
    return Side(
        diff_id=diff_id,
        place=place,
        name=upload.name[:255],
        key=original_key(upload.header.extension),
        bytes=upload.bytes,
        width=upload.header.width,
        height=upload.header.height,
    )


def _cancel(job: Job) -> None:
    try:
        job_cancel(job)
    except JobNotCancellable:
        # It has ended in this moment: what it wrote goes with the row.
        log.info("job %s ended while its comparison was deleted", job.pk)
