"""A vendor's web server that can misbehave, a checkout that fetches from it, and one run of that."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pl.errors import PlError
from pl.tools.fetch import Fetcher
from pl.tools.install import Installed, install, known
from pl.tools.registry import this_platform

CHECKOUT = Path(__file__).resolve().parents[4]
PLATFORM = "linux-amd64"
QUICK = Fetcher(connect_timeout_s=2, read_timeout_s=0.5, pause_s=0.01)


def script(says: str, size: int = 0) -> bytes:
    """A program that says something, made longer with a comment."""
    text = f"#!/bin/sh\necho {says}\n".encode()
    return text + b"#" * max(0, size - len(text) - 1) + b"\n"


def packed(**members: bytes) -> bytes:
    """A .tar.gz; ``__`` in a name is a slash."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


Misbehaviour = Callable[["Handler", bytes], None]


@dataclass
class Vendor:
    """What the server has, by path, how it misbehaves for some, and what it was asked."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    misbehaves: dict[str, Misbehaviour] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Paths and the ranges that were asked for."""

    def times(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)


class Handler(BaseHTTPRequestHandler):
    """Serves with ranges, as vendors' servers do."""

    vendor: Vendor
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ranges = self.headers.get("Range", "")
        self.vendor.asked.append((self.path, ranges))
        content = self.vendor.files.get(self.path)
        if content is None:
            self.answer(404, b"not here")
            return
        misbehave = self.vendor.misbehaves.get(self.path)
        if misbehave:
            misbehave(self, content)
            return
        self.serve(content)

    def serve(self, content: bytes) -> None:
        offset = self.offset()
        if offset >= len(content) and offset:
            self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        elif offset:
            whole = f"bytes {offset}-{len(content) - 1}/{len(content)}"
            self.answer(206, content[offset:], {"Content-Range": whole})
        else:
            self.answer(200, content)

    def offset(self) -> int:
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int = -1) -> None:
        """An answer; with a ``length`` that is not the body's, the connection ends early."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.close_connection or length >= 0

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at ``asked``."""


@contextmanager
def vendor() -> Iterator[Vendor]:
    handler = type("OfVendor", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    found = Vendor(url=f"http://127.0.0.1:{server.server_address[1]}")
    handler.vendor = found  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Watching:
    """Notes what it is told of the progress."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}
        self.bytes: dict[str, list[tuple[int, int]]] = {}

    def started(self, name: str) -> None:
        self.bytes.setdefault(name, [])

    def done(self, name: str, remark: str, duration_s: float) -> None:
        self.ended[name] = remark

    def failed(self, name: str, error: PlError) -> None:
        self.ended[name] = error.what

    def fetched(self, name: str, done: int, total: int) -> None:
        self.bytes[name].append((done, total))


@dataclass
class Place:
    """A checkout that has nothing but a tools.toml."""

    checkout: Path

    def tools(self, text: str) -> None:
        file = self.checkout / "comm/tools.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def install(
        self, mirror: str = "", *, rehash: bool = False, fetcher: Fetcher = QUICK, watching: Watching | None = None
    ) -> Installed:
        return install(
            self.checkout,
            mirror=mirror,
            progress=watching or Watching(),
            say=lambda _: None,
            rehash=rehash,
            platform=PLATFORM,
            fetcher=fetcher,
        )

    @property
    def deps(self) -> Path:
        return self.checkout / ".deps"

    def program(self, name: str) -> Path:
        return self.deps / "bin" / name

    def parts(self) -> list[Path]:
        return sorted((self.deps / "downloads").glob("*.part"))

    def executables(self) -> list[str]:
        """Everything below .deps that could be run, by name."""
        return sorted(path.name for path in self.deps.rglob("*") if path.is_file() and path.stat().st_mode & 0o111)


def table(name: str, url: str, *, version: str = "1.0", more: str = "", shared: str = "") -> str:
    """One tool for tools.toml. ``more`` goes into the platform's table, ``shared`` stands above it."""
    return f'[{name}]\nversion = "{version}"\n{shared}\n{PLATFORM} = {{ url = "{url}"{more} }}\n'


def mirror_of_everything(folder: Path) -> Path:
    """A mirror for this machine of all tools that the checkout wants, telepresence apart. Each says its name."""
    tables = []
    for name, tool in known(CHECKOUT).items():
        if tool.optional:
            continue
        content = script(name)
        (folder / name).write_bytes(content)
        artifact = f'{this_platform()} = {{ url = "{name}"{sha(content)} }}'
        tables.append(f'[{name}]\nversion = "{tool.version}"\n{artifact}\n')
    (folder / "tools.toml").write_text("".join(tables), encoding="utf-8")
    return folder


def sha(content: bytes) -> str:
    return f', sha256 = "{digest(content)}"'


def wait_for(condition: Callable[[], object], deadline_s: float = 20) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)
