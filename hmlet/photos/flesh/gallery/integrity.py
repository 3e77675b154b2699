"""Compares rows with objects, folder by folder: what is missing, what has other content, what nobody names.

Keys begin with two hexadecimal digits, by chance, and of these 256 folders one at a time is held in memory. A folder is
listed before its rows are read, while uploads, jobs and deletions go on; so what seems wrong is looked at again before
it is told. All that takes the right to list, the content's check also to get, and the repair to delete.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone
from jobs.models import Job
from jobs.services import job_create
from ops.outages import connection_renew
from ops.work import Compared

from gallery.buckets import Bucket, StoredObject
from gallery.models import IntegrityRun
from gallery.named import ALIASES, Alias, Kept, kept_in, named_of
from gallery.originals import ORPHAN_GRACE

PROBLEMS = ("missing", "mismatched", "orphaned")
BATCH = 500
FOLDERS = frozenset(f"{number:02x}/" for number in range(256))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An object that is not as rows say, and why. ``made_of``: the Original that a job can make it of again."""

    problem: Literal["missing", "mismatched", "orphaned"]
    bucket: Alias
    key: str
    detail: str
    made_of: uuid.UUID | None = None


def integrity_check(*, deep: bool = False) -> Iterator[Finding]:
    """All that is wrong. ``deep`` compares originals' SHA-256 too, which reads all of them.

    Raises what the storage's client raises.
    """
    for alias in ALIASES:
        there = set(_bucket(alias).folders())
        for folder in sorted(FOLDERS | there):
            yield from _folder_check(alias, folder, listed=folder in there, deep=deep)


def finding_repair(finding: Finding) -> str:
    """Do what is safe, and say what; empty if nothing is. Rows of originals are never changed."""
    if finding.problem == "orphaned":
        _bucket(finding.bucket).discard(finding.key)
        return "deleted"
    if finding.made_of is None:
        return ""
    # One job makes all renditions of an original.
    waiting = Job.objects.filter(subject=finding.made_of, state__in=(Job.State.QUEUED, Job.State.RUNNING))
    if not waiting.filter(kind=Job.Kind.RENDITIONS, payload__again=True).exists():
        with transaction.atomic():
            job_create(kind=Job.Kind.RENDITIONS, owner=None, subject=finding.made_of, payload={"again": True})
    return "being made again"


def integrity_record(*, counts: Mapping[str, int], deep: bool) -> IntegrityRun:
    """Remember what a comparison found that came to its end."""
    # Reading all originals takes hours.
    connection_renew()
    return IntegrityRun.objects.create(deep=deep, **{problem: counts.get(problem, 0) for problem in PROBLEMS})


def integrity_last() -> Compared | None:
    """What the last comparison found; None if there was none."""
    run = IntegrityRun.objects.first()
    if run is None:
        return None
    return Compared(finished=run.finished, found={problem: getattr(run, problem) for problem in PROBLEMS})


def _folder_check(alias: Alias, folder: str, *, listed: bool, deep: bool) -> Iterator[Finding]:
    objects = _objects(alias, folder) if listed else {}
    suspects = set()
    for kept in kept_in(alias, folder):
        if _compared(alias, kept, objects.pop(kept.key, None), deep=deep):
            suspects.add(kept.key)
    if suspects:
        yield from _confirmed(alias, folder, suspects, deep=deep)
    before = timezone.now() - ORPHAN_GRACE
    old = [stored for stored in objects.values() if stored.written < before]
    for start in range(0, len(old), BATCH):
        yield from _orphaned(alias, old[start : start + BATCH])


def _compared(alias: Alias, kept: Kept, stored: StoredObject | None, *, deep: bool) -> Finding | None:
    if stored is None:
        detail = f"{kept.bytes} bytes are to be there"
        return Finding(problem="missing", bucket=alias, key=kept.key, detail=detail, made_of=kept.made_of)
    if stored.bytes != kept.bytes:
        detail = f"it has {stored.bytes} bytes, not {kept.bytes}"
    elif deep and kept.sha256 is not None and _sha256(alias, kept.key) != kept.sha256:
        detail = f"its SHA-256 is not {kept.sha256}"
    else:
        return None
    return Finding(problem="mismatched", bucket=alias, key=kept.key, detail=detail, made_of=kept.made_of)


def _confirmed(alias: Alias, folder: str, suspects: set[str], *, deep: bool) -> Iterator[Finding]:
    """What is still wrong by rows of now, and objects of after that."""
    for kept in [kept for kept in kept_in(alias, folder) if kept.key in suspects]:
        stored = _objects(alias, kept.key).get(kept.key)
        finding = _compared(alias, kept, stored, deep=deep)
        # A row that went in between has taken its object with it.
        if finding and named_of(alias, [kept.key]):
            yield finding


def _orphaned(alias: Alias, old: list[StoredObject]) -> Iterator[Finding]:
    keys = [stored.key for stored in old]
    named = named_of(alias, keys) | _to_be_purged(alias, keys)
    for stored in old:
        if stored.key not in named and stored.key in _objects(alias, stored.key):
            detail = f"{stored.bytes} bytes that no row names, since {stored.written:%Y-%m-%d %H:%M}"
            yield Finding(problem="orphaned", bucket=alias, key=stored.key, detail=detail)


def _to_be_purged(alias: Alias, keys: list[str]) -> set[str]:
    """Those of the keys that a job is about to delete."""
    waiting = Job.objects.filter(kind=Job.Kind.PURGE, state__in=(Job.State.QUEUED, Job.State.RUNNING)).order_by()
    payloads = waiting.values_list("payload", flat=True).iterator(chunk_size=BATCH)
    asked = set(keys)
    return {key for payload in payloads for key in payload.get(alias, ()) if key in asked}


def _objects(alias: Alias, folder: str) -> dict[str, StoredObject]:
    """By their keys. An object that is in no folder is its own."""
    found = _bucket(alias).listed(folder)
    return {stored.key: stored for stored in found if folder.endswith("/") or stored.key == folder}


def _sha256(alias: Alias, key: str) -> str:
    digest = _Digest()
    try:
        _bucket(alias).read(key, digest)
    except FileNotFoundError:
        return "none: it has just gone"
    return digest.sha256.hexdigest()


class _Digest:
    """Where bytes are written to be hashed."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, content: bytes, /) -> None:
        self.sha256.update(content)


def _bucket(alias: Alias) -> Bucket:
    return cast(Bucket, storages[alias])
