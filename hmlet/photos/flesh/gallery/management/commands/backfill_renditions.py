"""Have the sizes and formats made that older photos lack."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gallery.backfill import originals_lacking, renditions_backfill


class Command(BaseCommand):
    help = (
        "Queue a job of low priority for each original that lacks a size or a format, as they do that are older than "
        "it. It may be repeated and interrupted: what is queued or made is left out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and queue nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        for batch in originals_lacking():
            if not options["dry_run"]:
                renditions_backfill(batch)
            count += len(batch)
        self.stdout.write(f"{count} originals {'lack renditions' if options['dry_run'] else 'queued'}")
