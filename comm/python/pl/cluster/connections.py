"""HTTP to an API server: TLS by a kubeconfig's word, one connection a thread that is kept, and what breaks, by name."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from pl.cluster.credentials import Credential, Credentials
from pl.cluster.kubeconfig import Access
from pl.errors import ClusterAway, KubeconfigInvalid

ANSWER_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 10.0
_BUSY = (429, 503)
_BUSY_TRIES = 5
_LONGEST_PAUSE_S = 5.0
_KEEPALIVE = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))

Failures = (OSError, http.client.HTTPException)
"""What a connection that breaks raises."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """``target`` is the path with its query. ``repeatable``: sent twice, it does no more than once."""

    method: str
    target: str
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    repeatable: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``repeated``: the request was sent twice, because the first connection broke without an answer."""

    status: int
    body: bytes
    repeated: bool = False


class Connections:
    """Connections to the server of one access. Any thread may send; each has a connection of its own."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._credentials = Credentials(access)
        self._address = urlsplit(access.server)
        self._kept = threading.local()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._contexts_lock = threading.Lock()

    def send(self, request: Request, *, timeout_s: float = ANSWER_TIMEOUT_S) -> Answer:
        """Send a request on this thread's connection and read the answer.

        A server that says that it is busy is asked again when it says so. Raises ClusterAway, ClusterLoginFailed.
        """
        relogged = False
        for attempt in range(_BUSY_TRIES):
            credential = self._credentials.current()
            answer, headers = self._send(request, credential, timeout_s)
            if answer.status == 401 and not relogged and self._credentials.forget(credential):
                relogged = True
                continue
            pause_s = _pause_s(headers)
            if answer.status in _BUSY and pause_s and attempt + 1 < _BUSY_TRIES:
                time.sleep(pause_s)
                continue
            break
        return answer

    def open(self, request: Request, *, timeout_s: float | None) -> tuple[Connection, http.client.HTTPResponse]:
        """Send a request on a connection of its own, whose answer is read as it comes. The caller closes it.

        ``timeout_s`` is the longest silence that is borne, None for any. Raises ClusterAway, ClusterLoginFailed.
        """
        for last in (False, True):
            credential = self._credentials.current()
            connection = self._connected(credential)
            try:
                connection.request(request.method, self._target(request), request.body, _headers(request, credential))
                response = connection.getresponse()
            except Failures as error:
                connection.close()
                raise self.away(error) from None
            if response.status == 401 and not last and self._credentials.forget(credential):
                connection.close()
                continue
            break
        connection.patience(timeout_s)
        return connection, response

    def away(self, error: Exception) -> ClusterAway:
        return ClusterAway(
            self.access.server,
            why=f"{_reason(error)} (context {self.access.context})",
            passing=not isinstance(error, ssl.SSLCertVerificationError),
        )

    def close(self) -> None:
        """Close this thread's connection."""
        connection = self._kept_connection()
        if connection is not None:
            connection.close()
            self._kept.connection = None

    def _send(
        self, request: Request, credential: Credential, timeout_s: float
    ) -> tuple[Answer, http.client.HTTPMessage]:
        reused = self._kept_connection()
        if reused is not None and (reused.has_ended() or reused.certificate != credential.certificate):
            self.close()
            reused = None
        try:
            return self._exchange(reused or self._keep(credential), request, credential, timeout_s)
        except Failures as error:
            self.close()
            # A kept connection may be cut at the moment of its use; a new one that breaks says something.
            if reused is None or not request.repeatable or isinstance(error, TimeoutError):
                raise self.away(error) from None
        try:
            answer, headers = self._exchange(self._keep(credential), request, credential, timeout_s)
        except Failures as error:
            self.close()
            raise self.away(error) from None
        return Answer(status=answer.status, body=answer.body, repeated=True), headers

    def _exchange(
        self, connection: Connection, request: Request, credential: Credential, timeout_s: float
    ) -> tuple[Answer, http.client.HTTPMessage]:
        connection.patience(timeout_s)
        try:
            connection.request(request.method, self._target(request), request.body, _headers(request, credential))
            response = connection.getresponse()
            body = response.read()
        except BaseException:
            # Whatever interrupts an exchange, the rest of its answer must not become the next one's.
            self.close()
            raise
        return Answer(status=response.status, body=body), response.headers

    def _target(self, request: Request) -> str:
        return f"{self._address.path}{request.target}"

    def _kept_connection(self) -> Connection | None:
        return cast("Connection | None", getattr(self._kept, "connection", None))

    def _keep(self, credential: Credential) -> Connection:
        self._kept.connection = self._connected(credential)
        return cast(Connection, self._kept.connection)

    def _connected(self, credential: Credential) -> Connection:
        connection = Connection(
            str(self._address.hostname),
            self._address.port or 443,
            tls=self._tls(credential),
            server_name=self.access.tls_server_name or str(self._address.hostname),
            certificate=credential.certificate,
        )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise self.away(error) from None
        return connection

    def _tls(self, credential: Credential) -> ssl.SSLContext:
        with self._contexts_lock:
            if credential.certificate not in self._contexts:
                # One at most: certificates that were printed before are not shown again.
                self._contexts = {credential.certificate: self._new_tls(credential)}
            return self._contexts[credential.certificate]

    def _new_tls(self, credential: Credential) -> ssl.SSLContext:
        # Not ssl.create_default_context: Python 3.13's demands key identifiers that clusters' authorities lack.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        access = self.access
        try:
            if access.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif access.ca:
                context.load_verify_locations(cadata=access.ca)
            else:
                context.load_default_certs()
            if credential.certificate:
                with _as_file(f"{credential.certificate}\n{credential.key}\n") as file:
                    context.load_cert_chain(file)
        except ssl.SSLError:
            raise KubeconfigInvalid(
                f"{access.file}: the certificates of the context {access.context} cannot be used"
            ) from None
        return context


