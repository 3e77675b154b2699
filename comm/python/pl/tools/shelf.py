"""What stands in ``.deps``: ``bin/NAME``, a link to ``tools/NAME-VERSION-SHA/NAME``, with a stamp beside it.

A program gets there whole or not at all: it is made in a folder of its own, which is renamed; then the link is swapped.
Only verified programs are made executable, and only those get a link.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pl.files import write_whole
from pl.tools.checksums import sha256_of

STAMP = "stamp.json"
_HALF = ".half-"


class Shelf:
    """The tools of a checkout, in its ``.deps``."""

    def __init__(self, deps: Path) -> None:
        self._deps = deps
        self.bin = deps / "bin"
        self._tools = deps / "tools"
        self.downloads = deps / "downloads"

    @contextlib.contextmanager
    def alone(self, say: Callable[[str], None]) -> Iterator[None]:
        """The right to change the shelf. It goes with the process, however that ends."""
        for folder in (self.bin, self._tools, self.downloads):
            folder.mkdir(parents=True, exist_ok=True)
        with (self._deps / "tools.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another shell is fetching tools; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self._tools.glob(f"{_HALF}*"):
                shutil.rmtree(left)
            yield

    def part(self, name: str, version: str, place: str) -> Path:
        """Where the download of a place is collected."""
        return self.downloads / f"{name}-{version}-{hashlib.sha256(place.encode()).hexdigest()[:16]}.part"

    def linked(self, name: str) -> str:
        """The folder, as NAME-VERSION-SHA, that a tool's link leads to, or nothing."""
        try:
            target = (self.bin / name).readlink()
        except OSError:
            return ""
        parts = target.parts
        return parts[2] if len(parts) == 4 and parts[:2] == ("..", "tools") and parts[3] == name else ""

    def holds(self, name: str, version: str, sha256: str, *, rehash: bool = False) -> bool:
        """Whether the tool is linked and whole. Without a checksum, whatever was verified of that version will do."""
        linked = self.linked(name)
        wanted = self._folder(name, version, sha256).name if sha256 else _with_any(name, version, linked)
        return linked == wanted != "" and self.is_whole(linked, name, rehash=rehash)

    def stands(self, name: str, version: str, sha256: str, *, rehash: bool = False) -> bool:
        """Whether the tool is there and whole, linked or not."""
        return self.is_whole(self._folder(name, version, sha256).name, name, rehash=rehash)

    def is_whole(self, folder: str, name: str, *, rehash: bool = False) -> bool:
        """Whether a program is what was installed: by size and time, or by its checksum where those say otherwise."""
        program, stamp = self._tools / folder / name, self._tools / folder / STAMP
        try:
            noted = json.loads(stamp.read_text(encoding="utf-8"))
            seen = program.stat()
            if not seen.st_mode & 0o100 or noted["size"] != seen.st_size:
                return False
            untouched = not rehash and noted["mtime_ns"] == seen.st_mtime_ns
            return untouched or sha256_of(program) == str(noted["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def put(self, name: str, version: str, sha256: str, make: Callable[[Path], None]) -> None:
        """Install what ``make`` writes from a verified artifact of checksum ``sha256``. Does not link it."""
        folder = self._folder(name, version, sha256)
        half = self._tools / f"{_HALF}{folder.name}"
        half.mkdir()
        try:
            program = half / name
            make(program)
            with program.open("rb") as written:
                os.fsync(written.fileno())
            program.chmod(0o755)
            seen = program.stat()
            noted = {"sha256": sha256_of(program), "size": seen.st_size, "mtime_ns": seen.st_mtime_ns}
            write_whole(half / STAMP, json.dumps({**noted, "artifact": sha256}))
            if folder.exists():
                folder.rename(self._tools / f"{_HALF}damaged-{folder.name}")
            half.rename(folder)
        finally:
            for left in self._tools.glob(f"{_HALF}*{folder.name}"):
                shutil.rmtree(left, ignore_errors=True)

    def link(self, name: str, version: str, sha256: str) -> None:
        """Let ``bin/NAME`` lead to an installed tool, from one moment to the next."""
        half = self.bin / f".{name}.new"
        half.unlink(missing_ok=True)
        half.symlink_to(Path("..", "tools", self._folder(name, version, sha256).name, name))
        half.replace(self.bin / name)

    def _folder(self, name: str, version: str, sha256: str) -> Path:
        return self._tools / f"{name}-{version}-{sha256[:16]}"


def _with_any(name: str, version: str, linked: str) -> str:
    return linked if linked.rpartition("-")[0] == f"{name}-{version}" else ""
