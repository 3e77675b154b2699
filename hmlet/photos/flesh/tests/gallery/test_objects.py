"""What is asked of the storage for one object, and what comes of answers that are none: a server that says what a test
tells it to."""

import io
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from gallery import objects
from gallery.buckets import OriginalsBucket

from tests.s3 import KEYS

DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"


class Server(ThreadingHTTPServer):
    """Gives ``answers`` in turn: a status, a body, and how many bytes of it are sent; with a status of 0 it hangs up.
    Remembers what it was asked, and how often somebody connected."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, int]] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: Any) -> None:
        """Of a connection that one side ends, which tests do on purpose."""

    def will(self, status: int, body: bytes = b"", sent: int | None = None) -> None:
        self.answers.append((status, body, len(body) if sent is None else sent))


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def _answer(self) -> None:
        status, content, sent = self.server.answers.pop(0)
        self.close_connection = status == 0 or sent < len(content)
        if status == 0:
            self.rfile.read(1)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])

    def log_message(self, *_: Any) -> None:
        """Nothing."""


for method in ("GET", "PUT", "DELETE"):
    setattr(Handler, f"do_{method}", Handler._answer)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(objects, "RETRIES", objects.RETRIES.new(backoff_factor=0))
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def bucket(server: Server) -> OriginalsBucket:
    return OriginalsBucket(**KEYS, endpoint_url=f"http://127.0.0.1:{server.server_port}", bucket_name="b")


def test_a_server_that_stumbles_is_asked_again_with_the_whole_file(server: Server, bucket: OriginalsBucket) -> None:
    server.will(503)
    server.will(500)
    server.will(200)
    file = io.BufferedReader(io.BytesIO(b"hello"))
    file.read(3)
    bucket.write("aa/one.jpg", file, "image/jpeg")
    asked = [(command, path, body) for command, path, _, body in server.asked]
    assert asked == [("PUT", "/b/aa/one.jpg", b"hello")] * 3
    headers = server.asked[-1][2]
    assert headers["Content-Length"] == "5"
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")


def test_a_connection_that_is_lost_in_the_middle_of_a_file_is_made_anew_for_all_of_it(
    server: Server, bucket: OriginalsBucket
) -> None:
    content = bytes(range(256)) * 4096
    server.will(0)
    server.will(200)
    bucket.write("aa/one.jpg", io.BufferedReader(io.BytesIO(content)), "image/jpeg")
    assert [body for *_, body in server.asked] == [content]
    assert server.connections == 2


def test_repetitions_wait_longer_each_time_and_the_first_attempt_does_not() -> None:
    retries = objects.RETRIES
    waits = [retries.get_backoff_time()]
    for _ in range(2):
        retries = retries.increment("GET", "/", response=urllib3.HTTPResponse(status=503))
        waits.append(retries.get_backoff_time())
    assert waits[0] == 0
    assert 0.1 <= waits[1] <= 0.3
    assert 0.2 <= waits[2] <= 0.6


def test_a_server_that_goes_on_stumbling_is_given_up(server: Server, bucket: OriginalsBucket) -> None:
    for _ in range(3):
        server.will(503)
    with pytest.raises(ClientError) as caught:
        bucket.read("aa/one.jpg", io.BytesIO())
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert server.answers == []


def test_what_is_refused_is_told_with_the_server_s_code_and_not_asked_again(
    server: Server, bucket: OriginalsBucket
) -> None:
    server.will(403, DENIED)
    with pytest.raises(ClientError) as caught:
        bucket.write("aa/one.jpg", io.BytesIO(b"hello"), "image/jpeg")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (300, b""),
        (301, b"<Error><Code>PermanentRedirect</Code></Error>"),
        (403, b"<!DOCTYPE html><html><head><title>403 Forbidden</title></head><body><br>no</body></html>"),
        (403, b"<html><head><title>403 Forbidden</title></head></html>"),
        (400, b"<a><Error>text</Error></a>"),
        (400, b"<Error><Message>no code</Message></Error>"),
        (418, b"\xff" * 1_000_000),
    ],
)
def test_whatever_else_is_answered_is_an_error_with_a_code(
    server: Server, bucket: OriginalsBucket, status: int, body: bytes
) -> None:
    server.will(status, body)
    with pytest.raises(ClientError) as caught:
        bucket.discard("aa/one.jpg")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["Error"]["Code"] in {str(status), "PermanentRedirect"}
    assert caught.value.operation_name == "DeleteObject"
    assert len(server.asked) == 1


def test_an_empty_object_is_an_object(server: Server, bucket: OriginalsBucket) -> None:
    server.will(200)
    bucket.write("aa/none", io.BytesIO(), "text/plain")
    assert server.asked[0][2]["Content-Length"] == "0"


def test_without_a_key_nothing_is_asked(server: Server, bucket: OriginalsBucket) -> None:
    """It would be the bucket that is written, read or deleted."""
    asks: tuple[Callable[[], None], ...] = (
        lambda: bucket.write("", io.BytesIO(b"x"), "text/plain"),
        lambda: bucket.read("", io.BytesIO()),
        lambda: bucket.discard(""),
    )
    for ask in asks:
        with pytest.raises(ValueError, match="an object has a key"):
            ask()
    assert server.asked == []


def test_an_object_that_is_not_there_is_a_file_not_found(server: Server, bucket: OriginalsBucket) -> None:
    server.will(404, b"<Error><Code>NoSuchKey</Code></Error>")
    with pytest.raises(FileNotFoundError):
        bucket.read("aa/one.jpg", io.BytesIO())


def test_a_body_that_is_cut_is_an_error(server: Server, bucket: OriginalsBucket) -> None:
    server.will(200, b"hello" * 1000, sent=3000)
    with pytest.raises(BotoCoreError):
        bucket.read("aa/one.jpg", io.BytesIO())


def test_what_the_reader_raises_comes_through_and_the_next_object_is_whole(
    server: Server, bucket: OriginalsBucket
) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise BrokenPipeError

    server.will(200, b"a" * 1_000_000)
    server.will(200, b"hello")
    with pytest.raises(BrokenPipeError):
        bucket.read("aa/one.jpg", Full())
    bucket.read("aa/two.jpg", into := io.BytesIO())
    assert into.getvalue() == b"hello"
    assert server.connections == 2


def test_a_connection_is_used_again(server: Server, bucket: OriginalsBucket) -> None:
    server.will(200)
    server.will(200, b"hello")
    server.will(503)
    server.will(204)
    bucket.write("aa/one.jpg", io.BytesIO(b"hello"), "image/jpeg")
    bucket.read("aa/one.jpg", io.BytesIO())
    bucket.discard("aa/one.jpg")
    assert server.connections == 1


def test_nobody_who_listens_is_an_error_of_the_storage(server: Server) -> None:
    bucket = OriginalsBucket(**KEYS, endpoint_url="http://127.0.0.1:9", bucket_name="b")
    with pytest.raises(BotoCoreError, match=r"^no answer from the object storage: "):
        bucket.discard("aa/one.jpg")


def test_a_certificate_is_verified_by_the_authority_that_is_named(server: Server, tmp_path: Path) -> None:
    certificates = pytest.importorskip("pl.certificates")
    for stage in ("ours", "another"):
        (tmp_path / stage).mkdir()
        certificates.provide(tmp_path / stage, {"storage": ["127.0.0.1"]})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours = tmp_path / "ours"
    context.load_cert_chain(
        certificates.certificate_of(ours, "storage").path, certificates.key_of(ours, "storage").path
    )
    server.socket = context.wrap_socket(server.socket, server_side=True)

    def bucket(verify: str | None) -> OriginalsBucket:
        endpoint = f"https://127.0.0.1:{server.server_port}"
        return OriginalsBucket(**KEYS, endpoint_url=endpoint, bucket_name="b", verify=verify)

    for nobodys in (str(certificates.authority_of(tmp_path / "another").path), None):
        with pytest.raises(BotoCoreError):
            bucket(nobodys).discard("aa/one.jpg")
    assert server.asked == []
    server.will(204)
    bucket(str(certificates.authority_of(ours).path)).discard("aa/one.jpg")
    assert [(command, path) for command, path, *_ in server.asked] == [("DELETE", "/b/aa/one.jpg")]