class Connection(http.client.HTTPSConnection):
    """One connection, whose other end is watched by the kernel, and which any thread may cut."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext, server_name: str, certificate: str) -> None:
        super().__init__(host, port, timeout=_CONNECT_TIMEOUT_S, context=tls)
        self.certificate = certificate
        self._tls = tls
        self._server_name = server_name

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), timeout=_CONNECT_TIMEOUT_S)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE:
                if hasattr(socket, name):
                    plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._server_name)
        except BaseException:
            plain.close()
            raise

    def patience(self, timeout_s: float | None) -> None:
        if self.sock is not None:
            self.sock.settimeout(timeout_s)

    def has_ended(self) -> bool:
        """Whether the server has closed an idle connection: nothing else can be there to be read."""
        if self.sock is None:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def cut(self) -> None:
        """End it from another thread: who reads there meets its end."""
        with contextlib.suppress(OSError):
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)


def _headers(request: Request, credential: Credential) -> dict[str, str]:
    headers = {"Accept": request.accept, "User-Agent": "plasma"}
    if request.body is not None:
        headers["Content-Type"] = request.content_type
    if credential.token:
        headers["Authorization"] = f"Bearer {credential.token}"
    return headers


def _pause_s(headers: Mapping[str, str] | http.client.HTTPMessage) -> float:
    said = headers.get("Retry-After") or ""
    return min(float(said), _LONGEST_PAUSE_S) if said.isdecimal() else 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "it was silent for too long"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[Path]:
    """A file for OpenSSL, which reads keys from files alone. On Linux it is in memory."""
    if hasattr(os, "memfd_create"):
        with io.FileIO(os.memfd_create("pl", os.MFD_CLOEXEC), "w") as memory:
            memory.write(text.encode("ascii"))
            yield Path("/proc/self/fd", str(memory.fileno()))
        return
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix="pl-") as file:
        file.write(text)
        file.flush()
        yield Path(file.name)
