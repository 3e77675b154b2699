"""Requests that carry an Idempotency-Key: what is sent again is done once. Knows nothing of what they do."""

from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    name = "idempotency"
