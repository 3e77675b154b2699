"""An https address whose authority is nobody's but the stage's."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ht.api_clients.photos import PhotosApiClient
from ht.errors import ConnectionFailed
from pl import certificates


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"next": null, "previous": null, "results": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Quiet(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that believe nothing hang up."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    certificates.provide(tmp_path, {"server": ("127.0.0.1",)})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificates.certificate_of(tmp_path, "server").path, certificates.key_of(tmp_path, "server").path
    )
    with Quiet(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_stage_s_own_authority_is_trusted_where_the_client_is_told_of_it(address: str, tmp_path: Path) -> None:
    with PhotosApiClient(address, ca_file=certificates.authority_of(tmp_path).path) as client:
        assert client.photos.list() == []


def test_what_the_client_is_told_outweighs_the_machine(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    certificates.provide(other, {"server": ("127.0.0.1",)})
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority_of(other).path))
    with PhotosApiClient(address, ca_file=certificates.authority_of(tmp_path).path) as client:
        assert client.photos.list() == []


def test_without_it_nobody_is_believed_and_nothing_repeated(address: str) -> None:
    with PhotosApiClient(address) as client, pytest.raises(ConnectionFailed, match="TLS") as caught:
        client.photos.list()
    assert not caught.value.transient


def test_a_file_that_is_not_there_is_said_so(address: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ca_file"):
        PhotosApiClient(address, ca_file=tmp_path / "none")
