"""Which objects comparisons name, and which have to be there."""

from collections.abc import Iterator

from gallery.named import Kept

from diffs.models import Diff, Side


def files_named(keys: list[str]) -> set[str]:
    """Those of the keys of originals that a side names."""
    return {key for key in Side.objects.filter(key__in=keys).values_list("key", flat=True) if key}


def files_kept(folder: str) -> Iterator[Kept]:
    """Which files have to be in a folder of originals."""
    for key, size in Side.objects.filter(key__startswith=folder).order_by().values_list("key", "bytes").iterator():
        yield Kept(key=key or "", bytes=size or 0)


def pictures_named(keys: list[str]) -> set[str]:
    """Those of the keys of thumbnails that a comparison names."""
    return set(Diff.objects.filter(picture_key__in=keys).values_list("picture_key", flat=True))


def pictures_kept(folder: str) -> Iterator[Kept]:
    """Which pictures have to be in a folder of thumbnails: those that are drawn."""
    drawn = Diff.objects.filter(picture_key__startswith=folder, picture_bytes__isnull=False).order_by()
    for key, size in drawn.values_list("picture_key", "picture_bytes").iterator():
        yield Kept(key=key, bytes=size or 0)
