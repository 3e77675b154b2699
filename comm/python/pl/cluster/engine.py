"""The Docker engine: asked over its socket where that is known, which takes 2 ms and not 50, and told by its client."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import quote, urlencode

from pl import proc
from pl.errors import CommandFailed, CommandMissing, EngineAway

Container = dict[str, Any]
"""A container, as ``docker inspect`` shows it."""
Thing = Literal["container", "network", "volume", "image"]

_SOCKET = Path("/var/run/docker.sock")
_TIMEOUT_S = 20.0
_PATHS = {
    "container": "containers/{}/json",
    "network": "networks/{}",
    "volume": "volumes/{}",
    "image": "images/{}/json",
}
_ABSENT = ("no such", "not found")


class Engine:
    """The engine that ``docker`` means here: by DOCKER_HOST, by a context, or at its usual socket."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._socket = _socket_of(environ)

    def inspect(self, thing: Thing, name: str) -> dict[str, Any] | None:
        """What the engine knows of something by its name; None where there is none. Raises EngineAway."""
        if self._socket:
            found = self._asked(f"/{_PATHS[thing].format(quote(name, safe=''))}")
            return cast("dict[str, Any] | None", found)
        result = self.run(thing, "inspect", name, check=False)
        if result.status == 0:
            return cast("dict[str, Any]", json.loads(result.stdout)[0])
        if any(word in result.stderr.lower() for word in _ABSENT):
            return None
        raise CommandFailed(result.argv, result.status, result.stderr)

    def labelled(self, label: str) -> list[Container]:
        """All containers with a label (``KEY=VALUE``), stopped ones too, sorted by name. Raises EngineAway."""
        if self._socket:
            query = urlencode({"all": "1", "filters": json.dumps({"label": [label]})})
            ids = [str(item["Id"]) for item in self._asked(f"/containers/json?{query}") or []]
        else:
            ids = self.run("ps", "-aq", "--no-trunc", "--filter", f"label={label}").stdout.split()
        found = [item for item in (self.inspect("container", identity) for identity in ids) if item]
        return sorted(found, key=name_of)

    def publisher_of(self, port: int) -> str:
        """The name of the running container that publishes a port of this machine, or nothing."""
        return self.run("ps", "--filter", f"publish={port}", "--format", "{{.Names}}").stdout.strip()

    def run(
        self,
        *argv: str,
        input: str = "",
        check: bool = True,
        timeout_s: float | None = 300.0,
    ) -> proc.Result:
        """Tell the engine by its client. Raises EngineAway, and with ``check`` CommandFailed."""
        try:
            result = proc.run(["docker", *argv], input=input, check=False, timeout_s=timeout_s)
        except CommandMissing:
            raise _not_installed() from None
        if result.status != 0:
            _raise_if_away(result.stderr)
            if check:
                raise CommandFailed([f"docker {argv[0]}"], result.status, result.stderr)
        return result

    def _asked(self, path: str) -> Any:
        connection = _UnixConnection(str(self._socket))
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except PermissionError:
            raise _not_allowed() from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise _not_running(f"nothing answers at {self._socket}") from None
        except (OSError, http.client.HTTPException) as error:
            raise _not_running(f"{self._socket}: {error}") from None
        finally:
            connection.close()
        if response.status == 404:
            return None
        content = json.loads(body)
        if response.status >= 300:
            raise EngineAway("the Docker engine refused a question", why=str(content.get("message", "")))
        return content


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


def name_of(container: Container) -> str:
    return str(container["Name"]).lstrip("/")


def runs(container: Container) -> bool:
    state = container["State"]
    return bool(state["Running"]) and not state["Paused"] and not state["Restarting"]


def has_ended(container: Container) -> bool:
    """Not so one that is paused, or was not started yet."""
    return str(container["State"]["Status"]) in ("exited", "dead")


def published_ports(container: Container) -> tuple[int, ...]:
    """The ports of this machine that a container publishes whenever it runs."""
    bindings = container["HostConfig"].get("PortBindings") or {}
    ports = {int(item["HostPort"]) for items in bindings.values() for item in items or () if item.get("HostPort")}
    return tuple(sorted(ports))


def _socket_of(environ: Mapping[str, str]) -> Path | None:
    """The engine's socket, None where only the client knows how to reach the engine."""
    host = environ.get("DOCKER_HOST", "")
    if host:
        return Path(host.removeprefix("unix://")) if host.startswith("unix://") else None
    context = environ.get("DOCKER_CONTEXT", "") or _configured_context(environ)
    # The client says where else to look when there is no such socket, rootless engines among them.
    return _SOCKET if context in ("", "default") and _SOCKET.exists() else None


def _configured_context(environ: Mapping[str, str]) -> str:
    folder = environ.get("DOCKER_CONFIG", "")
    file = (Path(folder) if folder else Path("~/.docker").expanduser()) / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(content.get("currentContext") or "") if isinstance(content, dict) else ""


def _raise_if_away(said: str) -> None:
    told = said.lower()
    if "permission denied" in told and ("docker.sock" in told or "daemon socket" in told or "docker api" in told):
        raise _not_allowed()
    if "cannot connect to the docker daemon" in told or "failed to connect to the docker api" in told:
        raise _not_running(said.strip().splitlines()[-1])


def _not_installed() -> EngineAway:
    return EngineAway(
        "Docker is not installed",
        why="KIND stages run in it; the host stage needs none",
        hint="install Docker (https://docs.docker.com/get-docker/), then repeat",
    )


def _not_running(why: str) -> EngineAway:
    return EngineAway(
        "Docker does not run", why=why, hint="start it (Docker Desktop, or: sudo systemctl start docker), then repeat"
    )


def _not_allowed() -> EngineAway:
    return EngineAway(
        "Docker is not for this user",
        why="its socket may not be used",
        hint="sudo usermod -aG docker $USER, then log in again and repeat",
    )
