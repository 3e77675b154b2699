"""Writes: what an archive holds is brought back. It was verified before: this is told nothing that is not whole.

Rows first, into a database of its own that takes the live one's place when it is complete; objects then, under the keys
that rows name; last, rows go whose objects were deleted while the backup was taken. Jobs are held until all of it is
there. Each step may be done twice.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import IO, cast

from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone
from gallery.buckets import Bucket
from gallery.models import Original, Photo
from gallery.named import ALIASES, Alias, named_forget
from gallery.usage import usages_correct
from jobs.models import Job

from backups.archive import ArchiveReader, Member
from backups.database import SECTION, database_build, database_built, database_swap, header_refuse
from backups.services import AT_ONCE, IN_MEMORY_BYTES, ahead

FORGET_AT_ONCE = 500
_HELD_UNTIL = datetime(9000, 1, 1, tzinfo=UTC)
"""No other job waits for that year."""


def holdings() -> int:
    """How many photos and originals there are that a restore would replace."""
    return Photo.objects.count() + Original.objects.filter(photos=None).count()


def left_to_make() -> int:
    """How many originals wait for their renditions to be made again."""
    waiting = Job.objects.filter(kind=Job.Kind.RENDITIONS, state__in=(Job.State.QUEUED, Job.State.RUNNING))
    return waiting.filter(payload__again=True).count()


def restore(*, archive: ArchiveReader, tell: Callable[[int], None]) -> None:
    """Replace all rows, and put all objects. ``tell`` is told the bytes of objects that are put.

    What the archive lacks of its sections is left as it is: so another process, with other keys, may bring back what
    this one may not. Raises DatabaseRefused, ArchiveInvalid, and what database and storage raise.
    """
    header_refuse(archive.header)
    members = _Ahead(archive.members())
    if members.is_in(SECTION):
        database_build(archive.header, members.of(SECTION))
        # The first member of what follows has been asked for: by then the last manifest of the rows was compared.
        members.is_in(SECTION)
        with database_built():
            _jobs_hold()
        database_swap()
    put = 0
    for alias in ALIASES:
        for size in _objects_put(alias, members.of(alias)):
            put += size
            tell(put)
    members.end()
    _forget(archive.end.get("gone", ()))


def _jobs_hold() -> None:
    """No worker begins what was due when the backup was taken: it would find no object, and give up for good."""
    Job.objects.filter(state=Job.State.QUEUED).update(not_before=_HELD_UNTIL)
    Job.objects.filter(state=Job.State.RUNNING).update(lease_until=_HELD_UNTIL)


def jobs_release() -> None:
    """Have them go on, once all that the archive holds is there."""
    Job.objects.filter(not_before=_HELD_UNTIL).update(not_before=None)
    Job.objects.filter(lease_until=_HELD_UNTIL).update(lease_until=timezone.now())


def _objects_put(alias: Alias, members: Iterator[Member]) -> Iterator[int]:
    bucket = cast(Bucket, storages[alias])

    def put(one: tuple[str, int, IO[bytes]]) -> int:
        key, size, content = one
        with content:
            # What it is stands in the rows: an original is never given out, and a signed URL says the type.
            bucket.write(key, content, "application/octet-stream")
        return size

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="restore") as pool:
        for _, size in ahead(pool, put, ((member.name, member.bytes, _spooled(member)) for member in members)):
            yield size


def _spooled(member: Member) -> IO[bytes]:
    content: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115
    while part := member.content.read(256 * 1024):
        content.write(part)
    return content


def _forget(gone: list[str]) -> None:
    by_bucket: dict[Alias, list[str]] = defaultdict(list)
    for name in gone:
        alias, _, key = name.partition("/")
        by_bucket[cast(Alias, alias)].append(key)
    for alias, keys in by_bucket.items():
        for start in range(0, len(keys), FORGET_AT_ONCE):
            with transaction.atomic():
                named_forget(alias, keys[start : start + FORGET_AT_ONCE])
    usages_correct()


class _Ahead:
    """Members, one of them looked at beforehand: so that each section's reader stops where the section does."""

    def __init__(self, members: Iterator[Member]) -> None:
        self._members = members
        self._next: Member | None = None
        self._over = False

    def is_in(self, section: str) -> bool:
        """Whether the next member is of that section. Until it was taken, it is the same."""
        if self._next is None and not self._over:
            self._next = next(self._members, None)
            self._over = self._next is None
        return self._next is not None and self._next.section == section

    def of(self, section: str) -> Iterator[Member]:
        """The members up to that section's end."""
        while self.is_in(section):
            member, self._next = self._next, None
            assert member is not None  # noqa: S101 - is_in says so
            yield member

    def end(self) -> None:
        """Read to the end, which verifies it."""
        while self.is_in("") or self._next is not None:
            self._next = None
