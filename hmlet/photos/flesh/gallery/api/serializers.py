"""Photos on the wire. Checks of types are here; rules are the services'."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from gallery.models import Original


class Flag(serializers.BooleanField):
    """A boolean that is not false because a form leaves it out: leaving out ``draft`` must not publish."""

    default_empty_html = empty


class ThumbnailSerializer(serializers.Serializer[Any]):
    jpeg = serializers.URLField(help_text="Signed; the same for some minutes, valid for up to an hour.")
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class FailureSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class PhotoSerializer(serializers.Serializer[Any]):
    """A PhotoView."""

    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(read_only=True)
    caption = serializers.CharField(read_only=True)
    draft = serializers.BooleanField(read_only=True)
    thumbnail = serializers.URLField(
        read_only=True, allow_null=True, help_text="The 128×128-box thumbnail; null until it is made."
    )
    thumbnails = serializers.DictField(
        child=ThumbnailSerializer(), read_only=True, help_text="All sizes, by the side of the box."
    )
    width = serializers.IntegerField(read_only=True, help_text="Pixels of the original, as shown.")
    height = serializers.IntegerField(read_only=True)
    username = serializers.CharField(read_only=True, help_text="The owner's.")
    publish_date = serializers.DateTimeField(read_only=True, allow_null=True, help_text="Null for a draft.")
    status = serializers.ChoiceField(choices=Original.State.choices, read_only=True)
    failure = FailureSerializer(read_only=True, allow_null=True, help_text="Why there is no thumbnail; for the owner.")
    tags = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="The #tags of the caption.")


class PhotoCreateSerializer(serializers.Serializer[Any]):
    """What makes a photo."""

    image = serializers.FileField(
        allow_empty_file=True,
        help_text="A file of a multipart form.",
        error_messages={
            "required": "Send the image as the file `image` of a multipart form.",
            "invalid": "Send the image as a file of a multipart form (Content-Type: multipart/form-data).",
        },
    )
    name = serializers.CharField(max_length=1000, help_text="Unique among the owner's; up to 150 characters.")
    caption = serializers.CharField(default="", allow_blank=True, max_length=10_000, help_text="Up to 2000 characters.")
    draft = Flag(default=False)


class PhotoReplaceSerializer(PhotoCreateSerializer):
    """What PUT takes: all of the text; the image stays unless a new one is sent."""

    image = serializers.FileField(
        required=False,
        allow_empty_file=True,
        help_text="A file of a multipart form. The image stays when left out.",
        error_messages={"invalid": "Send the image as a file of a multipart form (Content-Type: multipart/form-data)."},
    )
    draft = Flag()


class PhotoPatchSerializer(PhotoReplaceSerializer):
    """What PATCH takes: anything."""

    name = serializers.CharField(required=False, max_length=1000)
    caption = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    draft = Flag(required=False)


class PhotoPageSerializer(serializers.Serializer[Any]):
    """A page of photos and the addresses of its neighbours."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = PhotoSerializer(many=True)
