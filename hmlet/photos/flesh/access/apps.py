"""Who comes in: sign-ins by token, and what it costs to guess a password. Knows nothing of photos."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"
