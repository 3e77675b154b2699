"""What a request for a comparison may hold in its fields."""

import re
import uuid
from typing import Any, ClassVar

from django.core.files.base import File
from drf_spectacular.utils import extend_schema_field
from imaging.diff_options import Box
from imaging.header import SIDE_MAX
from rest_framework import serializers
from rest_framework.fields import empty

IMAGE_WANTED = "Send an image as a file of a multipart form, or the id of a photo that you may see."
MESSAGES = dict.fromkeys(("required", "null", "invalid"), IMAGE_WANTED)
_box = re.compile(r"(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})", re.ASCII)


@extend_schema_field({"type": "string", "format": "binary", "description": IMAGE_WANTED})
class ImageField(serializers.Field[Any, Any, Any, Any]):
    """A file of the form as it is, or a photo's id as a UUID."""

    default_error_messages: ClassVar[dict[str, Any]] = {**MESSAGES}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, File):
            return data
        try:
            return uuid.UUID(data) if isinstance(data, str) else self.fail("invalid")
        except ValueError:
            self.fail("invalid")


class PhotoIdField(serializers.UUIDField):
    """A photo's id, in JSON."""

    default_error_messages: ClassVar[dict[str, Any]] = {**MESSAGES}


class BoxField(serializers.CharField):
    """``X,Y,W,H`` as a Box."""

    def to_internal_value(self, data: Any) -> Any:
        matched = _box.fullmatch(super().to_internal_value(data))
        x, y, width, height = (int(number) for number in matched.groups()) if matched else (0, 0, 0, 0)
        if not (width and height) or max(x + width, y + height) > SIDE_MAX:
            raise serializers.ValidationError(
                f"Give a box as X,Y,W,H in pixels of the first image, 10,20,300,40 for example: up to {SIDE_MAX}."
            )
        return Box(x=x, y=y, width=width, height=height)


class Chosen(serializers.BooleanField):
    """A boolean that is nothing, and not false, because a form leaves it out."""

    default_empty_html = empty
