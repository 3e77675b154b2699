"""Writes: a backup goes straight into its bucket, and old ones go out of it."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

from django.db import connection
from django.db.models import Sum
from django.utils import timezone
from gallery.models import Original
from ops.outages import connection_renew

from backups.bucket import archive_key, archives_bucket, outlived
from backups.sealed import sealed
from backups.services import Taken, Told, backup_record, backup_write


class NotStored(Exception):
    """What is in the bucket is not what was written; it was removed."""


def backup_store(*, recipients: Sequence[Any], about: Mapping[str, str], tell: Told) -> tuple[str, Taken]:
    """Take a backup into the bucket of archives, and remember it. Its key, and what it consists of.

    Raises what database and storage raise, and NotStored; then none is remembered, and the bucket is as before. What
    cannot be remembered, because the database went away at the very end, stays in the bucket.
    """
    bucket, of = archives_bucket(), _stage(about)
    key = archive_key(of, timezone.now())
    reading, writing = os.pipe()
    failures: list[BaseException] = []
    expected = _expected_bytes()
    with os.fdopen(reading, "rb", buffering=256 * 1024) as pipe:
        handed = _Handed(pipe)

        def store() -> None:
            try:
                bucket.put_whole(key, handed, expected_bytes=expected)
            except BaseException as error:  # noqa: BLE001 - raised in the other thread
                failures.append(error)
                pipe.close()  # who writes is to hear of it

        thread = threading.Thread(target=store, name="store")
        thread.start()
        try:
            with os.fdopen(writing, "wb", buffering=256 * 1024) as target:
                try:
                    with sealed(target, recipients) as file:
                        taken = backup_write(target=file, about=about, tell=tell)
                except BaseException:
                    handed.is_whole = False
                    raise
        except BrokenPipeError:
            thread.join()
            raise (failures[0] if failures else NotStored("the bucket took no more")) from None
        finally:
            thread.join()
    if failures:
        raise failures[0]
    stored = next((found for found in bucket.archives(of) if found.key == key), None)
    if stored is None or stored.bytes != handed.bytes:
        bucket.discard(key)
        raise NotStored(f"{key}: {stored.bytes if stored else 'none'} of {handed.bytes} bytes are there")
    lacking = len(taken.missing) + len(taken.damaged)
    # Copying objects may have taken hours.
    connection_renew()
    place = f"{bucket.bucket_name}/{key}"
    backup_record(taken=taken.taken, place=place, bytes=stored.bytes, objects=taken.objects, missing=lacking)
    return place, taken


def backups_prune(*, about: Mapping[str, str], keep_days: int, keep_count: int) -> list[str]:
    """Delete archives of that stage that are old, and not among the newest. Their keys."""
    bucket = archives_bucket()
    old = outlived(bucket.archives(_stage(about)), now=timezone.now(), keep_days=keep_days, keep_count=keep_count)
    for key in old:
        bucket.discard(key)
    return old


def _stage(about: Mapping[str, str]) -> str:
    return f"{about.get('project', 'backup')}-{about.get('stage', 'stage')}"


def _expected_bytes() -> int:
    """More or less: objects, and the database as if it were not compressed."""
    objects = Original.objects.aggregate(all=Sum("bytes"))["all"] or 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        [rows] = cursor.fetchone() or [0]
    return int(objects) + int(rows)


class _Handed:
    """What the other thread writes. An end that comes of a failure is none."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self.bytes = 0
        self.is_whole = True

    def read(self, size: int, /) -> bytes:
        content = self._pipe.read(size)
        if len(content) < size and not self.is_whole:
            raise NotStored("the backup did not come to its end")
        self.bytes += len(content)
        return content
