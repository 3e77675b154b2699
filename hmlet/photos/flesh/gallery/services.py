"""Writes to photos. Every rule about a photo is here, whoever calls.

``along`` is called in the transaction that writes the photo, with the photo as written: what it writes commits with the
photo, and what it raises leaves both unwritten.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import Value
from django.utils import timezone
from ops.errors import InvalidInput, NotFound
from uploads.errors import UploadMismatch
from uploads.models import DirectUpload
from uploads.services import upload_discard, upload_fetched, upload_use

from gallery.errors import ImageBytesLimit, ImageRefused, NameTaken
from gallery.models import Original, Photo, PhotoTag
from gallery.originals import Upload, original_release, upload_inspect, with_original
from gallery.text import caption_clean, name_clean, tags_parse

Along = Callable[[Photo], None]
Image: TypeAlias = "File[bytes] | DirectUpload"
"""A file that came with the request, or one that was put into the bucket before it."""


def photo_create(
    *,
    owner: AbstractBaseUser,
    name: str,
    image: Image,
    caption: str = "",
    draft: bool = False,
    along: Along | None = None,
) -> Photo:
    """Store the image and create the photo, published unless a draft. Its thumbnail is a job.

    Returns when original and row are durable. Raises InvalidInput, NameTaken, ImageRefused, ImageBytesLimit,
    QuotaExceeded, StorageUnavailable or, of an upload, what upload_fetched raises; then nothing is kept.
    """
    name, caption = _cleaned(name, caption)
    if isinstance(image, DirectUpload):
        # Fetching costs more than asking twice.
        _name_check(owner, name)

    def write(original: Original) -> Photo:
        photo = Photo(owner_id=owner.pk, original=original, name=name, caption=caption)
        _draft_set(photo, draft)
        photo.save(force_insert=True)
        _tags_write(photo, fresh=True)
        _used(image, photo)
        if along:
            along(photo)
        return photo

    with _received(image) as upload:
        # Before anything is stored; the constraint decides when two come at once.
        taken, stored = _known(owner, name, upload.sha256)
        if taken:
            raise NameTaken(name)
        try:
            return with_original(owner=owner, upload=upload, write=write, stored=stored)
        except IntegrityError:
            _name_check(owner, name)
            raise


def photo_update(
    *,
    photo: Photo,
    name: str | None = None,
    caption: str | None = None,
    draft: bool | None = None,
    image: "Image | None" = None,
    along: Along | None = None,
) -> Photo:
    """Change what is given. A new image makes a new thumbnail; the old original goes with its last photo.

    Raises as photo_create does, and NotFound when the photo was deleted meanwhile.
    """
    name, caption = _cleaned(photo.name if name is None else name, photo.caption if caption is None else caption)
    owner: AbstractBaseUser = photo.owner
    _name_check(owner, name, besides=photo.pk)

    def write(original: Original | None) -> Photo:
        held = Photo.objects.select_for_update(of=("self",)).select_related("original").filter(pk=photo.pk).first()
        if held is None:
            raise photo_missing()
        before = held.original
        held.name, held.caption = name, caption
        if original is not None:
            held.original = original
        if draft is not None:
            _draft_set(held, draft)
        held.save(force_update=True)
        _tags_write(held)
        if held.original_id != before.pk:
            original_release(original=before)
        if image is not None:
            _used(image, held)
        if along:
            along(held)
        return held

    try:
        if image is not None:
            with _received(image) as upload:
                return with_original(owner=owner, upload=upload, write=write)
        with transaction.atomic():
            return write(None)
    except IntegrityError:
        _name_check(owner, name, besides=photo.pk)
        raise


def photo_publish(*, photo: Photo, along: Along | None = None) -> Photo:
    """Show the photo to everyone, from now on. Publishing a published photo keeps its date."""
    return photo_update(photo=photo, draft=False, along=along)


def photo_unpublish(*, photo: Photo, along: Along | None = None) -> Photo:
    """Make the photo its owner's again."""
    return photo_update(photo=photo, draft=True, along=along)


def photo_delete(*, photo: Photo, along: Along | None = None) -> None:
    """Delete the photo; its objects follow by a job once this has committed. Raises NotFound if it is gone already."""
    with transaction.atomic():
        held = Photo.objects.select_for_update(of=("self",)).select_related("original").filter(pk=photo.pk).first()
        if held is None:
            raise photo_missing()
        original_release(original=held.original)
        if along:
            along(held)
        held.delete()


def photo_missing() -> NotFound:
    """The one answer for a photo that is not there and for one that the caller may not know of."""
    return NotFound("There is no such photo. It may have been deleted, or not be published yet.")


@contextmanager
def _received(image: Image) -> Iterator[Upload]:
    """The image's bytes, judged and hashed. An upload that no photo can be made of is discarded."""
    if not isinstance(image, DirectUpload):
        yield upload_inspect(file=image)
        return
    with upload_fetched(image) as file:
        try:
            upload = upload_inspect(file=file, sha256=image.sha256)
        except (ImageRefused, ImageBytesLimit):
            upload_discard(image)
            raise
        if upload.header.content_type != image.content_type:
            upload_discard(image)
            raise UploadMismatch(f"it is {upload.header.content_type}, not {image.content_type}")
        yield upload


def _used(image: Image, photo: Photo) -> None:
    if isinstance(image, DirectUpload):
        upload_use(image, photo_id=photo.pk)


def _draft_set(photo: Photo, draft: bool) -> None:
    photo.draft = draft
    if draft:
        photo.publish_date = None
    elif photo.publish_date is None:
        photo.publish_date = timezone.now()


def _cleaned(name: str, caption: str) -> tuple[str, str]:
    errors: dict[str, list[str]] = {}
    try:
        name = name_clean(name)
    except ValueError as error:
        errors["name"] = [str(error)]
    try:
        caption = caption_clean(caption)
    except ValueError as error:
        errors["caption"] = [str(error)]
    if errors:
        raise InvalidInput(next(iter(errors.values()))[0], errors=errors)
    return name, caption


def _known(owner: AbstractBaseUser, name: str, sha256: str) -> tuple[bool, bool]:
    """Whether the owner has a photo of this name, and whether they have these bytes: by one question."""
    names = Photo.objects.filter(owner_id=owner.pk, name=name).order_by().values_list(Value("name"))
    stored = Original.objects.filter(owner_id=owner.pk, sha256=sha256).values_list(Value("bytes"))
    found = {kind for (kind,) in names.union(stored, all=True)}
    return "name" in found, "bytes" in found


def _name_check(owner: AbstractBaseUser, name: str, *, besides: uuid.UUID | None = None) -> None:
    same: Any = Photo.objects.filter(owner_id=owner.pk, name=name)
    if besides is not None:
        same = same.exclude(pk=besides)
    if same.exists():
        raise NameTaken(name)


def _tags_write(photo: Photo, *, fresh: bool = False) -> None:
    """Make the tag rows what the caption says."""
    tags = tags_parse(photo.caption)
    if not fresh:
        PhotoTag.objects.filter(photo=photo).exclude(name__in=tags).delete()
    PhotoTag.objects.bulk_create((PhotoTag(photo=photo, name=tag) for tag in tags), ignore_conflicts=not fresh)
