"""Uploads on the wire."""

from typing import Any

from rest_framework import serializers

from uploads.services import PARTS_MAX

PARTS_AT_ONCE_MAX = 100
SHA256 = r"^[0-9a-fA-F]{64}$"


class UploadCreateSerializer(serializers.Serializer[Any]):
    """What is going to be uploaded."""

    bytes = serializers.IntegerField(min_value=1, help_text="The exact length of the file.")
    content_type = serializers.CharField(max_length=100, help_text="`image/jpeg`, say: what the file's bytes are.")
    sha256 = serializers.RegexField(SHA256, help_text="Of the file, hexadecimal.")


class SignedPutSerializer(serializers.Serializer[Any]):
    """PUT exactly ``bytes`` bytes to ``url`` with these ``headers``, and no Authorization."""

    url = serializers.URLField()
    headers = serializers.DictField(child=serializers.CharField())
    bytes = serializers.IntegerField()
    expires = serializers.DateTimeField()


class StoredPartSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    bytes = serializers.IntegerField()


class UploadSerializer(serializers.Serializer[Any]):
    """An upload: either ``put`` says where it goes, or it goes in ``part_count`` parts of ``part_bytes``."""

    id = serializers.UUIDField()
    bytes = serializers.IntegerField()
    content_type = serializers.CharField()
    sha256 = serializers.CharField()
    expires = serializers.DateTimeField(help_text="Finalise it before.")
    photo = serializers.UUIDField(allow_null=True, help_text="The photo that was made of it.")
    put = SignedPutSerializer(allow_null=True)
    part_bytes = serializers.IntegerField(allow_null=True, help_text="Of each part but the last.")
    part_count = serializers.IntegerField(allow_null=True)
    parts = StoredPartSerializer(many=True, help_text="The parts that have arrived.")


class PartWantedSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField(min_value=1, max_value=PARTS_MAX)
    sha256 = serializers.RegexField(SHA256, help_text="Of the part, hexadecimal.")


class PartsWantedSerializer(serializers.Serializer[Any]):
    """The parts that are going to be put next."""

    parts: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=PartWantedSerializer(), allow_empty=False, max_length=PARTS_AT_ONCE_MAX
    )


class SignedPartSerializer(SignedPutSerializer):
    number = serializers.IntegerField()


class SignedPartsSerializer(serializers.Serializer[Any]):
    parts = SignedPartSerializer(many=True)
