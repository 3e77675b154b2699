"""A host stage of a test's own: a copy of the checkout, an instance and a state directory that nobody else knows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pexpect
import psutil
from ht.api_clients.photos import Photo, PhotosApiClient
from pl.host import strays
from pl.host.state import StageState
from pl.host.supervisor import Supervisor

from hmlet.tests.pictures import photo_bytes

CHECKOUT = Path(__file__).resolve().parents[3]
SERVERS = ("postgresql", "redis", "storage")
PLATFORM = ("web", "worker", "beat")
COMMAND_TIMEOUT_S = 240.0
_OURS = ("PL_", "HT_", "PS_", "FR_")


def copy_checkout(to: Path) -> Path:
    """The working tree as ``git clone`` would give it, with the installer that was fetched for the real one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout
    for name in map(os.fsdecode, filter(None, listed.split(b"\0"))):
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, to / name, follow_symlinks=False)
    for fetched in (CHECKOUT / ".deps").glob("uv-????????????????"):
        shutil.copytree(fetched, to / ".deps" / fetched.name)
    return to


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


@dataclass(frozen=True, kw_only=True)
class Place:
    """One stage of one instance, driven as a user drives it."""

    checkout: Path
    states: Path
    instance: str = field(default_factory=lambda: f"h{secrets.token_hex(3)}")
    argv_before: tuple[str, ...] = ()
    """Words before every command, to run it as somebody else."""

    @cached_property
    def state(self) -> StageState:
        return StageState(self.states / "plasma" / self.instance / "hmlet-host")

    @cached_property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.state)

    @property
    def env(self) -> dict[str, str]:
        """The variables of somebody outside every shell of ours."""
        of_a_shell = os.environ.get("PL_PATH", "").split(":")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        path = [part for part in os.environ["PATH"].split(":") if part not in of_a_shell and "pyenv/shims" not in part]
        return {
            **{name: value for name, value in kept.items() if name not in ("KUBECONFIG", "PYTHONPATH", "VIRTUAL_ENV")},
            "PATH": ":".join([str(Path(sys._base_executable).resolve().parent), *path]),  # type: ignore[attr-defined]
            "PL_INSTANCE": self.instance,
            "XDG_STATE_HOME": str(self.states),
            "TERM": "xterm",
        }

    def argv(self, *words: str, stage: str = "host", opener: str = "hmlet/shell.py") -> list[str]:
        return [*self.argv_before, str(self.checkout / opener), stage, "--", *words]

    def begin(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*words),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            **options,
        )

    def run(
        self, *words: str, input: str = "", stage: str = "host", opener: str = "hmlet/shell.py", **env: str
    ) -> Ended:
        """A command in the stage's shell, without a terminal."""
        done = subprocess.run(
            self.argv(*words, stage=stage, opener=opener),
            env={**self.env, **env},
            input=input,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        return Ended(status=done.returncode, out=done.stdout, err=done.stderr)

    def ok(self, *words: str, input: str = "") -> str:
        """A command that must succeed. Returns all it said."""
        ended = self.run(*words, input=input)
        assert ended.status == 0, ended.said
        return ended.said

    def on_terminal(self, *words: str, columns: int = 80) -> pexpect.spawn[str]:
        argv = self.argv(*words)
        return pexpect.spawn(
            argv[0], argv[1:], env=self.env, encoding="utf-8", timeout=COMMAND_TIMEOUT_S, dimensions=(24, columns)
        )

    def deploy(self, *names: str) -> str:
        return self.ok("ht.deploy", *names)

    def destroy(self) -> None:
        if self.state.folder.exists():
            self.ok("ht.destroy", "--yes")

    # -- what is there

    def pids(self) -> dict[str, int]:
        return {name: info.pid for name, info in self.supervisor.processes().items()}

    def processes(self) -> list[psutil.Process]:
        return strays.processes_of(self.state)

    def orphans(self) -> list[psutil.Process]:
        pid = self.supervisor.pid() if self.supervisor.is_up() else 0
        return strays.find_strays(self.state, supervisor_pid=pid)

    def ports(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.state.folder / "ports.json").read_text())
        return found

    def secret(self, name: str) -> str:
        return (self.state.folder / "secrets" / name).read_text()

    @property
    def backup_key(self) -> Path:
        """The stage's own pair, which opens its backups."""
        return self.state.folder.parent / "backup-keys" / "hmlet-host.txt"

    def secrets(self) -> dict[str, str]:
        return {file.name: file.read_text() for file in (self.state.folder / "secrets").iterdir()}

    def files(self) -> dict[str, tuple[int, str]]:
        """Time and content of what deploys write: not the servers' data, not what programs log, not the lock."""
        found = {}
        for path in sorted(self.state.folder.rglob("*")):
            kept = path.relative_to(self.state.folder).parts[0] not in ("data", "log", "lock")
            if kept and path.is_file() and not path.name.startswith("beat-schedule"):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(self.state.folder))] = (path.stat().st_mtime_ns, content)
        return found

    # -- a photo that must survive

    def client(self) -> PhotosApiClient:
        return PhotosApiClient(f"http://127.0.0.1:{self.ports()['web_port']}", "admin", self.secret("admin_password"))

    def post(self) -> tuple[int | str, bytes]:
        """A photo with its thumbnail. Returns the photo's id and the thumbnail's bytes."""
        with self.client() as client:
            name = f"kept {secrets.token_hex(4)}"
            photo = client.photos.create(
                Photo(name=name, draft=True, image=photo_bytes(secrets.randbits(32), (320, 200))), wait_s=10
            )
            photo = client.photos.wait_until_ready(photo, timeout_s=60)
            assert photo.id is not None
            return photo.id, client.photos.download_thumbnail(photo)

    def thumbnail(self, photo_id: int | str) -> bytes:
        with self.client() as client:
            return client.photos.download_thumbnail(client.photos.get(photo_id))


@contextlib.contextmanager
def place_of(place: Place) -> Iterator[Place]:
    """The place, with nothing left of it afterwards, whatever the test did to it."""
    try:
        yield place
    finally:
        for process in place.processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)
        if place.run("ht.destroy", "--yes").status != 0:
            strays.end_strays(place.state)
        shutil.rmtree(place.states, ignore_errors=True)


def kill(processes: Sequence[psutil.Process]) -> None:
    """SIGKILL to all at once, and wait for their end."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(list(processes), timeout=10)
