"""Photos on the wire. Checks of types are here; rules are the services'."""

from typing import Any

from ops.page_requests import PageSerializer
from rest_framework import serializers
from rest_framework.fields import empty

from gallery.models import Original
from gallery.selectors import PhotoView
from gallery.text import CAPTION_MAX, NAME_MAX

_dates = serializers.DateTimeField()


class Flag(serializers.BooleanField):
    """A boolean that is not false because a form leaves it out: leaving out ``draft`` must not publish."""

    default_empty_html = empty


class ThumbnailSerializer(serializers.Serializer[Any]):
    jpeg = serializers.URLField(help_text="Signed; the same for some minutes, valid for up to an hour.")
    webp = serializers.URLField(allow_null=True, help_text="The same in fewer bytes; null until it is made.")
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class FailureSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class PhotoSerializer(serializers.Serializer[Any]):
    """A PhotoView. The fields are for the schema: field by field, a page of photos takes longer than all else of it."""

    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(read_only=True)
    caption = serializers.CharField(read_only=True)
    draft = serializers.BooleanField(read_only=True)
    thumbnail = serializers.URLField(
        read_only=True, allow_null=True, help_text="The 128×128-box thumbnail; null until it is made."
    )
    thumbnails = serializers.DictField(
        child=ThumbnailSerializer(),
        read_only=True,
        help_text="All sizes that are made, by the side of the box: 128, 512 and 1440 in proportion, 256 a square.",
    )
    width = serializers.IntegerField(read_only=True, help_text="Pixels of the original, as shown.")
    height = serializers.IntegerField(read_only=True)
    username = serializers.CharField(read_only=True, help_text="The owner's.")
    publish_date = serializers.DateTimeField(read_only=True, allow_null=True, help_text="Null for a draft.")
    status = serializers.ChoiceField(choices=Original.State.choices, read_only=True)
    failure = FailureSerializer(read_only=True, allow_null=True, help_text="Why there is no thumbnail; for the owner.")
    tags = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="The #tags of the caption.")
    duplicate_of = serializers.UUIDField(
        read_only=True,
        allow_null=True,
        help_text="The owner's first photo of the same bytes, where this is another one; for the owner.",
    )

    def to_representation(self, instance: PhotoView) -> dict[str, Any]:
        """What the fields would make of it one by one."""
        return {
            "id": str(instance.id),
            "name": instance.name,
            "caption": instance.caption,
            "draft": instance.draft,
            "thumbnail": instance.thumbnail,
            "thumbnails": {
                size: {"jpeg": shown.jpeg, "webp": shown.webp, "width": shown.width, "height": shown.height}
                for size, shown in instance.thumbnails.items()
            },
            "width": instance.width,
            "height": instance.height,
            "username": instance.username,
            "publish_date": _dates.to_representation(instance.publish_date) if instance.publish_date else None,
            "status": instance.status,
            "failure": {"code": failure.code, "message": failure.message} if (failure := instance.failure) else None,
            "tags": instance.tags,
            "duplicate_of": str(instance.duplicate_of) if instance.duplicate_of else None,
        }


class PhotoTextsSerializer(serializers.Serializer[Any]):
    """What a photo has besides its image."""

    name = serializers.CharField(max_length=1000, help_text=f"Unique among the owner's; up to {NAME_MAX} characters.")
    caption = serializers.CharField(
        default="", allow_blank=True, max_length=10_000, help_text=f"Up to {CAPTION_MAX} characters."
    )
    draft = Flag(default=False)


class _ReplacedTexts(PhotoTextsSerializer):
    draft = Flag()


class _PatchedTexts(PhotoTextsSerializer):
    name = serializers.CharField(required=False, max_length=1000)
    caption = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    draft = Flag(required=False)


def _file(**options: Any) -> serializers.FileField:
    return serializers.FileField(
        allow_empty_file=True,
        help_text="A file of a multipart form.",
        error_messages={
            "required": "Send the image as the file `image` of a multipart form.",
            "invalid": "Send the image as a file of the form.",
        },
        **options,
    )


def _upload(**options: Any) -> serializers.UUIDField:
    message = "Send the id of an upload, or the image as the file `image` of a multipart form."
    return serializers.UUIDField(
        help_text="The id of an upload.", error_messages={"required": message, "invalid": message}, **options
    )


class PhotoCreateFormSerializer(PhotoTextsSerializer):
    """What makes a photo, in a multipart form."""

    image = _file()


class PhotoCreateSerializer(PhotoTextsSerializer):
    """What makes a photo, in JSON."""

    image = _upload()


class PhotoReplaceFormSerializer(_ReplacedTexts):
    """What PUT takes: all of the text; the image stays unless a new one is sent."""

    image = _file(required=False)


class PhotoReplaceSerializer(_ReplacedTexts):
    """What PUT takes: all of the text; the image stays unless a new one is named."""

    image = _upload(required=False)


class PhotoPatchFormSerializer(_PatchedTexts):
    """What PATCH takes: anything."""

    image = _file(required=False)


class PhotoPatchSerializer(_PatchedTexts):
    """What PATCH takes: anything."""

    image = _upload(required=False)


class PhotoPageSerializer(PageSerializer):
    """A page of photos and the addresses of its neighbours."""

    results = PhotoSerializer(many=True)
