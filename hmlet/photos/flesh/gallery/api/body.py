"""How long the body of a request with an image may be."""

from django.conf import settings
from rest_framework.request import Request

from gallery.errors import ImageBytesLimit

FORM_OVERHEAD_BYTES = 64 * 1024
"""What the other fields and the boundaries of a form may add to the image. The edge allows the same."""


def body_check(request: Request) -> None:
    """Raise ImageBytesLimit for a body that says it is too long, before any of it is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > settings.PHOTO_MAX_BYTES + FORM_OVERHEAD_BYTES:
        raise ImageBytesLimit(settings.PHOTO_MAX_BYTES)
