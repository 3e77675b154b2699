"""Remove users who were made for a while."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from psycopg2.errors import DeadlockDetected

TRIES = 5


class Command(BaseCommand):
    help = "Remove the users NAME..., who have no photos any more. Those who are not there are no error."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("names", nargs="+", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        users = User.objects.filter(username__in=options["names"])
        # Deleting a user deletes rows alone: the photos' own service is what lets go of their objects.
        keeping = sorted(users.exclude(photos=None).values_list("username", flat=True).distinct())
        for tries in range(1, TRIES + 1):
            try:
                users.filter(photos=None).delete()
                break
            except OperationalError as error:
                # Workers end jobs of theirs and let go of originals, in an order of their own. Where two wait for each
                # other, PostgreSQL has one of them begin anew.
                if tries == TRIES or not isinstance(error.__cause__, DeadlockDetected):
                    raise
        if keeping:
            raise CommandError(f"They have photos: {', '.join(keeping)}. Delete those first.")
