"""Digests over files: what a running program was made from, so that it restarts only when that changes."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

NEVER = ("__pycache__", "*.pyc", ".*_cache", "*.swp", "*~")


def tree_digest(root: Path, *, leave_out: Sequence[str] = (), only: Sequence[str] = ("*",)) -> str:
    """Sixteen hexadecimal digits that follow from names, modes and contents of the files under ``root``.

    ``leave_out`` are patterns for names of files and folders, matched at any depth; ``only`` are patterns for paths
    below ``root`` of which a file must match one. What interpreters and editors leave behind never counts, nor does a
    file that goes while it is read.
    """
    digest = hashlib.sha256()
    for path in _files(root, "", (*NEVER, *leave_out)):
        if any(fnmatch(path, pattern) for pattern in only):
            with contextlib.suppress(FileNotFoundError):
                digest.update(_file_digest(root / path, path))
    return digest.hexdigest()[:16]


def text_digest(*parts: str) -> str:
    """Sixteen hexadecimal digits that follow from texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _file_digest(file: Path, name: str) -> bytes:
    digest = hashlib.sha256(f"{name}\0{file.stat().st_mode & 0o111:o}\0".encode(errors="surrogateescape"))
    digest.update(file.read_bytes())
    return digest.digest()


def _files(root: Path, below: str, patterns: Sequence[str]) -> Iterable[str]:
    """Paths below ``root``, sorted. Links to folders are not followed: they may lead in a circle."""
    with contextlib.suppress(FileNotFoundError), os.scandir(root / below) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if any(fnmatch(entry.name, pattern) for pattern in patterns):
                continue
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _files(root, path, patterns)
            elif entry.is_file():
                yield path
