"""The form of a backup: a tar of sections, each member of which a manifest names with its bytes and SHA-256.

::

    header.json                          format, when, of which stage, migrations, tables with their columns
    database/TABLE/000001.copy.gz        rows, as PostgreSQL's COPY writes them, in pieces
    database.manifest/000001.jsonl       {"name", "bytes", "sha256"} of the members since the last one
    originals/KEY ...                    objects, by their keys
    originals.manifest/000001.jsonl ...
    thumbnails/KEY ...
    thumbnails.manifest/000001.jsonl ...
    end.json                             what each section consists of in all

Written and read as streams: what is held in memory does not grow with the archive. ``end.json`` is last, so what lacks
it is no archive. Encryption is around this (backups.sealed), so that ``age -d`` and ``tar x`` open one without us.
Knows neither Django nor encryption.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, NoReturn, Protocol, cast

FORMAT = 1
HEADER = "header.json"
END = "end.json"
SECTIONS = ("database", "originals", "thumbnails")
MEMBERS_IN_MANIFEST = 1000
_MANIFEST = ".manifest"
_SMALL_BYTES = 64 * 1024 * 1024
_COPY_BYTES = 256 * 1024


class ArchiveInvalid(Exception):
    """It is not whole, not as it was written, or no archive at all; the message says which."""


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes: ...


class Target(Protocol):
    """Where bytes go."""

    def write(self, content: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A part of a section. ``content`` is read before the next member is asked for, or skipped by that."""

    section: str
    name: str
    bytes: int
    content: Source


@dataclass(slots=True)
class _Section:
    """What has passed of one."""

    members: int = 0
    size: int = 0
    manifests: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    pending: list[bytes] = field(default_factory=list)

    def add(self, name: str, size: int, sha256: str) -> None:
        self.members += 1
        self.size += size
        self.pending.append(json.dumps({"name": name, "bytes": size, "sha256": sha256}).encode() + b"\n")

    def manifest(self) -> bytes:
        """Of what came since the last one."""
        content = b"".join(self.pending)
        self.pending.clear()
        self.manifests += 1
        self.digest.update(content)
        return content

    def told(self) -> dict[str, object]:
        return {"members": self.members, "bytes": self.size, "sha256": self.digest.hexdigest()}


