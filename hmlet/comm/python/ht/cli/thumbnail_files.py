"""``ht photos download-thumbnails``: each thumbnail once, in a file that is whole or not there."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ht.api_clients.photos import Photo, PhotosApiClient
from ht.cli.entry import told
from ht.cli.output import Progress
from ht.cli.whole_files import write_whole
from ht.errors import ApiError, NoThumbnail, NotSignedIn

NAME_MAX_BYTES = 120


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``result`` is "downloaded", "there already", or "failed", for which ``error`` is the reason."""

    photo: str
    name: str
    file: Path
    result: str
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    size: str
    image_format: str
    folder: Path
    parallel: int


def download(client: PhotosApiClient, photos: Sequence[Photo], wanted: Wanted, progress: Progress) -> list[Outcome]:
    """One outcome for each photo, in their order. Raises OSError, and HtError for what would befall all of them."""
    wanted.folder.mkdir(parents=True, exist_ok=True)

    def one(photo: Photo) -> Outcome:
        outcome = _downloaded(client, photo, wanted)
        progress.ended(photo.name, outcome.result)
        return outcome

    with ThreadPoolExecutor(wanted.parallel, thread_name_prefix="download") as pool:
        return list(pool.map(one, photos))


def _downloaded(client: PhotosApiClient, photo: Photo, wanted: Wanted) -> Outcome:
    file = wanted.folder / file_name(photo, wanted.size, wanted.image_format)
    result, error = "there already", ""
    if not file.exists():
        try:
            content = client.photos.download_thumbnail(photo, wanted.size, image_format=wanted.image_format)
        except NotSignedIn:
            raise
        except (ApiError, NoThumbnail) as failure:
            result, error = "failed", told(failure)
        else:
            write_whole(file, content)
            result = "downloaded"
    return Outcome(photo=str(photo.id), name=photo.name, file=file, result=result, error=error)


def file_name(photo: Photo, size: str, image_format: str) -> str:
    """The photo's name as far as file systems bear it, its id, which no other has, and the size.

    >>> file_name(Photo(name="a/b: c", id=7), "512", "jpeg")
    'a_b_ c-7-512.jpg'
    """
    signs = (sign if sign.isprintable() and sign not in '/\\\\:*?"<>|' else "_" for sign in photo.name)
    name = "".join(signs).encode(errors="replace")[:NAME_MAX_BYTES].decode(errors="ignore").lstrip(".").strip()
    ending = {"jpeg": "jpg"}.get(image_format, image_format)
    return f"{name}-{photo.id}-{size}.{ending}" if name else f"{photo.id}-{size}.{ending}"
