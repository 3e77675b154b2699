"""Pillow's own test images, from its source archive, which is fetched once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

VERSION = "13.0.0"
SHA256 = "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510"


def images() -> Iterator[tuple[str, bytes]]:
    """Name and content of each file among them, images or not. Raises ValueError for another archive than ours."""
    with tarfile.open(_fetched()) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if member.isfile() and path.parts[1:3] == ("Tests", "images"):
                file = archive.extractfile(member)
                assert file is not None
                yield "/".join(path.parts[3:]), file.read()


def _fetched() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plasma/corpus"
    archive = cache / f"pillow-{VERSION}.tar.gz"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        words = ("download", "--quiet", "--no-deps", "--no-binary", "pillow", f"pillow=={VERSION}")
        subprocess.run([_pip(), "-m", "pip", *words, "--dest", str(cache)], check=True)
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(f"{archive} has another SHA-256 than the one that we know: {found}")
    return archive


def _pip() -> str:
    """A Python that has pip, which a checkout's environment has not."""
    return str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]
