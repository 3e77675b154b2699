"""A relay between the platform and its storage, which hands on what it hears, or does what a broken storage would."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil

from hmlet.tests.test_host.place import Place
from hmlet.tests.waiting import wait_for

SILENCE_S = 60.0
SKEW_MAX = timedelta(minutes=15)
"""By how much the time of a request may differ before an S3 server refuses it."""
_PIECE = 64 * 1024
_NOT_HANDED_ON = {"connection", "keep-alive", "expect", "transfer-encoding"}
_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
_LAST_MODIFIED = re.compile(rb"<LastModified>([^<]+)</LastModified>")


class Relay(ThreadingHTTPServer):
    """Listens where the platform looks for its storage. ``answer`` may be changed at any time: see the functions below.

    ``clock_offset``: by how much the storage's clock is ahead of ours, as far as others can see that.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, storage_port: int) -> None:
        self.storage_port = storage_port
        self.answer: Answer = handed_on
        self.clock_offset = timedelta()
        self.over = threading.Event()
        self.broken = 0
        """How many requests were not simply handed on."""
        super().__init__(("127.0.0.1", port), _Request)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Closed and no more: how it ends is the answer's matter."""
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked has gone: in a drill that is no news."""

    @contextlib.contextmanager
    def answering(self, answer: Answer) -> Iterator[None]:
        """Do this for a while. Whoever still waits for an answer at the end is hung up on."""
        self.over.clear()
        self.answer = answer
        try:
            yield
        finally:
            self.answer = handed_on
            self.over.set()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def _do(self) -> None:
        answer = self.server.answer
        self.server.broken += answer is not handed_on
        answer(self)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _do  # noqa: N815 - http.server looks for these

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a drill is told by its table."""

    def drain(self, limit: int | None = None) -> bytes:
        """The body, or the first ``limit`` bytes of it."""
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length if limit is None else min(limit, length))

    def hang_up(self) -> None:
        """With a reset, so that nobody takes it for an end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def refuse(self, status: int, code: str) -> None:
        body = _ERROR.format(code=code).encode()
        self.drain()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def asked_of_storage(self) -> tuple[http.client.HTTPResponse, bytes]:
        """What the storage answers, its clock as far off as the relay says."""
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in _NOT_HANDED_ON]
        storage = http.client.HTTPConnection("127.0.0.1", self.server.storage_port, timeout=30)
        with contextlib.closing(storage):
            storage.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                storage.putheader(name, value)
            storage.endheaders(self.drain())
            response = storage.getresponse()
            return response, self._as_of_its_clock(response.read())

    def send_head(self, response: http.client.HTTPResponse, body: bytes) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() == "date":
                value = format_datetime(parsedate_to_datetime(value) + self.server.clock_offset, usegmt=True)
            if name.lower() not in {*_NOT_HANDED_ON, "content-length"}:
                self.send_header(name, value)
        length = response.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        if response.status != http.HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", length)
        self.end_headers()

    def _as_of_its_clock(self, body: bytes) -> bytes:
        offset = self.server.clock_offset
        if not offset or b"<ListBucketResult" not in body[:300]:
            return body

        def moved(told: re.Match[bytes]) -> bytes:
            then = datetime.fromisoformat(told[1].decode()) + offset
            return f"<LastModified>{then:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>".encode()

        return _LAST_MODIFIED.sub(moved, body)


Answer = Callable[[_Request], None]


def handed_on(request: _Request) -> None:
    """As the storage answers."""
    response, body = request.asked_of_storage()
    request.send_head(response, body)
    request.wfile.write(body)


def failing(request: _Request) -> None:
    """500, whatever is asked."""
    request.refuse(500, "InternalError")


def silent(request: _Request) -> None:
    """No answer at all."""
    request.server.over.wait(SILENCE_S)
    request.hang_up()


def cutting(request: _Request) -> None:
    """Half of what is sent either way, then a reset."""
    if request.command == "PUT":
        request.drain(int(request.headers.get("Content-Length") or 0) // 2)
        request.hang_up()
        return
    response, body = request.asked_of_storage()
    request.send_head(response, body)
    request.wfile.write(body[: len(body) // 2])
    request.wfile.flush()
    request.hang_up()


def strict_about_time(request: _Request) -> None:
    """As S3 servers do: a request of another time than theirs is refused (RequestTimeTooSkewed)."""
    now = datetime.now(UTC) + request.server.clock_offset
    told = request.headers.get("X-Amz-Date")
    if told and abs(datetime.strptime(told, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) - now) > SKEW_MAX:
        request.refuse(403, "RequestTimeTooSkewed")
    else:
        handed_on(request)


@contextlib.contextmanager
def storage_relayed(place: Place) -> Iterator[Relay]:
    """The stage's storage on another port, and the relay on its own. Both as before at the end."""
    port, moved = place.ports()["storage_port"], free_port()
    place.supervisor.stop("storage")
    with started_otherwise(place, "storage", "storage-moved", {f"127.0.0.1:{port}": f"127.0.0.1:{moved}"}):
        wait_for(lambda: listens(moved), what="the storage listens on its other port")
        relay = Relay(port, moved)
        thread = threading.Thread(target=relay.serve_forever, name="relay")
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()
            relay.server_close()
    place.supervisor.start_program("storage")
    wait_for(lambda: listens(port), what="the storage listens on its own port again")


@contextlib.contextmanager
def started_otherwise(
    place: Place, program: str, name: str, changed: dict[str, str], **replaced: object
) -> Iterator[psutil.Popen]:
    """A program of the stage once more, as the supervisor would start it, with other words among its arguments."""
    spec = json.loads((place.state.run / f"{program}.json").read_text())
    spec["argv"] = [changed.get(word, word) for word in spec["argv"]]
    spec["env"] |= replaced.pop("env", {})
    file = place.state.run / f"{name}.json"
    file.write_text(json.dumps({**spec, **replaced}))
    log = (place.state.log / f"{name}.log").open("ab")
    with log:
        argv = [sys.executable, "-m", "pl.host.launch", str(file), name]
        process = psutil.Popen(argv, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
