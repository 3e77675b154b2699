"""Delete objects that no row names, by hand or by a schedule outside the platform."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from uploads.staging import STORAGE_ERRORS

from gallery.originals import objects_sweep


class Command(BaseCommand):
    help = "Delete objects that a killed process left without a row. Needs keys that may list and delete."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            swept = objects_sweep()
        except STORAGE_ERRORS as error:
            raise CommandError(f"the object storage does not sweep: {error}") from error
        self.stdout.write(f"{swept} objects without a row deleted")
