"""Digests over files: what a running program was made from, so that it restarts only when that changes."""

import hashlib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

NEVER = ("__pycache__", "*.pyc", ".*_cache", "*.swp", "*~")


def tree_digest(root: Path, *, leave_out: Sequence[str] = ()) -> str:
    """Sixteen hexadecimal digits that follow from names, modes and contents of the files under ``root``.

    ``leave_out`` are patterns for names of files and folders, matched at any depth. What interpreters and editors leave
    behind never counts.
    """
    digest = hashlib.sha256()
    for file in _files(root, (*NEVER, *leave_out)):
        digest.update(f"{file.relative_to(root)}\0{file.stat().st_mode & 0o111:o}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def text_digest(*parts: str) -> str:
    """Sixteen hexadecimal digits that follow from texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _files(folder: Path, patterns: Sequence[str]) -> Iterable[Path]:
    for entry in sorted(folder.iterdir()):
        if any(fnmatch(entry.name, pattern) for pattern in patterns):
            continue
        if entry.is_dir():
            yield from _files(entry, patterns)
        elif entry.is_file():
            yield entry
