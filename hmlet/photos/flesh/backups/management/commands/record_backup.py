"""Remember a backup that somebody keeps."""

import json
import sys
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand

from backups.services import backup_record


class Command(BaseCommand):
    help = "Remember a backup that is kept, as standard input says in JSON: taken, place, bytes, objects, missing."

    def handle(self, *args: Any, **options: Any) -> None:
        said = json.load(sys.stdin)
        said["taken"] = datetime.fromisoformat(said["taken"])
        backup_record(**said)
