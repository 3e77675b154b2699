"""The stage's private directory: its version, its ports, its lock, and which tasks were done.

::

    version            the number below; another number is refused, and nothing is touched
    ports.json         the ports chosen by bootstrap
    secrets/           one file each, 0600
    data/              what must not be lost: the servers' files
    run/               socket, process id and what each program was started with; made again at will
    log/               one file a program
    tasks.json         fingerprints of the tasks that were done
    lock               held by the command that changes the stage
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pl.env import StageEnv, ports_file
from pl.errors import StateBusy, StateInvalid

VERSION = "1"
_SOCKET_PATH_LIMIT = 100  # of 107 bytes: supervisor adds a number while it binds
_LOCK_WAIT_S = 600.0


class StageState:
    """The directory of one stage of one instance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.run = folder / "run"
        self.log = folder / "log"

    def exists(self) -> bool:
        return (self.folder / "version").exists()

    def check(self) -> None:
        """Refuse a directory of another version, before anything in it is touched."""
        file = self.folder / "version"
        if not file.exists():
            held = self.folder.is_dir() and [entry.name for entry in self.folder.iterdir() if entry.name != "lock"]
            if held:
                raise StateInvalid(
                    f"{self.folder} holds no version",
                    why=f"it has {', '.join(sorted(held))}; it was not made by this version of plasma, or was damaged",
                    hint=f"move it away: mv {self.folder} {self.folder}.old",
                )
            return
        found = file.read_text(encoding="utf-8").strip()
        if found != VERSION:
            raise StateInvalid(
                f"{self.folder} is of version {found!r}, and this checkout knows version {VERSION!r}",
                why="nothing in it was touched",
                hint=f"use the checkout that made it, or move it away: mv {self.folder} {self.folder}.old",
            )

    def create(self) -> None:
        """Make what is missing, private to the user."""
        self.check()
        socket_path = len(os.fsencode(self.run / "supervisor.sock"))
        if socket_path > _SOCKET_PATH_LIMIT:
            raise StateInvalid(
                f"{self.folder} is too long a path: a socket in it would have {socket_path} bytes of at most "
                f"{_SOCKET_PATH_LIMIT}",
                hint="set XDG_STATE_HOME to a shorter directory",
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for part in (self.data, self.run, self.log):
            part.mkdir(mode=0o700, exist_ok=True)
        (self.folder / "version").write_text(f"{VERSION}\n", encoding="utf-8")

    def remove(self) -> None:
        """Remove everything but the lock, which the caller holds, and then the lock."""
        # The version goes last: a removal that is cut short must not look like somebody else's directory.
        for entry in sorted(self.folder.iterdir(), key=lambda entry: entry.name in ("version", "lock")):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.folder.rmdir()

    @contextlib.contextmanager
    def locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the stage while it is changed. Waits for another holder and says who it is. Raises StateBusy."""
        descriptor = self._open_lock()
        try:
            while True:
                _acquire(descriptor, say)
                if self._is_current_lock(descriptor):
                    break
                # The holder that we waited for destroyed the stage, and its lock with it.
                os.close(descriptor)
                descriptor = self._open_lock()
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {' '.join(sys.argv)}".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def _is_current_lock(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), (self.folder / "lock").stat())
        except FileNotFoundError:
            return False

    def done_tasks(self) -> dict[str, str]:
        """Fingerprints by task. A damaged file means that every task is done again, which each of them allows."""
        try:
            return dict(json.loads((self.folder / "tasks.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}

    def remember_tasks(self, fingerprints: dict[str, str]) -> None:
        write_whole(self.folder / "tasks.json", json.dumps(fingerprints, indent=1))


def choose_ports(env: StageEnv, *, again: bool) -> dict[str, int]:
    """The stage's ports, chosen free and remembered. Those remembered stay, unless ``again``."""
    file = ports_file(env.state)
    names = env.chosen_ports()
    if file.exists() and not again:
        return {name: getattr(env, name) for name in names}
    chosen: dict[str, int] = {}
    for name in names:
        candidate = getattr(env, name)
        while candidate in chosen.values() or not is_free(candidate):
            candidate += len(names)
        chosen[name] = candidate
    write_whole(file, json.dumps(chosen, indent=1))
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or as before."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(text, encoding="utf-8")
    half.replace(path)


def _acquire(descriptor: int, say: Callable[[str], None]) -> None:
    import time

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
            time.sleep(0.1)
        else:
            return
