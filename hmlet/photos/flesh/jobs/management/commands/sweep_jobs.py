"""Delete jobs that ended long ago, by hand or by a schedule outside the platform."""

from typing import Any

from django.core.management.base import BaseCommand

from jobs.retention import jobs_sweep


class Command(BaseCommand):
    help = "Delete jobs that ended and are older than JOBS_KEPT_DAYS."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{jobs_sweep()} jobs deleted that ended long ago")