class ArchiveWriter:
    """Writes one: members section by section, in the order of SECTIONS, then ``end``. To be used with ``with``."""

    def __init__(self, target: Target, header: Mapping[str, object]) -> None:
        self._tar = tarfile.open(fileobj=cast(IO[bytes], target), mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._mtime = int(datetime.fromisoformat(str(header["taken"])).timestamp())
        self._sections: dict[str, _Section] = {}
        self._put(HEADER, _as_json({"format": FORMAT, **header}))

    def __enter__(self) -> "ArchiveWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # What did not come to its end would write its last block when it is forgotten.
        cast(Any, self._tar.fileobj).closed = True

    def add(self, section: str, name: str, size: int, content: Source) -> str:
        """Write a member of ``size`` bytes, and return its SHA-256. Raises ArchiveInvalid if there are fewer."""
        known = self._sections.get(section)
        if known is None:
            self._close_sections()
            known = self._sections[section] = _Section()
        hashing = _Hashing(content)
        try:
            self._add(f"{section}/{name}", size, hashing)
        except OSError as error:
            if hashing.bytes < size and "unexpected end of data" in str(error):
                raise ArchiveInvalid(f"{name} ended after {hashing.bytes} of {size} bytes") from error
            raise
        known.add(name, size, hashing.sha256.hexdigest())
        if len(known.pending) >= MEMBERS_IN_MANIFEST:
            self._put_manifest(section)
        return hashing.sha256.hexdigest()

    def end(self, facts: Mapping[str, object]) -> None:
        """Nothing is an archive without this."""
        self._close_sections()
        told = {name: section.told() for name, section in self._sections.items()}
        self._put(END, _as_json({"sections": told, **facts}))
        self._tar.close()

    def _close_sections(self) -> None:
        for name, section in self._sections.items():
            if section.pending:
                self._put_manifest(name)

    def _put_manifest(self, name: str) -> None:
        section = self._sections[name]
        content = section.manifest()
        self._put(f"{name}{_MANIFEST}/{section.manifests:06}.jsonl", content)

    def _put(self, name: str, content: bytes) -> None:
        self._add(name, len(content), io.BytesIO(content))

    def _add(self, name: str, size: int, content: Source) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, self._mtime, 0o600
        self._tar.addfile(info, cast(IO[bytes], content))
        # It remembers all that it ever wrote.
        self._tar.members.clear()  # type: ignore[attr-defined]


class ArchiveReader:
    """Reads one, and verifies what it reads. ``end`` is there when ``members`` has come to its end."""

    def __init__(self, source: Source) -> None:
        """Raises ArchiveInvalid for what has no header, or one that we do not know."""
        try:
            self._tar = tarfile.open(fileobj=cast(IO[bytes], source), mode="r|", bufsize=_COPY_BYTES)  # noqa: SIM115
        except tarfile.TarError as error:
            raise ArchiveInvalid(f"it is no backup: {error}") from error
        self.end: dict[str, Any] = {}
        self._sections: dict[str, _Section] = {}
        first = self._next()
        if first is None or first.name != HEADER:
            raise ArchiveInvalid("it is no backup: it does not begin with a header")
        self.header = self._json(first)
        found = self.header.get("format")
        if not isinstance(found, int):
            raise ArchiveInvalid("its header says no format")
        if found > FORMAT:
            raise ArchiveInvalid(f"it is of format {found}, and this version knows formats up to {FORMAT}")

    def members(self) -> Iterator[Member]:
        """All of them. What was read of one is verified when its manifest comes; at the latest, at the end.

        Raises ArchiveInvalid.
        """
        while True:
            info = self._next()
            if info is None:
                self._refuse("it ends too early: the rest is missing")
            if info.name == END:
                break
            section, _, name = info.name.partition("/")
            if section.endswith(_MANIFEST):
                self._compare(section.removesuffix(_MANIFEST), info)
                continue
            known = self._begun(section, info)
            hashing = _Hashing(cast(Source, self._tar.extractfile(info)))
            yield Member(section=section, name=name, bytes=info.size, content=hashing)
            self._drain(hashing, info)
            known.add(name, info.size, hashing.sha256.hexdigest())
            if len(known.pending) > MEMBERS_IN_MANIFEST:
                self._refuse(f"{section} has members that no manifest names")
        end = self._json(info)
        told = {name: section.told() for name, section in self._sections.items()}
        if any(section.pending for section in self._sections.values()) or end.get("sections") != told:
            self._refuse("it does not hold what its end says")
        if self._next() is not None:
            self._refuse("something comes after its end")
        self.end = end

    def _begun(self, section: str, info: tarfile.TarInfo) -> _Section:
        if section not in SECTIONS or not info.isreg():
            self._refuse(f"{info.name} has no place in it")
        if any(SECTIONS.index(begun) > SECTIONS.index(section) for begun in self._sections):
            self._refuse(f"{section} comes too late in it")
        if section not in self._sections:
            if any(known.pending for known in self._sections.values()):
                self._refuse("it has members that no manifest names")
            self._sections[section] = _Section()
        return self._sections[section]

    def _compare(self, section: str, info: tarfile.TarInfo) -> None:
        known = self._sections.get(section)
        if known is None or self._small(info) != known.manifest():
            self._refuse(f"{section} is not as its manifest says")

    def _drain(self, hashing: "_Hashing", info: tarfile.TarInfo) -> None:
        try:
            while hashing.read(_COPY_BYTES):
                pass
        except tarfile.TarError:
            self._refuse(f"it ends in the middle of {info.name}")
        if hashing.bytes != info.size:
            self._refuse(f"it ends in the middle of {info.name}")

    def _next(self) -> tarfile.TarInfo | None:
        try:
            found = self._tar.next()
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise ArchiveInvalid(f"it is damaged: {error}") from error
        self._tar.members.clear()  # type: ignore[attr-defined]
        return found

    def _json(self, info: tarfile.TarInfo) -> dict[str, Any]:
        try:
            found = json.loads(self._small(info))
        except ValueError as error:
            raise ArchiveInvalid(f"{info.name} is damaged") from error
        if not isinstance(found, dict):
            self._refuse(f"{info.name} is damaged")
        return found

    def _small(self, info: tarfile.TarInfo) -> bytes:
        if not info.isreg() or info.size > _SMALL_BYTES:
            self._refuse(f"{info.name} is damaged")
        found = cast(Source, self._tar.extractfile(info))
        try:
            content = found.read(info.size)
        except tarfile.TarError:
            content = b""
        if len(content) != info.size:
            self._refuse(f"it ends in the middle of {info.name}")
        return content

    def _refuse(self, why: str) -> NoReturn:
        raise ArchiveInvalid(why)


def archive_verify(source: Source) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read all of an archive, and return its header and its end. Raises ArchiveInvalid."""
    reader = ArchiveReader(source)
    for _ in reader.members():
        pass
    return reader.header, reader.end


def archive_copy(source: Source, target: Target, sections: frozenset[str]) -> None:
    """Write an archive of some of another's sections. Raises ArchiveInvalid; then what was written has no end."""
    reader = ArchiveReader(source)
    header = {name: value for name, value in reader.header.items() if name != "format"}
    with ArchiveWriter(target, header) as writer:
        for member in reader.members():
            if member.section in sections:
                writer.add(member.section, member.name, member.bytes, member.content)
        writer.end({name: value for name, value in reader.end.items() if name != "sections"})


class _Hashing:
    """Bytes on their way through, hashed and counted."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.sha256 = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int, /) -> bytes:
        content = self._source.read(size)
        self.sha256.update(content)
        self.bytes += len(content)
        return content


def _as_json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"
