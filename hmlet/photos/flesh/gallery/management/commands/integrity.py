"""Compare the database with the buckets."""

import json
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from uploads.staging import STORAGE_ERRORS

from gallery.integrity import PROBLEMS, Finding, finding_repair, integrity_check, integrity_record


class Command(BaseCommand):
    help = (
        "Compare rows with objects: missing, mismatched, orphaned. Exit status 0 when nothing is wrong, 1 when "
        "something was, 2 when it could not be found out. Needs keys that may list; to get for --deep, to delete for "
        "--repair."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--deep", action="store_true", help="compare the SHA-256 of originals too: reads them all")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="delete what is orphaned, have renditions made again; no more than that",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object: findings and counts")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = Counter[str]()
        tell = self._tell_json if options["json"] else self._tell_line
        if options["json"]:
            self.stdout.write('{"findings": [', ending="")
        try:
            for finding in integrity_check(deep=options["deep"]):
                tell(finding, finding_repair(finding) if options["repair"] else "", first=not counts)
                counts[finding.problem] += 1
        except STORAGE_ERRORS as error:
            raise CommandError(f"the object storage does not answer: {error}", returncode=2) from error
        integrity_record(counts=counts, deep=options["deep"])
        if options["json"]:
            told = ", ".join(f'"{problem}": {counts[problem]}' for problem in PROBLEMS)
            self.stdout.write(f"], {told}}}")
        summary = ", ".join(f"{counts[problem]} {problem}" for problem in PROBLEMS)
        if counts:
            raise CommandError(summary, returncode=1)
        if not options["json"]:
            self.stdout.write(summary)

    def _tell_line(self, finding: Finding, repaired: str, *, first: bool) -> None:
        end = f" ({repaired})" if repaired else ""
        self.stdout.write(f"{finding.problem} {finding.bucket}/{finding.key}: {finding.detail}{end}")

    def _tell_json(self, finding: Finding, repaired: str, *, first: bool) -> None:
        told = {name: getattr(finding, name) for name in ("problem", "bucket", "key", "detail")}
        line = json.dumps({**told, "repaired": repaired})
        self.stdout.write(f"{'' if first else ','}\n{line}", ending="")
