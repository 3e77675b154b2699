"""Make a user be there, with the password that standard input says."""

import sys
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Create the user NAME, or set its password and rights. The password is read from standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--staff", action="store_true", help="may enter the admin")
        parser.add_argument("--superuser", action="store_true", help="may do everything there; implies --staff")

    def handle(self, *args: Any, **options: Any) -> None:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise CommandError("Give the password on standard input.")
        rights = {"is_superuser": options["superuser"], "is_staff": options["staff"] or options["superuser"]}
        user, created = User.objects.get_or_create(username=options["name"], defaults=rights)
        changed = [name for name, value in rights.items() if getattr(user, name) != value]
        for name in changed:
            setattr(user, name, rights[name])
        # An unchanged password keeps its hash, and with it everybody's tokens and sessions.
        if created or not user.check_password(password):
            user.set_password(password)
            changed.append("password")
        if changed:
            user.save()
        state = "created" if created else ", ".join(changed) + " set" if changed else "as it should be"
        self.stdout.write(f"{user.username}: {state}")
