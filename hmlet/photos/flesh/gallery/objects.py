"""The requests that every photo makes: to put, get and delete a whole object. Signed by botocore, sent by urllib3.

By boto3's client each of them takes three times as long, for it asks a model of all of S3 what to do, and a photo makes
a dozen. Errors are the client's: ClientError for what the server refuses, another BotoCoreError for what went wrong on
the way. So are time-outs and the number of attempts. Unlike it, this does not ask (``Expect: 100-continue``) before it
sends a body.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NoReturn, cast
from urllib.parse import quote, urlsplit

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError
from botocore.httpsession import get_cert_path
from botocore.parsers import ResponseParserError, create_parser
from uploads.staging import Sink

USER_AGENT = "hmlet-photos"
CONNECT_WITHIN_S, READ_WITHIN_S = 2, 15
CONNECTIONS_MAX = 32
ATTEMPTS = 3
COPY_BYTES = 256 * 1024
ERROR_BYTES_MAX = 64 * 1024
_RANDOM = random.SystemRandom()
CONFIG = Config(
    signature_version="s3v4",
    # A signed payload is hashed by both sides, and keeps out only who could read all that passes anyway: TLS does that.
    s3={"addressing_style": "path", "payload_signing_enabled": False},
    connect_timeout=CONNECT_WITHIN_S,
    read_timeout=READ_WITHIN_S,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    max_pool_connections=CONNECTIONS_MAX,
    user_agent=USER_AGENT,
    # Objects knows none, and one way to the storage is enough.
    proxies={},
    # Not every S3 server knows the checksums that boto3 sends and expects by default.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class Retries(urllib3.Retry):
    """Waits before the first repetition, too, and never as long as another."""

    def get_backoff_time(self) -> float:
        """In seconds."""
        return self.backoff_factor * 2 ** len(self.history) * (0.5 + _RANDOM.random()) if self.history else 0.0


RETRIES = Retries(
    total=ATTEMPTS - 1,
    redirect=0,
    allowed_methods={"GET", "PUT", "DELETE"},
    status_forcelist=(429, 500, 502, 503, 504),
    backoff_factor=0.1,
    raise_on_status=False,
    raise_on_redirect=False,
    respect_retry_after_header=False,
)


class NoAnswer(HTTPClientError):
    """The storage was not reached, or did not answer to the end."""

    fmt = "no answer from the object storage: {error}"


class Objects:
    """Of one bucket. One of these serves all threads; connections are made when they are needed, and kept."""

    def __init__(
        self, bucket_url: str, *, access_key: str, secret_key: str, region: str, verify: str | None = None
    ) -> None:
        """``verify`` names a file of certificates to trust instead of those that everybody does."""
        parts = urlsplit(bucket_url)
        self._origin, self._path = f"{parts.scheme}://{parts.netloc}", quote(parts.path)
        self._auth = S3SigV4Auth(Credentials(access_key, secret_key), "s3", region)
        secured = {"ca_certs": verify or get_cert_path(True)} if parts.scheme == "https" else {}
        self._pool = urllib3.connection_from_url(
            self._origin,
            maxsize=CONNECTIONS_MAX,
            timeout=urllib3.Timeout(connect=CONNECT_WITHIN_S, read=READ_WITHIN_S),
            retries=RETRIES,
            # Files leave in pieces of this size; http.client's are 16 KB.
            blocksize=COPY_BYTES,
            **secured,
        )

    def put(self, key: str, content: bytes | IO[bytes], length: int, headers: Mapping[str, str]) -> None:
        """Store ``length`` bytes, with headers that are signed along."""
        with self._answered("PUT", key, headers, body=content, length=length) as response:
            response.drain_conn()

    def get(self, key: str, into: Sink) -> None:
        """Copy an object, without holding all of it. A body that is cut is an error."""
        with self._answered("GET", key) as response:
            while piece := response.read(COPY_BYTES):
                into.write(piece)
            response.release_conn()

    def delete(self, key: str) -> None:
        """No error if there is none."""
        with self._answered("DELETE", key) as response:
            response.drain_conn()

    @contextmanager
    def _answered(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes | IO[bytes] | None = None,
        length: int | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer, for as long as it is read. A connection that is left in the middle of one is not used again."""
        if not key:
            raise ValueError("an object has a key: without one, the bucket is meant")
        path = f"{self._path}/{quote(key)}"
        request = AWSRequest(method, self._origin + path, headers={"User-Agent": USER_AGENT, **(headers or {})})
        request.context["client_config"] = CONFIG
        self._auth.add_auth(request)
        sent = dict(request.headers)
        if length is not None:
            # Without it a file would be sent in chunks of unknown number, which S3 does not take.
            sent["Content-Length"] = str(length)
        try:
            response = self._pool.urlopen(
                method, path, body=body, headers=sent, preload_content=False, decode_content=False
            )
            try:
                if response.status >= 300:
                    _refuse(f"{method.capitalize()}Object", response)
                yield response
            except BaseException:
                response.close()
                raise
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswer(error=error) from error


def _refuse(operation: str, response: urllib3.BaseHTTPResponse) -> NoReturn:
    """Raises the ClientError of an answer, whatever it is that answered: its code is the status where it tells none."""
    answer = {
        "status_code": response.status,
        "headers": response.headers,
        "body": response.read(ERROR_BYTES_MAX),
    }
    try:
        # Nothing of S3's model is needed to read an error.
        told: Any = create_parser("rest-xml").parse(answer, cast(Any, None))
        code, message = told["Error"].get("Code"), told["Error"].get("Message")
    except (ResponseParserError, AttributeError, KeyError, TypeError):
        code = message = None
    error = {"Code": code or str(response.status), "Message": message or response.reason or "no more is told"}
    metadata = {"HTTPStatusCode": response.status, "HTTPHeaders": dict(response.headers), "RetryAttempts": 0}
    raise ClientError(cast(Any, {"Error": error, "ResponseMetadata": metadata}), operation)
