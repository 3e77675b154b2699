"""Heavy work: its rows, claims, retries and reasons. Knows nothing of photos."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"
