"""supervisord, one for each stage: it keeps programs running, we tell it which.

It is asked over its private socket by XML-RPC (http://supervisord.org/api.html), which takes 3 ms; ``supervisorctl``
takes a quarter of a second.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xml.parsers.expat import ExpatError

from pl import proc
from pl.digest import text_digest
from pl.errors import ServerFailed
from pl.files import write_whole
from pl.host.launch import started_file
from pl.host.platform import Program
from pl.host.state import STAGE_TAG as STAGE_TAG
from pl.host.state import StageState

_ANSWER_WITHIN_S = 10.0
_START_WITHIN_S = 20.0
_STOP_WITHIN_S = 120.0
_POLL_S = 0.02
_RUNNING = ("STARTING", "RUNNING")


@dataclass(frozen=True, kw_only=True)
class ProcessInfo:
    """What supervisor knows of a program. ``state`` is one of supervisor's words, or NEW before it was told of it."""

    name: str
    state: str
    pid: int
    started: float
    """Seconds since the epoch; 0 when it never ran."""

    @property
    def runs(self) -> bool:
        return self.state in _RUNNING


class Supervisor:
    """The supervisor of one stage. Safe to use from several threads: every call is a connection of its own."""

    def __init__(self, state: StageState) -> None:
        self._state = state
        self._socket = state.run / "supervisor.sock"
        self._config = state.run / "supervisord.conf"
        self._log = state.log / "supervisord.log"

    def is_up(self) -> bool:
        """Whether it runs and takes orders. One that hangs, or is on its way out, does not."""
        try:
            found = cast("dict[str, Any]", self._call("getState", timeout_s=_ANSWER_WITHIN_S))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError):
            return False
        return bool(found["statename"] == "RUNNING")

    def pid(self) -> int:
        return int(self._call("getPID"))

    def start(self) -> None:
        """Start supervisord with no program running. The caller has seen to it that none is up and no stray is left."""
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()
        binaries = Path(sys.prefix).resolve() / "bin"
        env = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(self._state.run), **self._state.tag}
        command: list[str | Path] = [
            binaries / "python",
            binaries / "supervisord",
            "--nodaemon",
            "--configuration",
            self._config,
        ]
        pid = proc.start_detached(command, env=env, cwd=self._state.folder, log=self._log)
        deadline = time.monotonic() + _START_WITHIN_S
        while not self.is_up():
            if not _is_alive(pid) or time.monotonic() > deadline:
                raise ServerFailed("supervisor", "did not start", self._log.read_text(), hint=f"less {self._log}")
            time.sleep(_POLL_S)

    def shut_down(self) -> None:
        """Stop all programs, each with its own signal and patience, and then supervisord."""
        pid = self.pid()
        self._call("shutdown")
        deadline = time.monotonic() + _STOP_WITHIN_S
        while _is_alive(pid):
            if time.monotonic() > deadline:
                raise ServerFailed("supervisor", "did not stop", self._log.read_text(), hint=f"kill {pid}")
            time.sleep(_POLL_S)

    def configure(self, programs: Sequence[Program]) -> None:
        """Write what supervisord and the programs are started with. A running program is not touched by that."""
        for program in programs:
            _write_changed(self._spec_file(program.name), json.dumps(spec(program, self._state), indent=1))
        text = _config(self._state, self._socket, self._log, programs, self._spec_file)
        _write_changed(self._config, text)

    def started_with(self, name: str) -> str:
        """The digest of what the program was last started with, or nothing. ``launch`` leaves it."""
        try:
            return Path(started_file(str(self._spec_file(name)))).read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""

    def processes(self) -> dict[str, ProcessInfo]:
        """All programs that supervisord has, by name."""
        found = cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))
        return {
            info["name"]: ProcessInfo(
                name=info["name"], state=info["statename"], pid=info["pid"], started=float(info["start"])
            )
            for info in found
        }

    def reload(self) -> None:
        """Make supervisord read its configuration again and forget programs that are no longer in it."""
        for name in self._changes()[2]:
            self.stop(name)
            self._call("removeProcessGroup", name)

    def stop(self, name: str) -> None:
        """Stop a program and wait for its end. One that does not run, or is not known, is no error."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self._call("stopProcess", name, True)
        # A deploy that was killed may have asked it to stop before; supervisor then takes it for stopped already.
        deadline = time.monotonic() + _STOP_WITHIN_S
        while (info := self.processes().get(name)) and info.state == "STOPPING" and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def start_program(self, name: str) -> None:
        """Start a program anew, with the configuration as it is now."""
        added, changed, _ = self._changes()
        if name in changed or name not in added:
            self.stop(name)
        if name in changed:
            self._call("removeProcessGroup", name)
        if name in changed or name in added:
            self._call("addProcessGroup", name)
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            raise ServerFailed(
                name, f"was not started: {fault.faultString}", self.log_tail(name), hint="ht.status"
            ) from None

    def log_tail(self, name: str) -> str:
        try:
            return self.log_file(name).read_text(encoding="utf-8", errors="replace")[-4_000:]
        except FileNotFoundError:
            return ""

    def log_size(self, name: str) -> int:
        try:
            return self.log_file(name).stat().st_size
        except FileNotFoundError:
            return 0

    def log_since(self, name: str, position: int) -> str:
        """What a program logged after its log had ``position`` bytes."""
        try:
            with self.log_file(name).open("rb") as file:
                file.seek(position)
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def log_file(self, name: str) -> Path:
        return self._state.log / f"{name}.log"

    def _spec_file(self, name: str) -> Path:
        return self._state.run / f"{name}.json"

    def _changes(self) -> tuple[list[str], list[str], list[str]]:
        added, changed, removed = cast("list[list[list[str]]]", self._call("reloadConfig"))[0]
        return added, changed, removed

    def _call(self, method: str, *arguments: str | bool, timeout_s: float = _STOP_WITHIN_S) -> Any:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_SocketTransport(self._socket, timeout_s))
        with proxy:
            return getattr(proxy.supervisor, method)(*arguments)


def spec(program: Program, state: StageState) -> dict[str, object]:
    """What ``launch`` needs to start a program, as JSON. Holds no secret, only where they are."""
    return {
        "argv": list(program.argv),
        "cwd": str(program.cwd),
        "env": {"PATH": os.defpath, **program.env, **state.tag},
        "secret_env": {
            name: {"template": text.template, "files": [str(secret.path) for secret in text.secrets]}
            for name, text in program.secret_env.items()
        },
        "refuses_root": program.refuses_root,
        "stop_signal": program.stop_signal,
        "code": program.code,
    }


def spec_digest(program: Program, state: StageState) -> str:
    return text_digest(json.dumps(spec(program, state), indent=1))


def _config(state: StageState, socket_path: Path, log: Path, programs: Sequence[Program], spec_file: Any) -> str:
    sections = [
        ("unix_http_server", {"file": socket_path, "chmod": "0600"}),
        (
            "supervisord",
            {
                "nodaemon": "true",
                "logfile": "/dev/null",  # its words go to standard output, and that to the stage's log
                "logfile_maxbytes": "0",
                "pidfile": state.run / "supervisord.pid",
                "umask": "077",
                **({"user": "root"} if os.geteuid() == 0 else {}),
            },
        ),
        (
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]
    launch = f'"{sys.executable}" -m pl.host.launch'
    sections += [
        (
            f"program:{program.name}",
            {
                # The digest also makes supervisord see that the program changed.
                "command": f'{launch} "{spec_file(program.name)}" {spec_digest(program, state)}',
                "autostart": "false",  # deploy starts them in their order
                "autorestart": "true",
                "startsecs": "2",
                "startretries": "10",
                "stopsignal": program.stop_signal,
                "stopwaitsecs": program.stop_within_s,
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": state.log / f"{program.name}.log",
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "2",
            },
        )
        for program in programs
    ]
    return "".join(
        f"[{title}]\n" + "".join(f"{key}={str(value).replace('%', '%%')}\n" for key, value in values.items()) + "\n"
        for title, values in cast("list[tuple[str, dict[str, object]]]", sections)
    )


def _is_alive(pid: int) -> bool:
    """Whether a process runs. One that ended and was never waited for does not."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _write_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_whole(path, text)


class _SocketTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_s = timeout_s

    def make_connection(self, _host: object) -> http.client.HTTPConnection:
        return _SocketConnection(self._path, self._timeout_s)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
