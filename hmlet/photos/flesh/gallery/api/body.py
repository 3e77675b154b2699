"""How long the body of a request with an image may be."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.views import APIView

from gallery.errors import ImageBytesLimit

FORM_OVERHEAD_BYTES = 64 * 1024
"""What the other fields and the boundaries of a form may add to the image. The edge allows the same."""


class BoundedBody(APIView):
    """A view that refuses a body that says it is too long, before any of it is read."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """After authentication. Raises ImageBytesLimit."""
        super().initial(request, *args, **kwargs)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > settings.PHOTO_MAX_BYTES + FORM_OVERHEAD_BYTES:
            raise ImageBytesLimit(settings.PHOTO_MAX_BYTES)
