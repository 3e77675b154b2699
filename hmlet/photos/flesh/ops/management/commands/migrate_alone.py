"""Migrate the database, one at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

LOCK = 0x686D6C6574  # any number that nobody else takes: "hmlet"


class Command(BaseCommand):
    help = "Migrate, after whoever migrates already: two at once would trip over each other."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--plan", action="store_true", help="only say what would be done")

    def handle(self, *args: Any, **options: Any) -> None:
        with _alone():
            call_command("migrate", interactive=False, plan=options["plan"], stdout=self.stdout, verbosity=1)


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock of the database's. It goes with the connection, so one who is killed holds nobody up."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
