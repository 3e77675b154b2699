"""The sizes in which photos are shown, and where their objects are.

A photo is ready with its ``THUMBNAIL``, which is made first and alone. The others follow in a job of their own.
"""

import uuid
from dataclasses import replace

from imaging.encode import EXTENSIONS, JPEG, WEBP
from imaging.renditions import Wanted

THUMBNAIL_KIND = "128"
THUMBNAIL = Wanted(kind=THUMBNAIL_KIND, box=(128, 128), formats=(JPEG,))
OTHERS = (
    replace(THUMBNAIL, formats=(WEBP,)),
    Wanted(kind="256", box=(256, 256), crop=True, formats=(JPEG, WEBP)),
    Wanted(kind="512", box=(512, 512), formats=(JPEG, WEBP)),
    Wanted(kind="1440", box=(1440, 1440), formats=(JPEG, WEBP)),
)


SIZES = tuple(dict.fromkeys(wanted.kind for wanted in OTHERS))
"""Their names, smallest first."""


def rendition_kind(size: str, image_format: str) -> str:
    """What a row is called: as its size where it is a JPEG, else with the format."""
    return size if image_format == JPEG else f"{size}-{EXTENSIONS[image_format]}"


SIZES_BY_KIND = {
    rendition_kind(wanted.kind, image_format): (wanted.kind, image_format)
    for wanted in (THUMBNAIL, *OTHERS)
    for image_format in wanted.formats
}
"""The size and the format of each kind that there is."""


def rendition_key(original_id: uuid.UUID, kind: str = THUMBNAIL_KIND) -> str:
    """Where a rendition is: the same for every attempt, so that five make one object."""
    size, image_format = SIZES_BY_KIND[kind]
    return f"{original_id.hex[:2]}/{original_id.hex[2:]}-{size}.{EXTENSIONS[image_format]}"


def rendition_keys(original_id: uuid.UUID) -> list[str]:
    """Where all of them are, made or not."""
    return [rendition_key(original_id, kind) for kind in SIZES_BY_KIND]
