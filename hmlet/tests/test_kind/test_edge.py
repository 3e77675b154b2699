"""The edge's configuration, as the chart renders it, in a real nginx: what it lets through and what it passes on.

Behind it is a server that answers with what it was asked. Needs Docker.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from pl import certificates, proc

from hmlet.tests.test_kind.rendering import one, releases, rendered
from hmlet.tests.waiting import wait_for

EDGE_IMAGE = "nginxinc/nginx-unprivileged:1.26"
ECHO_IMAGE = "python:3.11-slim-bookworm"
LIMIT = 1_000_000
ECHO = """
import http.server, json, ssl, sys
reading = set()
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        others = len(reading)
        reading.add(self)
        size = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        reading.discard(self)
        body = json.dumps({"who": sys.argv[1], "method": self.command, "path": self.path, "size": size,
                           "others": others,
                           "headers": {name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer
http.server.ThreadingHTTPServer.request_queue_size = 256
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Echo)
if sys.argv[3:]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3] + "/tls.crt", sys.argv[3] + "/tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """``web`` and ``storage`` are the hosts of the stage, as people type them; ``container`` is nginx's."""

    address: str
    web: str
    storage: str
    container: str

    def ask(self, path: str, *, host: str = "", method: str = "GET", **more: Any) -> requests.Response:
        headers = {"Host": host or self.web, **more.pop("headers", {})}
        session = requests.Session()
        session.trust_env = False
        request = session.prepare_request(requests.Request(method, self.address, headers=headers, **more))
        # As it is: the client would clean the path.
        request.url = self.address + path
        return session.send(request, timeout=20, allow_redirects=False)


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with _edge({"photoMaxBytes": LIMIT}) as made:
        wait_for(lambda: _serves(made), what="nginx serves", within_s=60)
        yield made


@contextlib.contextmanager
def _edge(
    changes: dict[str, Any], *, of_storage: Path | None = None, authorities: Path | None = None
) -> Iterator[Edge]:
    """``of_storage`` has certificate and key of a storage that speaks TLS, ``authorities`` what the edge may trust."""
    name = f"hmlet-edge-{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix=name))
    manifest = rendered("test", "frontend", changes)
    for file, text in one(manifest.objects, "ConfigMap", "frontend")["data"].items():
        (folder / file).write_text(text, encoding="utf-8")
    folder.chmod(0o755)
    settings: Any = releases("test")["frontend"].settings
    with contextlib.ExitStack() as after:
        after.callback(shutil.rmtree, folder, ignore_errors=True)
        proc.run(["docker", "network", "create", name])
        after.callback(proc.run, ["docker", "network", "rm", name], check=False)
        for who, port in (("web", 8000), ("storage", 9000)):
            alias = {"web": "backend-web", "storage": "minio"}[who]
            _run(
                after,
                f"{name}-{who}",
                name,
                f"{alias}.hmlet.svc.cluster.local",
                ECHO_IMAGE,
                "python3",
                "-c",
                ECHO,
                who,
                str(port),
                *(("/tls",) if of_storage and who == "storage" else ()),
                options=("--volume", f"{of_storage}:/tls:ro") if of_storage else (),
            )
        limits = ("--read-only", "--tmpfs", "/tmp:uid=101", "--cap-drop", "ALL", "--user", "101")  # noqa: S108
        mounts = ["--volume", f"{folder}:/etc/nginx/conf.d:ro", "--publish", "127.0.0.1::8080"]
        if authorities:
            mounts += ["--volume", f"{authorities}:/etc/nginx/authorities:ro"]
        options = (*limits, *mounts, "--entrypoint", "sh")
        _run(after, f"{name}-edge", name, "edge", EDGE_IMAGE, "/etc/nginx/conf.d/start.sh", options=options)
        address = "http://" + proc.run(["docker", "port", f"{name}-edge", "8080/tcp"]).stdout.split()[0]
        made = Edge(
            address=address,
            web=urlsplit(settings["publicUrl"]).netloc,
            storage=urlsplit(settings["storage"]["publicUrl"]).netloc,
            container=f"{name}-edge",
        )
        yield made


def _run(
    after: contextlib.ExitStack,
    name: str,
    network: str,
    alias: str,
    image: str,
    *words: str,
    options: tuple[str, ...] = (),
) -> None:
    start = ("docker", "run", "--detach", "--pull", "never", "--name", name, "--network", network)
    proc.run([*start, "--network-alias", alias, *options, image, *words])
    after.callback(proc.run, ["docker", "rm", "--force", name], check=False)


def _serves(edge: Edge) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return all(
            edge.ask(path, host=host).ok for path, host in (("/docs/", ""), ("/hmlet-thumbnails/a", edge.storage))
        )
    return False


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/photos/?search=a%2Fb",
        "/admin/",
        "/static/a.css",
        "/docs/",
        "/status/",
        "/healthz/ready",
        "/healthcheck",
        "/api",
    ],
)
def test_what_is_web_s_goes_to_web_as_it_came(edge: Edge, path: str) -> None:
    said = edge.ask(path).json()
    assert (said["who"], said["path"]) == ("web", path)


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/apis/", "/administrator", "/.git/config", "/api/../metrics"]
)
def test_nothing_else_goes_to_web(edge: Edge, path: str) -> None:
    assert edge.ask(path).status_code == 404


