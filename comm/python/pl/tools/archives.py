"""Take one program out of an archive. Nothing in the archive decides where anything is written."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from pl.errors import ArchiveUnusable

LARGEST = 1024**3
"""Bytes that a program may unpack to; the largest of ours has a tenth of that."""
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def take(archive: Path, kind: str, member: str, to: Path) -> None:
    """Write the regular file ``member`` of a verified ``archive`` to ``to``. ``kind`` is the end of the archive's name.

    Raises ArchiveUnusable, and OSError when ``to`` cannot be written.
    """
    try:
        (_from_zip if kind.endswith(".zip") else _from_tar)(archive, member, to)
    except (*_DAMAGED, tarfile.ReadError) as error:
        raise _unusable(member, f"the archive is damaged: {error}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise _unusable(member, f"the archive is damaged: {error}") from None  # gzip says it so


def _from_tar(archive: Path, member: str, to: Path) -> None:
    with tarfile.open(archive, "r:gz") as tar:
        for entry in tar:
            if entry.name.removeprefix("./") != member:
                continue
            if not entry.isreg():
                raise _unusable(member, "it is a link or a folder, and no program")
            source = tar.extractfile(entry)
            if source is None:
                raise _unusable(member, "it has no content")
            with source:
                return _write(source, entry.size, member, to)
    raise _unusable(member, "the archive does not hold it")


def _from_zip(archive: Path, member: str, to: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        try:
            entry = packed.getinfo(member)
        except KeyError:
            raise _unusable(member, "the archive does not hold it") from None
        kind = entry.external_attr >> 16 & 0o170000
        if entry.is_dir() or kind not in (0, 0o100000):
            raise _unusable(member, "it is a link or a folder, and no program")
        with packed.open(entry) as source:
            _write(source, entry.file_size, member, to)


def _write(source: IO[bytes], size: int, member: str, to: Path) -> None:
    if size > LARGEST:
        raise _unusable(member, f"it has {size} bytes, and a program of ours at most {LARGEST}")
    left = size
    with to.open("xb") as target:
        while left and (chunk := source.read(min(left, 1024 * 1024))):
            target.write(chunk)
            left -= len(chunk)
    if left:
        raise _unusable(member, "it is cut short")


def _unusable(member: str, why: str) -> ArchiveUnusable:
    return ArchiveUnusable(
        f"{member} cannot be unpacked", why=why, hint="compare url and member in tools.toml with the vendor's release"
    )
