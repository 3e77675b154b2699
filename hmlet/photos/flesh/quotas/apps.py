"""How much of the storage each user holds, and may. Knows nothing of what it holds."""

from django.apps import AppConfig


class QuotasConfig(AppConfig):
    name = "quotas"
