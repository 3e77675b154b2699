"""What a photo may have and a request may ask, as OPTIONS tells it."""

from typing import Any

from django.conf import settings
from imaging.header import DECODED_PIXELS_MAX, EXTENSIONS, SIDE_MAX
from ops.page_requests import PAGE_SIZE_MAX
from quotas.services import usage_of
from uploads.services import CONTENT_TYPES

from gallery.text import CAPTION_MAX, NAME_MAX, TAG_MAX, TAGS_MAX


def photo_limits(user: Any) -> dict[str, Any]:
    """Sizes in bytes, pixels and characters; a quota of 0 bytes is none."""
    return {
        "quota": {"bytes": settings.PHOTO_QUOTA_BYTES, "used_bytes": usage_of(owner_id=user.pk)},
        "image": {
            "bytes": settings.PHOTO_MAX_BYTES,
            "decoded_pixels": DECODED_PIXELS_MAX,
            "side_pixels": SIDE_MAX,
            "formats": sorted(EXTENSIONS),
            "content_types": sorted(CONTENT_TYPES),
        },
        "name": {"characters": NAME_MAX},
        "caption": {"characters": CAPTION_MAX},
        "tags": {"count": TAGS_MAX, "characters": TAG_MAX},
        "page_size": PAGE_SIZE_MAX,
    }
