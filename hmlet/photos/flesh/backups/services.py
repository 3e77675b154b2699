"""Writes: a backup is taken, of one moment's rows and the objects that they name.

The rows come first, out of one snapshot, and with them the list of objects: no transaction is open while those are
copied, which may take hours. What is posted meanwhile is in none of both. What is deleted meanwhile may have lost its
object before that was reached: it is listed as *gone*, and who restores deletes its rows as well. What rows still name
and is not there is *missing*, and was so before.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import IO, Any, TypeVar, cast

from django.core.files.storage import storages
from django.utils import timezone
from gallery.buckets import Bucket
from gallery.integrity import FOLDERS
from gallery.named import ALIASES, Alias, Kept, kept_in, named_of

from backups.archive import ArchiveWriter, Target
from backups.database import migrations_applied, snapshot, tables_read, tables_write
from backups.models import Backup

AT_ONCE = 4
IN_MEMORY_BYTES = 8 * 1024 * 1024

Told = Callable[[int, int], None]
"""Of progress: bytes of objects that are done, and of all."""
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(slots=True, kw_only=True)
class Taken:
    """What a backup consists of. ``gone`` and ``missing`` are keys, with their bucket before them; ``damaged`` have
    another content than rows say, and are in it as they are."""

    taken: datetime
    objects: int = 0
    bytes: int = 0
    gone: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def backup_write(*, target: Target, about: Mapping[str, str], tell: Told) -> Taken:
    """Write an archive of all rows, and of the objects that no job can make again.

    ``about`` says of which stage it is. Raises what database, storage and ``target`` raise; then it has no end.
    """
    taken = Taken(taken=timezone.now())
    with tempfile.TemporaryFile() as listed, contextlib.ExitStack() as until_the_end:
        with snapshot():
            tables = tables_read()
            header = {
                "taken": taken.taken.isoformat(),
                **about,
                "migrations": migrations_applied(),
                "tables": tables,
            }
            archive = until_the_end.enter_context(ArchiveWriter(target, header))
            tables_write(archive, tables)
            total = _kept_list(listed)
        tell(0, total)
        _objects_write(archive, listed, taken, lambda: tell(taken.bytes, total))
        archive.end({name: getattr(taken, name) for name in ("gone", "missing", "damaged")})
    return taken


def backup_record(*, taken: datetime, place: str, bytes: int, objects: int, missing: int) -> Backup:
    """Remember a backup that came to its end and is where ``place`` says."""
    return Backup.objects.create(taken=taken, place=place[:1024], bytes=bytes, objects_held=objects, missing=missing)


def ahead(pool: ThreadPoolExecutor, make: Callable[[Item], Made], items: Iterator[Item]) -> Iterator[tuple[Item, Made]]:
    """Each item with what is made of it, in order, a few of them being made beforehand."""
    waiting: list[tuple[Item, Future[Made]]] = [(item, pool.submit(make, item)) for item in islice(items, AT_ONCE)]
    while waiting:
        item, future = waiting.pop(0)
        yield item, future.result()
        waiting += [(following, pool.submit(make, following)) for following in islice(items, 1)]


def _kept_list(listed: IO[bytes]) -> int:
    """Write down what rows of the snapshot want to be there, if no job can make it again. Returns their bytes."""
    total = 0
    for alias in ALIASES:
        for folder in sorted(FOLDERS):
            for kept in kept_in(alias, folder):
                if kept.made_of is None:
                    line = {"alias": alias, "key": kept.key, "bytes": kept.bytes, "sha256": kept.sha256}
                    listed.write(json.dumps(line).encode() + b"\n")
                    total += kept.bytes
    return total


def _objects_write(archive: ArchiveWriter, listed: IO[bytes], taken: Taken, tell: Callable[[], None]) -> None:
    listed.seek(0)
    wanted = (
        (line["alias"], Kept(**{name: line[name] for name in ("key", "bytes", "sha256")})) for line in _lines(listed)
    )
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="backup") as pool:
        for (alias, kept), fetched in ahead(pool, lambda one: _fetched(*one), wanted):
            name = f"{alias}/{kept.key}"
            if fetched is None:
                still_named = named_of(alias, [kept.key])
                (taken.missing if still_named else taken.gone).append(name)
                continue
            with fetched:
                size = fetched.seek(0, 2)
                fetched.seek(0)
                sha256 = archive.add(alias, kept.key, size, fetched)
            if size != kept.bytes or kept.sha256 not in (None, sha256):
                taken.damaged.append(name)
            taken.objects += 1
            taken.bytes += size
            tell()


def _fetched(alias: Alias, kept: Kept) -> IO[bytes] | None:
    """An object whole, before anything of it is written: its size must be known, and a broken answer asked for again.

    None if there is none.
    """
    content: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115
    try:
        for _attempt in range(3):
            content.seek(0)
            content.truncate()
            digest = hashlib.sha256()
            cast(Bucket, storages[alias]).read(kept.key, _Both(content, digest))
            if content.tell() == kept.bytes and kept.sha256 in (None, digest.hexdigest()):
                break
    except FileNotFoundError:
        content.close()
        return None
    except BaseException:
        content.close()
        raise
    return content


def _lines(listed: IO[bytes]) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in listed)


class _Both:
    """Writes to a file, and hashes."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file = file
        self._digest = digest

    def write(self, content: bytes, /) -> int:
        self._digest.update(content)
        return self._file.write(content)
