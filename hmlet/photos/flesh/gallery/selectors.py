"""Reads of photos: who sees which, and what a photo looks like to whom."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import NullIf
from imaging.encode import JPEG, WEBP
from ops.errors import Forbidden

from gallery.buckets import thumbnails
from gallery.models import Original, Photo, Rendition
from gallery.renditions import SIZES, SIZES_BY_KIND, THUMBNAIL_KIND
from gallery.services import photo_missing
from gallery.text import tags_parse

Viewer = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailView:
    """A size in which a photo is shown: signed URLs of its formats, its width and height in pixels."""

    jpeg: str
    webp: str | None
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureView:
    """Why there is no thumbnail."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoView:
    """A photo as one viewer sees it. Nothing of the original but its size."""

    id: uuid.UUID
    name: str
    caption: str
    draft: bool
    thumbnail: str | None
    thumbnails: dict[str, ThumbnailView]
    width: int
    height: int
    username: str
    publish_date: datetime | None
    status: str
    failure: FailureView | None
    tags: list[str]
    duplicate_of: uuid.UUID | None


def photos_with_images(photos: QuerySet[Photo]) -> QuerySet[Photo]:
    """With all that a PhotoView needs, in two queries whatever the number."""
    return (
        photos.select_related("owner", "original")
        .prefetch_related("original__renditions")
        .annotate(duplicate_of=NullIf(Subquery(_earliest_of_the_same_bytes()), F("pk")))
    )


def _earliest_of_the_same_bytes() -> QuerySet[Photo, uuid.UUID]:
    """Itself, perhaps: a condition that excludes it would be looked at for each of the photos of these bytes."""
    same = Photo.objects.filter(original_id=OuterRef("original_id"))
    return same.order_by("created", "pk").values_list("pk", flat=True)[:1]


def photos_visible(*, viewer: Viewer) -> QuerySet[Photo]:
    """Published photos that have their thumbnail, and all of the viewer's own."""
    shown = Q(draft=False, original__state=Original.State.READY)
    return photos_with_images(Photo.objects.filter(Q(owner_id=viewer.pk) | shown if viewer.pk else shown))


def photo_get(*, viewer: Viewer, photo_id: uuid.UUID) -> Photo:
    """A photo that the viewer may see. Raises NotFound, whether it is hidden or not there."""
    photo = photos_visible(viewer=viewer).filter(pk=photo_id).first()
    if photo is None:
        raise photo_missing()
    return photo


def photo_get_own(*, viewer: Viewer, photo_id: uuid.UUID) -> Photo:
    """A photo that the viewer may change. Raises Forbidden for one of others that can be seen, else NotFound."""
    photo = photo_get(viewer=viewer, photo_id=photo_id)
    if photo.owner_id != viewer.pk:
        raise Forbidden("Only its owner changes a photo.")
    return photo


def photo_state(*, photo_id: uuid.UUID) -> str | None:
    """Whether the thumbnail is there, by one small query; None for no such photo."""
    return Photo.objects.filter(pk=photo_id).values_list("original__state", flat=True).first()


def photo_view_now(photo: Photo, *, viewer: Viewer) -> PhotoView:
    """What ``viewer`` sees of a photo that was read a moment ago, with what workers write of it read again: one small
    query, where photo_get has two large ones. Raises NotFound."""
    # By way of the photo, which may have another image by now, or be gone before its original is.
    renditions = list(Rendition.objects.filter(original__photos=photo.pk).select_related("original"))
    if not renditions:
        return photo_view(photo_get(viewer=viewer, photo_id=photo.pk), viewer=viewer)
    photo.original = renditions[0].original
    return _view(photo, renditions, viewer=viewer)


def photo_view(photo: Photo, *, viewer: Viewer) -> PhotoView:
    """What ``viewer`` sees of ``photo``."""
    return _view(photo, photo.original.renditions.all(), viewer=viewer)


def _view(photo: Photo, renditions: Iterable[Rendition], *, viewer: Viewer) -> PhotoView:
    original = photo.original
    own = photo.owner_id == viewer.pk
    shown = _thumbnails_view(renditions)
    main = shown.get(THUMBNAIL_KIND)
    failed = original.state == Original.State.FAILED
    return PhotoView(
        id=photo.pk,
        name=photo.name,
        caption=photo.caption,
        draft=photo.draft,
        thumbnail=main.jpeg if main else None,
        thumbnails=shown,
        width=original.width,
        height=original.height,
        username=photo.owner.get_username(),
        publish_date=photo.publish_date,
        status=original.state,
        failure=FailureView(code=original.failure_code, message=original.failure_message) if own and failed else None,
        tags=tags_parse(photo.caption),
        duplicate_of=vars(photo)["duplicate_of"] if own else None,
    )


def _thumbnails_view(renditions: Iterable[Rendition]) -> dict[str, ThumbnailView]:
    """By the size, smallest first, as far as they are made."""
    made = {SIZES_BY_KIND[rendition.kind]: rendition for rendition in renditions if rendition.kind in SIZES_BY_KIND}
    return {
        size: ThumbnailView(
            jpeg=_url(made[size, JPEG]),
            webp=_url(made[size, WEBP]) if (size, WEBP) in made else None,
            width=made[size, JPEG].width,
            height=made[size, JPEG].height,
        )
        for size in SIZES
        if (size, JPEG) in made
    }


def _url(rendition: Rendition) -> str:
    return thumbnails().signed_url(rendition.key, rendition.content_type)
