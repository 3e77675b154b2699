"""Writes: an image is sent, its thumbnail is there, its time is over."""

import logging
import uuid
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.base import File
from django.db import transaction
from django.utils import timezone
from gallery.buckets import originals
from gallery.models import original_key
from gallery.originals import upload_inspect
from jobs.models import Job
from jobs.selectors import subjects_at_work
from jobs.services import job_create
from uploads.staging import storage_takes

from thumbnails.models import LooseImage

log = logging.getLogger(__name__)

BATCH = 500
BOX = (100, 100)


def thumbnail_request(*, owner: AbstractBaseUser, image: "File[bytes]", box: tuple[int, int] = BOX) -> Job:
    """Store the image and create the job that makes a thumbnail of it, within ``box`` (width, height in pixels).

    Returns when both are durable. Raises ImageRefused, ImageBytesLimit or StorageUnavailable; then nothing is kept.
    """
    upload = upload_inspect(file=image)
    header, image_id = upload.header, uuid.uuid4()
    loose = LooseImage(
        id=image_id,
        owner_id=owner.pk,
        key=original_key(header.extension),
        bytes=upload.bytes,
        width=header.width,
        height=header.height,
        box_width=box[0],
        box_height=box[1],
        thumbnail_key=f"{image_id.hex[:2]}/{image_id.hex[2:]}-{box[0]}x{box[1]}.jpg",
    )
    # The object first: without its row it is swept, a row without it would be a promise that nobody can keep.
    with storage_takes():
        originals().write(loose.key, upload.file, header.content_type)
    with transaction.atomic():
        loose.save(force_insert=True)
        return job_create(kind=Job.Kind.FILE_THUMBNAIL, owner=owner, subject=loose.id, name=upload.name)


def images_sweep() -> int:
    """Forget images older than THUMBNAILS_KEPT_HOURS that no job works on; what no row names, the sweep of objects
    deletes. How many."""
    before = timezone.now() - timedelta(hours=settings.THUMBNAILS_KEPT_HOURS)
    old = LooseImage.objects.filter(created__lt=before).order_by("created").values_list("id", flat=True)
    swept = 0
    while ids := list(old.exclude(id__in=subjects_at_work(kind=Job.Kind.FILE_THUMBNAIL))[:BATCH]):
        swept += LooseImage.objects.filter(id__in=ids).delete()[0]
    return swept


def files_forget(keys: list[str]) -> None:
    """Forget the images whose files are gone."""
    LooseImage.objects.filter(key__in=keys).delete()


def thumbnails_forget(keys: list[str]) -> None:
    """Forget the images whose thumbnails are gone."""
    LooseImage.objects.filter(thumbnail_key__in=keys).delete()
