"""TLS before a PostgreSQL: not every image of it was built with TLS, and what is tried is the client."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

_GSS_REQUEST = (80877104).to_bytes(4, "big")
"""What a client may ask for before TLS, by PostgreSQL's protocol: a length of 8 and this number."""


@contextlib.contextmanager
def tls_front(port: int, *, certificate: Path, key: Path) -> Iterator[int]:
    """A port on the loopback that negotiates TLS as PostgreSQL does and passes on to ``port``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, port), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # closed: the test is over
            return
        threading.Thread(target=_serve, args=(client, context, port), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, port: int) -> None:
    # A client that does not believe us leaves in the middle of it, which is what it is to do.
    with contextlib.suppress(OSError), client:
        while client.recv(8, socket.MSG_WAITALL)[4:] == _GSS_REQUEST:
            client.sendall(b"N")
        client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as secured,
            socket.create_connection(("127.0.0.1", port)) as there,
        ):
            _pass_on(secured, there)


def _pass_on(secured: ssl.SSLSocket, there: socket.socket) -> None:
    while True:
        for ready in [secured] if secured.pending() else select.select([secured, there], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (there if ready is secured else secured).sendall(data)
