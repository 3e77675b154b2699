"""What a photo's job shows: the size of the original, and the thumbnail that came of it."""

import uuid
from collections.abc import Callable, Mapping, Sequence

from jobs.models import Job
from jobs.pictures import Picture, Pictures, Thumbnail

from gallery.buckets import thumbnails
from gallery.models import Original, Rendition
from gallery.renditions import THUMBNAIL_KIND


def pictures_of_originals(jobs: Sequence[Job]) -> Mapping[uuid.UUID, Pictures]:
    """By the job's id, for jobs whose subject is an Original that is still there. Two queries."""
    subjects = {job.subject for job in jobs if job.subject}
    found = Original.objects.in_bulk(subjects)
    renditions = Rendition.objects.filter(original__in=subjects, kind=THUMBNAIL_KIND)
    shown = {rendition.original_id: _shown(rendition) for rendition in renditions}
    about = ((job, found[job.subject]) for job in jobs if job.subject and job.subject in found)
    return {job.pk: Pictures(original=_size(original), thumbnail=shown.get(original.pk)) for job, original in about}


def _size(original: Original) -> Picture:
    return Picture(bytes=original.bytes, width=original.width, height=original.height)


def _shown(rendition: Rendition) -> Thumbnail:
    link = link_to(rendition.key, rendition.content_type)
    return Thumbnail(bytes=rendition.bytes, width=rendition.width, height=rendition.height, link=link)


def link_to(key: str, content_type: str) -> Callable[[str], str]:
    """From the name that a browser is to save a thumbnail as to its signed URL."""
    return lambda save_as: thumbnails().signed_url(key, content_type, save_as=save_as)
