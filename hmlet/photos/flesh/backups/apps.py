"""Backups: rows and objects into one encrypted archive, and back."""

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "backups"

    def ready(self) -> None:
        from ops.work import backups_register

        from backups.selectors import backup_last

        backups_register(backup_last)
