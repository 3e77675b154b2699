"""Uploads that go straight to the bucket: announced, signed for, fetched and verified. Knows nothing of photos."""

from django.apps import AppConfig


class UploadsConfig(AppConfig):
    name = "uploads"
