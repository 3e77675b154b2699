"""What makes a thumbnail."""

import re
from typing import Any

from rest_framework import serializers

SIDE_MAX = 1440
_box = re.compile(r"([0-9]{1,4})x([0-9]{1,4})", re.IGNORECASE)


class BoxField(serializers.CharField):
    """``WxH`` as (width, height) in pixels."""

    def to_internal_value(self, data: Any) -> Any:
        matched = _box.fullmatch(super().to_internal_value(data))
        sides = tuple(int(side) for side in matched.groups()) if matched else (0, 0)
        if not all(1 <= side <= SIDE_MAX for side in sides):
            raise serializers.ValidationError(
                f"Give the box as WxH, 100x100 for example: each side from 1 to {SIDE_MAX} pixels."
            )
        return sides


class ThumbnailCreateSerializer(serializers.Serializer[Any]):
    """A form with the image as a file."""

    image = serializers.FileField(
        allow_empty_file=True,
        help_text="A file of a multipart form.",
        error_messages={
            "required": "Send the image as the file `image` of a multipart form.",
            "invalid": "Send the image as a file of a multipart form (Content-Type: multipart/form-data).",
        },
    )
    box = BoxField(
        required=False,
        help_text=f"`WxH` in pixels, up to {SIDE_MAX}: the thumbnail fits into it in proportion. 100x100 if left out.",
    )
