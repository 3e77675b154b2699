"""Forget comparisons whose time is over, by hand or by a schedule outside the platform."""

from typing import Any

from django.core.management.base import BaseCommand

from diffs.services import diffs_sweep


class Command(BaseCommand):
    help = "Forget comparisons that are not kept and are older than DIFFS_KEPT_HOURS, and the files of all such."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{diffs_sweep()} comparisons forgotten whose time is over")
