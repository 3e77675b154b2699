"""Forget images whose time is over, by hand or by a schedule outside the platform."""

from typing import Any

from django.core.management.base import BaseCommand

from thumbnails.services import images_sweep


class Command(BaseCommand):
    help = "Forget images that became no photo and are older than THUMBNAILS_KEPT_HOURS, with their thumbnails."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{images_sweep()} images forgotten whose time is over")
