"""A stage's private directory: its version, its lock, and what else every kind of stage keeps in one.

::

    version            the number below; another number is refused, and nothing is touched
    outside            folders of the stage that cannot be in here; removed with it
    ports.json         the ports chosen by bootstrap
    secrets/           one file each, 0600
    lock               held by the command that changes the stage

What a kind of stage keeps beside these it says itself: ``pl.host.state``, ``pl.cluster.state``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from pl.errors import Interrupted, StateBusy, StateInvalid
from pl.files import write_whole

VERSION = "1"
_ENTRIES = frozenset({"version", "outside", "ports.json", "secrets", "lock"})
_LOCK_WAIT_S = 600.0
_LOCK_POLL_S = 0.1
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EIO, errno.ELOOP)


class StateDirectory:
    """The directory of one stage of one instance."""

    parts: ClassVar[tuple[str, ...]] = ()
    """Folders that are made with it."""
    files: ClassVar[tuple[str, ...]] = ()
    """Files that may be in it, beside those that every stage has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exists(self) -> bool:
        return (self.folder / "version").exists()

    def check(self) -> None:
        """Refuse a directory of another version, before anything in it is touched. Raises StateInvalid."""
        away = f"move it away: mv {self.folder} {self.folder}.old"
        found = self._version()
        if found is None:
            held = [name for name in self._entries() if name != "lock" and not _is_half_written(name)]
            if held:
                raise StateInvalid(
                    f"{self.folder} holds no version",
                    why=f"it has {', '.join(held)}; it was not made by this version of plasma, or was damaged",
                    hint=away,
                )
        elif found != VERSION:
            raise StateInvalid(
                f"{self.folder} is of version {found!r}, and this checkout knows version {VERSION!r}",
                why="nothing in it was touched",
                hint=f"use the checkout that made it, or {away}",
            )

    def check_removable(self) -> None:
        """Refuse to remove what is not clearly a stage's state. Raises StateInvalid.

        A damaged or an older version may go: everything in it has a name that states have. A newer one may be run by
        means that this checkout does not know.
        """
        found = self._version()
        if found is not None and found.isdecimal() and int(found) > int(VERSION):
            raise StateInvalid(
                f"{self.folder} is of version {found}, and this checkout knows versions up to {VERSION}",
                why="nothing in it was touched",
                hint="destroy it with the checkout that made it",
            )
        known = _ENTRIES.union(self.parts, self.files)
        foreign = [name for name in self._entries() if name not in known and not _is_half_written(name)]
        if foreign:
            raise StateInvalid(
                f"{self.folder} holds what no stage puts there: {', '.join(foreign)}",
                why="nothing in it was touched",
                hint="move that away, then destroy again",
            )

    def create(self) -> None:
        """Make what is missing, private to the user. Raises StateInvalid."""
        self.check()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        # The version first: what is cut short after it is still known for a stage's.
        if not self.exists():
            write_whole(self.folder / "version", f"{VERSION}\n")
        for part in self.parts:
            (self.folder / part).mkdir(mode=0o700, exist_ok=True)

    def own_outside(self, folder: Path) -> None:
        """Remember a folder elsewhere as the stage's: it is removed with the state."""
        owned = self._outside()
        if folder not in owned:
            write_whole(self.folder / "outside", json.dumps([str(path) for path in (*owned, folder)]))

    def remove(self) -> None:
        """Remove everything, the lock that the caller holds last of all."""
        for folder in self._outside():
            shutil.rmtree(folder, ignore_errors=True)
        # The version goes late: a removal that is cut short must not look like somebody else's directory.
        for name in sorted(self._entries(), key=lambda name: name in ("version", "lock")):
            entry = self.folder / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        # Somebody who waited may have begun anew; and other stages of the instance may be there.
        for folder in (self.folder, self.folder.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()

    @contextlib.contextmanager
    def locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the stage while it is changed. Waits for another holder and says who it is.

        What is written meanwhile is for the user alone. Raises StateBusy, and StateInvalid where the directory cannot
        be written.
        """
        umask = os.umask(0o077)
        try:
            with self._failures_told(), self._held(say):
                yield
        finally:
            os.umask(umask)

    @contextlib.contextmanager
    def changing(self, say: Callable[[str], None], *, goes_on: str) -> Iterator[None]:
        """``locked``, for a command that may be interrupted: Interrupted then says how to go on."""
        try:
            with self.locked(say):
                yield
        except Interrupted as error:
            raise Interrupted(error.what, why=error.why, hint=goes_on) from None
        except KeyboardInterrupt:
            raise Interrupted("interrupted", hint=goes_on) from None

    @contextlib.contextmanager
    def _held(self, say: Callable[[str], None]) -> Iterator[None]:
        descriptor = self._open_lock()
        try:
            while True:
                _acquire(descriptor, say)
                if self._is_current_lock(descriptor):
                    break
                # The holder that we waited for destroyed the stage, and its lock with it.
                os.close(descriptor)
                descriptor = self._open_lock()
            with contextlib.suppress(OSError):  # a full disk must not keep anybody from destroying
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {' '.join(sys.argv)}".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _failures_told(self) -> Iterator[None]:
        """What the file system refuses is no bug of ours."""
        try:
            yield
        except OSError as error:
            place = error.filename or self.folder
            if error.errno in _FULL:
                raise StateInvalid(
                    f"{place} cannot be written: {error.strerror}",
                    why="nothing is half-written, and what runs goes on",
                    hint=f"free space where {self.folder} is, then call the same command again",
                ) from None
            nowhere = error.errno == errno.ENOENT and _is_above(place, self.folder)
            if nowhere or (error.errno in _NOT_OURS and _is_below(place, self.folder)):
                raise StateInvalid(
                    f"{place} cannot be used: {error.strerror}",
                    hint="make it yours (it must be a directory that you may write), or set XDG_STATE_HOME to another",
                ) from None
            raise

    def _open_lock(self) -> int:
        while True:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The directory goes when somebody ends destroying at this moment.
            with contextlib.suppress(FileNotFoundError):
                return os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def _is_current_lock(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), (self.folder / "lock").stat())
        except FileNotFoundError:
            return False

    def _version(self) -> str | None:
        try:
            return (self.folder / "version").read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateInvalid(
                f"{self.folder} cannot be read: {error.strerror}",
                hint="make it yours, or set XDG_STATE_HOME to another directory",
            ) from None

    def _entries(self) -> list[str]:
        try:
            return sorted(entry.name for entry in self.folder.iterdir())
        except FileNotFoundError:
            return []

    def _outside(self) -> list[Path]:
        try:
            return [Path(path) for path in json.loads((self.folder / "outside").read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError):
            return []


def _is_half_written(name: str) -> bool:
    """Whether ``write_whole`` was killed over this file."""
    return name.startswith(".") and name.rpartition(".")[2].isdecimal()


def _is_above(path: str | bytes | Path | int, folder: Path) -> bool:
    """Whether a path is the folder or one of those that lead to it."""
    return not isinstance(path, int) and folder.is_relative_to(Path(os.fsdecode(path)))


def _is_below(path: str | bytes | Path | int, folder: Path) -> bool:
    """Whether a path is the folder, in it, or one of those that lead to it."""
    return not isinstance(path, int) and (_is_above(path, folder) or Path(os.fsdecode(path)).is_relative_to(folder))


def _acquire(descriptor: int, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _LOCK_WAIT_S
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 500, 0).decode(errors="replace") or "unknown"
            if time.monotonic() > deadline:
                raise StateBusy("another command holds the stage", why=f"process {holder}") from None
            if not told:
                say(f"waiting for process {holder}")
                told = True
            time.sleep(_LOCK_POLL_S)
        else:
            return
