"""Remove users who were made for a while."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Remove the users NAME..., who have no photos any more. Those who are not there are no error."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("names", nargs="+", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        users = User.objects.filter(username__in=options["names"])
        # Deleting a user deletes rows alone: the photos' own service is what lets go of their objects.
        keeping = sorted(users.exclude(photos=None).values_list("username", flat=True).distinct())
        users.filter(photos=None).delete()
        if keeping:
            raise CommandError(f"They have photos: {', '.join(keeping)}. Delete those first.")
