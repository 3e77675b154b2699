"""Reads of comparisons: whose they are, and what they look like. They are their owner's alone, staff's in the admin."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from gallery.buckets import thumbnails

from diffs.errors import DiffMissing
from diffs.models import Diff

Viewer = AbstractBaseUser | AnonymousUser
PICTURE_TYPE = "image/png"


def diffs_with_sides(diffs: QuerySet[Diff]) -> QuerySet[Diff]:
    """With all that is shown, in two queries whatever the number."""
    return diffs.select_related("owner").prefetch_related("sides")


def diffs_kept(*, viewer: Viewer) -> QuerySet[Diff]:
    """The viewer's own that are kept, without their regions, which may be a thousand each."""
    return diffs_with_sides(Diff.objects.filter(owner_id=viewer.pk, keep=True)).defer("regions")


def diff_get(*, viewer: Viewer, diff_id: uuid.UUID) -> Diff:
    """One of the viewer's own. Raises DiffMissing, whether it is another's or not there."""
    diff = diffs_with_sides(Diff.objects.filter(owner_id=viewer.pk, pk=diff_id)).first()
    if diff is None:
        raise DiffMissing
    return diff


def picture_url(diff: Diff, *, save_as: str | None = None) -> str | None:
    """A signed URL of the annotated picture; None until it is drawn."""
    if diff.picture_bytes is None:
        return None
    return thumbnails().signed_url(diff.picture_key, PICTURE_TYPE, save_as=save_as)
