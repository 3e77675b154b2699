"""What a file must be: SHA-256 digests, as vendors publish them and as they are remembered under ``.deps``."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import tomllib
from pathlib import Path

from pl.errors import ToolUnverified
from pl.files import write_whole
from pl.tools.registry import Form

LEARNED = "tools-learned.toml"
_HEAD = "# Checksums that vendors published, learned by this checkout. pl.lock --tools writes the tracked file.\n"
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_LINE = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(\S.*)")


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def published(text: str, form: Form, name: str, place: str) -> str:
    """The digest of the file ``name`` in what a vendor publishes. Raises ToolUnverified where there is none, or two."""
    readers = {"bare": _bare, "lines": _lines, "github": _github}
    found = {digest.lower() for digest in readers[form](text, name)}
    if len(found) == 1:
        return found.pop()
    why = "it holds none for that name" if not found else "it holds several that differ"
    raise ToolUnverified(
        f"{place} does not say what {name} must be",
        why=why,
        hint="record its sha256 in tools.toml, from where you trust it",
    )


def _bare(text: str, _name: str) -> list[str]:
    return [text.strip()] if _DIGEST.fullmatch(text.strip()) else []


def _lines(text: str, name: str) -> list[str]:
    """Names are compared without their folder: some vendors' lines tell where the file was built."""
    rows = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return [row[1] for row in rows if row and row[2].rpartition("/")[2] == name]


def _github(text: str, name: str) -> list[str]:
    try:
        assets = json.loads(text)["assets"]
        digests = [str(asset.get("digest")) for asset in assets if asset["name"] == name]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    hexadecimal = [digest.removeprefix("sha256:") for digest in digests if digest.startswith("sha256:")]
    return [digest for digest in hexadecimal if _DIGEST.fullmatch(digest)]


class Learned:
    """Digests that vendors' files told, by the address of the artifact: ``.deps/tools-learned.toml``.

    What was learned once is what that address must give from then on. Written by one process at a time, the one that
    holds the shelf's lock; its threads take turns here.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turn = threading.Lock()

    def get(self, url: str) -> str:
        """The digest, or nothing where none was learned or the file is damaged: then it is learned anew."""
        return self._all().get(url, "")

    def add(self, url: str, sha256: str) -> None:
        with self._turn:
            known = {**self._all(), url: sha256}
            lines = [f"{json.dumps(each)} = {json.dumps(digest)}\n" for each, digest in sorted(known.items())]
            write_whole(self._file, _HEAD + "".join(lines))

    def _all(self) -> dict[str, str]:
        try:
            found = tomllib.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {url: digest for url, digest in found.items() if isinstance(digest, str) and _DIGEST.fullmatch(digest)}
