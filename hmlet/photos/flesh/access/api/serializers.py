"""Tokens on the wire."""

from typing import Any

from rest_framework import serializers


class CredentialsSerializer(serializers.Serializer[Any]):
    """Who signs in."""

    username = serializers.CharField(max_length=150, trim_whitespace=False)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, style={"input_type": "password"})


class RefreshTokenSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=4096)


class TokenPairSerializer(serializers.Serializer[Any]):
    """``access`` goes with each request, as ``Authorization: Bearer ...``; ``refresh`` is good for one refresh."""

    access = serializers.CharField()
    refresh = serializers.CharField()