@pytest.mark.parametrize("host", ["127.0.0.1:8081", "localhost", "unknown.example", "10.0.0.1"])
def test_an_unknown_host_name_gets_the_platform(edge: Edge, host: str) -> None:
    said = edge.ask("/docs/", host=host).json()
    assert (said["who"], said["headers"]["host"]) == ("web", host)


def test_what_a_caller_says_of_itself_is_not_passed_on(edge: Edge) -> None:
    lies = {
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Real-IP": "1.2.3.4",
        "Forwarded": "for=1.2.3.4",
    }
    headers = edge.ask("/docs/", headers=lies).json()["headers"]
    assert headers["x-forwarded-proto"] == "http"
    assert "1.2.3.4" not in headers["x-forwarded-for"]
    assert "," not in headers["x-forwarded-for"]
    assert not {"x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded"} & set(headers)
    assert headers["host"] == edge.web


CONFINED = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"}


@pytest.mark.parametrize(
    ("path", "size"), [("/", 0), ("/nothing", 0), ("/metrics", 0), ("/api/", LIMIT + 3 * 1024 * 1024)]
)
def test_what_the_edge_answers_itself_is_confined(edge: Edge, path: str, size: int) -> None:
    answer = edge.ask(path, method="POST" if size else "GET", data=b"x" * size)
    assert CONFINED.items() <= answer.headers.items()
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    # There is no TLS here.
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize("path", ["/hmlet-thumbnails/aa/b.jpg", "/hmlet-thumbnails/", "/"])
def test_what_comes_from_the_storage_is_a_picture_or_nothing(edge: Edge, path: str) -> None:
    headers = edge.ask(path, host=edge.storage).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"


def test_an_upload_may_be_as_large_as_a_photo_and_no_larger(edge: Edge) -> None:
    path = "/api/v1/photos/"
    assert edge.ask(path, method="POST", data=b"x" * LIMIT).json()["size"] == LIMIT
    refused = edge.ask(path, method="POST", data=b"x" * (LIMIT + 64 * 1024 + 1))
    assert refused.status_code == 413
    assert refused.json()["code"] == "image_bytes_limit"
    assert set(refused.json()) == {"code", "message", "errors", "request_id"}


