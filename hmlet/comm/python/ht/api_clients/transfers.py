"""Many files at once: in parallel, with progress, each with its own outcome."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ht.api_clients.photo import Photo
from ht.errors import HtError

#: A file over this size goes straight to the storage, where it can be gone on with.
DIRECT_OVER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class UploadProgress:
    """How far one file has come, in bytes, and how many of all files are done."""

    path: Path
    sent_bytes: int
    total_bytes: int
    files_done: int
    files: int


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """What became of a file: the photo, or the error."""

    path: Path
    photo: Photo | None
    error: HtError | None


OnProgress: TypeAlias = Callable[[UploadProgress], None]
PhotoOf: TypeAlias = Callable[[Path], Photo]
Create: TypeAlias = Callable[[Photo, bool, str, Callable[[int, int], None]], Photo]


def photo_of_file(path: Path) -> Photo:
    """A photo named like its file."""
    return Photo(name=path.stem, image=path)


def upload_many(
    paths: Iterable[str | os.PathLike[str]],
    *,
    create: Create,
    parallel: int,
    photo_of: PhotoOf,
    on_progress: OnProgress | None,
) -> list[Uploaded]:
    """One outcome for each path, in their order; see ``Photos.upload_many``."""
    if parallel < 1:
        raise ValueError("parallel is at least 1")
    files = [Path(path) for path in paths]
    lock = threading.Lock()
    done = 0

    def tell(path: Path, sent: int, total: int, *, finished: bool = False) -> None:
        nonlocal done
        with lock:
            done += finished
            if on_progress is not None:
                on_progress(
                    UploadProgress(path=path, sent_bytes=sent, total_bytes=total, files_done=done, files=len(files))
                )

    def upload(path: Path) -> Uploaded:
        size = 0
        photo: Photo | None = None
        error: HtError | None = None
        try:
            size = path.stat().st_size if path.is_file() else 0
            key = secrets.token_urlsafe(24)
            photo = create(photo_of(path), size > DIRECT_OVER_BYTES, key, lambda sent, total: tell(path, sent, total))
        except HtError as failure:
            error = failure
        tell(path, size if photo else 0, size, finished=True)
        return Uploaded(path=path, photo=photo, error=error)

    with ThreadPoolExecutor(parallel, thread_name_prefix="upload") as pool:
        return list(pool.map(upload, files))
