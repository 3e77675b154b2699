"""Create the buckets that are not there yet."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.storage import storages
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Create the buckets for originals and thumbnails, private. Those that exist stay as they are."

    def handle(self, *args: Any, **options: Any) -> None:
        for alias in ("originals", "thumbnails"):
            bucket: Any = storages[alias]
            try:
                created = bucket.ensure()
            except (BotoCoreError, ClientError) as error:
                raise CommandError(f"{bucket.bucket_name}: {error}") from error
            self.stdout.write(f"{bucket.bucket_name}: {'created' if created else 'there already'}")
