"""Take a backup: to standard output, or into the bucket of backups."""

import hashlib
import json
import os
from dataclasses import asdict
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from uploads.staging import STORAGE_ERRORS

from backups.refusals import refusals_told
from backups.sealed import KeyInvalid, recipients_read, sealed
from backups.services import Taken, backup_write
from backups.storing import backup_store, backups_prune
from backups.telling import progress_teller, tell_line


class Command(BaseCommand):
    help = (
        "Write an encrypted backup of rows and objects to standard output. Progress, and at the end what it consists "
        "of, goes to standard error, each a line of JSON. Who keeps it says so with record_backup."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--recipient", action="append", default=[], help="a public key of age; may be repeated")
        parser.add_argument("--about", default="{}", help="JSON: of which stage it is")

        parser.add_argument("--store", action="store_true", help="into the bucket of backups, and say where")
        parser.add_argument("--keep-days", type=int, default=14, help="how long stored ones are kept")
        parser.add_argument("--keep-count", type=int, default=3, help="how many stored ones are kept however old")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            recipients = recipients_read(options["recipient"])
        except KeyInvalid as error:
            raise CommandError(str(error)) from error
        about = json.loads(options["about"])
        if options["store"]:
            self._store(recipients, about, keep_days=options["keep_days"], keep_count=options["keep_count"])
            return
        # What anybody prints or logs must not get into the archive.
        with os.fdopen(os.dup(1), "wb", buffering=0) as out:
            os.dup2(2, 1)
            counted = Counted(out)
            with refusals_told(), sealed(counted, recipients) as target:
                taken = backup_write(target=target, about=about, tell=progress_teller())
        tell_line({"taken": {**summary(taken), **counted.told()}})

    def _store(self, recipients: list[Any], about: dict[str, str], *, keep_days: int, keep_count: int) -> None:
        with refusals_told():
            place, taken = backup_store(recipients=recipients, about=about, tell=progress_teller())
        self.stdout.write(f"{place}: {taken.objects} objects with their rows")
        for names, what in ((taken.missing, "missing"), (taken.damaged, "not as its row says")):
            for name in names:
                self.stderr.write(f"{name}: {what}")
        try:
            old = backups_prune(about=about, keep_days=keep_days, keep_count=keep_count)
        except STORAGE_ERRORS as error:
            raise CommandError(f"the backup is good, but old ones could not be deleted: {error}") from error
        for key in old:
            self.stdout.write(f"{key}: deleted, it was old")


class Counted:
    """A file, and what was written to it."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._bytes = 0
        self._sha256 = hashlib.sha256()

    def write(self, content: bytes, /) -> int:
        """All of it: a pipe may take less at once."""
        self._sha256.update(content)
        self._bytes += len(content)
        left = memoryview(content)
        while left:
            left = left[self._out.write(left) :]
        return len(content)

    def told(self) -> dict[str, object]:
        return {"archive_bytes": self._bytes, "archive_sha256": self._sha256.hexdigest()}


def summary(taken: Taken) -> dict[str, Any]:
    """What a backup consists of, as JSON has it."""
    return {**asdict(taken), "taken": taken.taken.isoformat()}
