"""A real HTTP server on the loopback that answers, or misbehaves, as each test scripts it."""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from ht.api_clients.photos import PhotosApiClient

USERNAME = "ann"
PASSWORD = "correct horse"


class FakeClock:
    """Time passes only by sleeping, and at once."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.pauses_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return 1_800_000_000.0 + self.now_s

    def sleep(self, seconds: float, /) -> None:
        self.pauses_s.append(seconds)
        self.now_s += seconds


@dataclass
class Received:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Step = Callable[["Handler", Received], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api

    def setup(self) -> None:
        super().setup()
        self.api.connections += 1

    def _any(self) -> None:
        target = urlsplit(self.path)
        received = Received(
            method=self.command,
            path=target.path,
            query=dict(parse_qsl(target.query, keep_blank_values=True)),
            headers={name.title(): value for name, value in self.headers.items()},
        )
        self.api.next_step(received)(self, received)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

    def read_body(self, received: Received) -> None:
        received.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send(self, status: int, content: bytes, headers: dict[str, str], *, claimed_size: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if claimed_size is None else claimed_size))
        self.end_headers()
        self.wfile.write(content)

    def hang_up(self) -> None:
        """RST, so that the client sees a broken connection and no orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        self.rfile, self.wfile = io.BytesIO(), io.BytesIO()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what some tests are about."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@dataclass
class Api:
    """``steps`` are taken one for each request; requests for tokens ``token_steps``, then are signed in."""

    url: str = ""
    steps: deque[Step] = field(default_factory=deque)
    token_steps: deque[Step] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    token_requests: list[Received] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    connections: int = 0
    step_taken: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    tokens_issued: int = 0
    token_life_s: int = 300
    server_clock_s: float = 5_000_000.0

    def next_step(self, received: Received) -> Step:
        if received.path.startswith("/api/v1/token/"):
            self.token_requests.append(received)
            return self.token_steps.popleft() if self.token_steps else self._issue_tokens
        self.received.append(received)
        if self.steps:
            step = self.steps.popleft()
            self.step_taken.set()
            return step
        self.unexpected.append(f"{received.method} {received.path}")
        return self.error(500, "unexpected")

    def script(self, *steps: Step) -> None:
        self.steps.extend(steps)

    def answer(self, payload: object = None, *, status: int = 200, headers: dict[str, str] | None = None) -> Step:
        content = b"" if payload is None else json.dumps(payload).encode()
        return self.raw(content, status=status, headers={"Content-Type": "application/json", **(headers or {})})

    def error(self, status: int, code: str, message: str = "No.", headers: dict[str, str] | None = None) -> Step:
        payload = {"code": code, "message": message, "errors": {}, "request_id": "r-1"}
        return self.answer(payload, status=status, headers=headers)

    def raw(
        self,
        content: bytes,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        claimed_size: int | None = None,
    ) -> Step:
        def step(handler: Handler, received: Received) -> None:
            handler.read_body(received)
            handler.send(status, content, headers or {}, claimed_size=claimed_size)
            handler.close_connection = handler.close_connection or claimed_size is not None

        return step

    def drop_before_body(self, handler: Handler, received: Received) -> None:
        handler.hang_up()

    def drop_after_body(self, handler: Handler, received: Received) -> None:
        handler.read_body(received)
        handler.hang_up()

    def fall_silent(self, handler: Handler, received: Received) -> None:
        handler.read_body(received)
        self.released.wait(30)
        handler.hang_up()

    def read_nothing(self, handler: Handler, received: Received) -> None:
        self.released.wait(30)
        handler.hang_up()

    def fall_silent_in_body(self, handler: Handler, received: Received) -> None:
        handler.read_body(received)
        handler.send(200, b'{"id": ', {}, claimed_size=100)
        self.released.wait(30)
        handler.hang_up()

    def count_body(self, sizes: list[int], payload: object) -> Step:
        """Reads a body without keeping it."""

        def step(handler: Handler, received: Received) -> None:
            left = int(received.headers["Content-Length"])
            total = 0
            while left > total and (chunk := handler.rfile.read(min(1 << 20, left - total))):
                total += len(chunk)
            sizes.append(total)
            handler.send(201, json.dumps(payload).encode(), {})

        return step

    def token(self, **claims: object) -> str:
        """A JWT of its own each time; the signature is nobody's."""
        self.tokens_issued += 1
        parts = ({"alg": "none"}, {"n": self.tokens_issued, **claims})
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
        return ".".join([*encoded, "c2ln"])

    def _issue_tokens(self, handler: Handler, received: Received) -> None:
        handler.read_body(received)
        now_s = int(self.server_clock_s)
        pair = {"access": self.token(iat=now_s, exp=now_s + self.token_life_s), "refresh": self.token(kind="refresh")}
        handler.send(200, json.dumps(pair).encode(), {})


def _served() -> Iterator[Api]:
    api = Api()
    handler = type("ScriptedHandler", (Handler,), {"api": api})
    with Server(("127.0.0.1", 0), handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield api
        finally:
            api.released.set()
            server.shutdown()
            thread.join()
    assert not api.unexpected
    assert not api.steps, "the client made fewer requests than scripted"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def api() -> Iterator[Api]:
    yield from _served()


@pytest.fixture
def elsewhere() -> Iterator[Api]:
    """Another origin."""
    yield from _served()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(api: Api, clock: FakeClock) -> Iterator[PhotosApiClient]:
    with PhotosApiClient(api.url, USERNAME, PASSWORD, clock=clock, timeout_s=5) as client:
        yield client


@pytest.fixture
def hasty_client(api: Api, clock: FakeClock) -> Iterator[PhotosApiClient]:
    """Gives up after a fifth of a second of silence."""
    with PhotosApiClient(api.url, USERNAME, PASSWORD, clock=clock, timeout_s=(5, 0.2), retries=1) as client:
        yield client


@pytest.fixture
def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def photo_json(**changes: object) -> dict[str, object]:
    return {
        "id": 7,
        "name": "Sunrise",
        "caption": "#alps",
        "draft": False,
        "thumbnail": None,
        "thumbnails": {},
        "width": 640,
        "height": 480,
        "username": USERNAME,
        "publish_date": "2026-01-02T03:04:05Z",
        "status": "ready",
        "failure": None,
        "tags": ["alps"],
        **changes,
    }


@pytest.fixture(name="photo_json")
def _photo_json() -> Callable[..., dict[str, object]]:
    return photo_json
