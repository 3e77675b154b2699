"""Reads: what a job shows, and which objects are somebody's."""

import uuid
from collections.abc import Iterator, Mapping, Sequence

from gallery.named import Kept
from gallery.pictures import link_to
from jobs.models import Job
from jobs.pictures import Picture, Pictures, Thumbnail

from thumbnails.models import LooseImage


def pictures_of_files(jobs: Sequence[Job]) -> Mapping[uuid.UUID, Pictures]:
    """By the job's id, for jobs whose image is still there. One query."""
    found = LooseImage.objects.in_bulk({job.subject for job in jobs if job.subject})
    about = ((job, found[job.subject]) for job in jobs if job.subject and job.subject in found)
    return {job.pk: Pictures(original=_size(image), thumbnail=_thumbnail(image)) for job, image in about}


def files_named(keys: list[str]) -> set[str]:
    """Those of the keys of originals that a row names."""
    return set(LooseImage.objects.filter(key__in=keys).values_list("key", flat=True))


def files_kept(folder: str) -> Iterator[Kept]:
    """Which images have to be in a folder of originals."""
    rows = LooseImage.objects.filter(key__startswith=folder).order_by().values_list("key", "bytes")
    return (Kept(key=key, bytes=size) for key, size in rows.iterator())


def thumbnails_named(keys: list[str]) -> set[str]:
    """Those of the keys of thumbnails that a row names."""
    return set(LooseImage.objects.filter(thumbnail_key__in=keys).values_list("thumbnail_key", flat=True))


def thumbnails_kept(folder: str) -> Iterator[Kept]:
    """Which thumbnails have to be in a folder of theirs: those that are made."""
    made = LooseImage.objects.filter(thumbnail_key__startswith=folder, thumbnail_bytes__isnull=False).order_by()
    for key, size in made.values_list("thumbnail_key", "thumbnail_bytes").iterator():
        yield Kept(key=key, bytes=size or 0)


def _size(image: LooseImage) -> Picture:
    return Picture(bytes=image.bytes, width=image.width, height=image.height)


def _thumbnail(image: LooseImage) -> Thumbnail | None:
    if image.thumbnail_bytes is None or image.thumbnail_width is None or image.thumbnail_height is None:
        return None
    return Thumbnail(
        bytes=image.thumbnail_bytes,
        width=image.thumbnail_width,
        height=image.thumbnail_height,
        link=link_to(image.thumbnail_key, image.thumbnail_content_type),
    )