def test_slow_uploads_reach_web_when_they_have_come_whole(edge: Edge) -> None:
    with contextlib.ExitStack() as after:
        connections = (HTTPConnection(urlsplit(edge.address).netloc, timeout=60) for _ in range(200))
        slow = [after.enter_context(contextlib.closing(connection)) for connection in connections]
        for upload in slow:
            upload.putrequest("POST", "/api/v1/photos/", skip_host=True)
            for name, value in (("Host", edge.web), ("Content-Length", "100000")):
                upload.putheader(name, value)
            upload.endheaders(b"x" * 50_000)
        # Twice, one after the other, so that what was sent has been read.
        assert [edge.ask("/docs/").json()["others"] for _ in range(2)] == [0, 0]
        for upload in slow:
            upload.send(b"x" * 50_000)
        assert {json.loads(upload.getresponse().read())["size"] for upload in slow} == {100_000}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/hmlet-thumbnails/aa/b%20c.jpg?X-Amz-Signature=1"),
        ("HEAD", "/hmlet-thumbnails/aa/b.jpg"),
        ("PUT", "/hmlet-originals/aa/b.jpg?X-Amz-Signature=1"),
    ],
)
def test_under_the_storage_s_name_objects_are_reached_with_the_host_that_was_signed(
    edge: Edge, method: str, path: str
) -> None:
    answer = edge.ask(path, host=edge.storage, method=method)
    assert answer.status_code == 200
    if method != "HEAD":
        said = answer.json()
        assert (said["who"], said["path"], said["headers"]["host"]) == ("storage", path, edge.storage)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/?Action=AssumeRole"),
        ("GET", "/login"),
        ("GET", "/minio/admin/v3/info"),
        ("GET", "/minio/health/live"),
        ("GET", "/hmlet-thumbnails"),
        ("GET", "/hmlet-thumbnails/"),
        ("GET", "/hmlet-thumbnails/?list-type=2"),
        ("GET", "/hmlet-thumbnails/../minio/admin/v3/info"),
        ("GET", "/minio/../hmlet-thumbnails/a"),
        ("GET", "/hmlet-thumbnails/%2e%2e/minio/admin/v3/info"),
        ("GET", "/hmlet-originals/aa/b.jpg"),
        ("PUT", "/hmlet-thumbnails/aa/b.jpg"),
        ("DELETE", "/hmlet-thumbnails/aa/b.jpg"),
        ("DELETE", "/hmlet-originals/aa/b.jpg"),
        ("POST", "/hmlet-originals/aa/b.jpg"),
        ("POST", "/"),
    ],
)
def test_under_the_storage_s_name_there_is_nothing_else(edge: Edge, method: str, path: str) -> None:
    assert edge.ask(path, host=edge.storage, method=method).status_code in {403, 404, 405}


def test_the_log_of_requests_holds_no_signature(edge: Edge) -> None:
    sign = secrets.token_hex(8)
    edge.ask(f"/hmlet-thumbnails/seen-{sign}?X-Amz-Signature=secret-{sign}", host=edge.storage)
    log = wait_for(lambda: _log(edge, f"seen-{sign}"), what="the request is logged")
    assert f"secret-{sign}" not in log


def _log(edge: Edge, word: str) -> str:
    said = proc.run(["docker", "logs", edge.container])
    log = said.stdout + said.stderr
    return log if word in log else ""


def test_when_web_is_away_a_caller_hears_so_and_finds_it_when_it_is_back(edge: Edge) -> None:
    web = edge.container.removesuffix("edge") + "web"
    proc.run(["docker", "stop", "--time", "0", web])
    try:
        wait_for(lambda: edge.ask("/api/v1/").status_code == 503, what="the edge has noticed")
        answer = edge.ask("/api/v1/")
        assert answer.headers["Retry-After"]
        assert json.loads(answer.text)["code"] == "unavailable"
    finally:
        proc.run(["docker", "start", web])
    wait_for(lambda: edge.ask("/api/v1/").ok, what="web is found again, wherever it is now")


def test_a_storage_of_tls_is_believed_by_its_authority_and_under_its_name(tmp_path: Path) -> None:
    state, others, pair, trusted = (tmp_path / name for name in ("state", "others", "pair", "trusted"))
    for folder in (state, others, pair, trusted):
        folder.mkdir()
        folder.chmod(0o755)
    for signer in (state, others):
        certificates.provide(signer, {"right": ("minio",), "wrong": ("another",)})

    def have(certificate: str, authority: Path) -> None:
        for path, secret in (
            (pair / "tls.crt", certificates.certificate_of(state, certificate)),
            (pair / "tls.key", certificates.key_of(state, certificate)),
            (trusted / "storage.crt", certificates.authority_of(authority)),
        ):
            path.write_text(secret.reveal())
            path.chmod(0o644)

    def status(of: Edge) -> int:
        with contextlib.suppress(requests.ConnectionError):
            return of.ask("/hmlet-thumbnails/a", host=of.storage).status_code
        return 0

    have("right", state)
    with _edge({"storage.authorities.secretName": "its-own"}, of_storage=pair, authorities=trusted) as its:
        wait_for(lambda: status(its) == 200, what="it is believed", within_s=60)
        have("right", others)
        proc.run(["docker", "kill", "--signal", "HUP", its.container])
        wait_for(lambda: status(its) == 502, what="another authority's is not believed", within_s=60)
        have("wrong", state)
        proc.run(["docker", "restart", "--time", "0", its.container.removesuffix("edge") + "storage"])
        proc.run(["docker", "kill", "--signal", "HUP", its.container])
        refusal = "upstream SSL certificate does not match"
        wait_for(lambda: status(its) == 502 and _log(its, refusal), what="another's name is not believed", within_s=60)
