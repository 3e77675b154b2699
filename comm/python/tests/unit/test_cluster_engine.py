"""The engine: over its socket where that is known, by its client elsewhere, and what it is when it is not there."""

import json
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pl.cluster.engine import Engine, published_ports, runs
from pl.errors import CommandFailed, EngineAway

CONTAINER = {
    "Id": "1",
    "Name": "/one",
    "State": {"Running": True, "Paused": False, "Restarting": False},
    "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": None}},
}


class _Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known: dict[str, Any] = {"/containers/one/json": CONTAINER, "/containers/1/json": CONTAINER}
        path = self.path.partition("?")[0]
        if path == "/containers/json":
            self._say(200, [{"Id": "1"}, {"Id": "gone-meanwhile"}])
        elif path in known:
            self._say(200, known[path])
        elif path == "/volumes/broken":
            self._say(500, {"message": "the disk is on fire"})
        else:
            self._say(404, {"message": "no such thing"})

    def _say(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = f"/tmp/pl-engine-{os.getpid()}.sock"  # noqa: S108
    with socketserver.ThreadingUnixStreamServer(path, _Engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield Engine({"DOCKER_HOST": f"unix://{path}"})
        server.shutdown()
    Path(path).unlink()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a ``docker`` on PATH that runs a script and notes what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(script: str) -> Path:
        notes = tmp_path / "asked"
        docker = folder / "docker"
        docker.write_text(f'#!/bin/sh\necho "$@" >> {notes}\n{script}\n')
        docker.chmod(0o755)
        return notes

    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return make


def test_things_are_found_by_name_and_others_are_none(engine: Engine) -> None:
    found = engine.inspect("container", "one")
    assert found
    assert runs(found)
    assert published_ports(found) == (8080,)
    assert engine.inspect("container", "two") is None
    assert engine.inspect("network", "one") is None


def test_containers_with_a_label_are_found_and_one_that_goes_meanwhile_is_no_fault(engine: Engine) -> None:
    assert [container["Id"] for container in engine.labelled("a=b")] == ["1"]


def test_what_an_engine_refuses_is_said(engine: Engine) -> None:
    with pytest.raises(EngineAway, match="refused") as caught:
        engine.inspect("volume", "broken")
    assert "on fire" in caught.value.why


def test_an_engine_that_does_not_run_is_said_so_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineAway, match="does not run") as caught:
        Engine({"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"}).inspect("container", "x")
    assert "systemctl start docker" in caught.value.hint


def test_without_docker_it_is_said_where_to_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineAway, match="not installed"):
        Engine({"DOCKER_HOST": "ssh://far"}).inspect("container", "x")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("permission denied while trying to connect to the Docker daemon socket at unix:///x", "not for this user"),
        ("permission denied while trying to connect to the docker API at unix:///x", "not for this user"),
        ("Cannot connect to the Docker daemon at tcp://x:1. Is the docker daemon running?", "does not run"),
        ("failed to connect to the docker API at unix:///x", "does not run"),
    ],
)
def test_what_the_client_says_of_an_engine_that_cannot_be_had_is_understood(
    client: Callable[[str], Path], said: str, meant: str
) -> None:
    client(f"echo '{said}' >&2; exit 1")
    with pytest.raises(EngineAway, match=meant):
        Engine({"DOCKER_HOST": "tcp://x:1"}).run("ps")


def test_another_failure_of_the_client_is_its_own(client: Callable[[str], Path]) -> None:
    client("echo 'port is already allocated' >&2; exit 125")
    with pytest.raises(CommandFailed, match="docker run failed") as caught:
        Engine({"DOCKER_HOST": "tcp://x:1"}).run("run", "x")
    assert "port is already allocated" in caught.value.output


@pytest.mark.parametrize(
    "environ",
    [{"DOCKER_HOST": "ssh://far"}, {"DOCKER_CONTEXT": "far"}, {"DOCKER_CONFIG": "{config}"}],
)
def test_an_engine_that_only_the_client_can_reach_is_asked_by_it(
    client: Callable[[str], Path], tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "desktop-linux"}')
    notes = client(f"echo '{json.dumps([CONTAINER])}'")
    engine = Engine({key: value.format(config=tmp_path) for key, value in environ.items()})
    assert engine.inspect("container", "one") == CONTAINER
    assert notes.read_text() == "container inspect one\n"
    client("echo 'Error: No such container: x' >&2; exit 1")
    assert engine.inspect("container", "x") is None
