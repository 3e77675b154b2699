"""Bring back what an archive on standard input holds, decrypted and verified by who calls this."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backups.archive import ArchiveReader
from backups.database import header_refuse
from backups.refusals import refusals_told
from backups.restoring import holdings, jobs_release, left_to_make, restore
from backups.telling import progress_teller


class Command(BaseCommand):
    help = (
        "Replace all rows by those of an archive on standard input, and put its objects (as `python -m backups open` "
        "writes it). Progress goes to standard error, a line of JSON each."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--look",
            action="store_true",
            help="read a header alone, as JSON; say whether it could be restored and how many photos are here now",
        )
        parser.add_argument(
            "--left", action="store_true", help="say how many originals wait for their renditions to be made again"
        )
        parser.add_argument(
            "--go-on", action="store_true", help="have the archive's jobs go on: all sections of it are there"
        )
        parser.add_argument("--bytes", type=int, default=0, help="of all objects, for progress")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_told():
            if options["look"]:
                header_refuse(json.load(sys.stdin))
                self.stdout.write(json.dumps({"holdings": holdings()}))
                return
            if options["left"]:
                self.stdout.write(str(left_to_make()))
                return
            if options["go_on"]:
                jobs_release()
                return
            tell = progress_teller()
            restore(archive=ArchiveReader(sys.stdin.buffer), tell=lambda done: tell(done, options["bytes"]))
