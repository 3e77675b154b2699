"""The app that runs the platform: probes, request ids, buckets and users."""

from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "ops"
