"""The requests that every photo makes: to put, get and delete a whole object. Signed by botocore, sent by urllib3.

By boto3's client each of them takes three times as long, for it asks a model of all of S3 what to do, and a photo makes
a dozen. Errors are the client's: ClientError for what the server refuses, another BotoCoreError for what went wrong on
the way. So are time-outs and retries (AWS's "standard" mode): twice more, after a moment, where that may help.
"""

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
from botocore.parsers import create_parser
from uploads.staging import Sink

USER_AGENT = "hmlet-photos"
CONNECT_WITHIN_S, READ_WITHIN_S = 2, 15
CONNECTIONS_MAX = 32
COPY_BYTES = 256 * 1024
CONFIG = Config(
    signature_version="s3v4",
    # A signed payload is hashed by both sides, and keeps out only who could read all that passes anyway: TLS does that.
    s3={"addressing_style": "path", "payload_signing_enabled": False},
    connect_timeout=CONNECT_WITHIN_S,
    read_timeout=READ_WITHIN_S,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=CONNECTIONS_MAX,
    user_agent=USER_AGENT,
    # Not every S3 server knows the checksums that boto3 sends and expects by default.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
RETRIES = urllib3.Retry(
    total=2,
    redirect=0,
    allowed_methods={"GET", "PUT", "DELETE"},
    status_forcelist=(500, 502, 503, 504),
    backoff_factor=0.2,
    backoff_jitter=0.2,
    raise_on_status=False,
    raise_on_redirect=False,
    respect_retry_after_header=False,
)


class Objects:
    """Of one bucket. One of these serves all threads; connections are made when they are needed, and kept."""

    def __init__(
        self, bucket_url: str, *, access_key: str, secret_key: str, region: str, verify: str | None = None
    ) -> None:
        """``verify`` names a file of certificates to trust instead of those that everybody does."""
        parts = urlsplit(bucket_url)
        self._origin, self._path = f"{parts.scheme}://{parts.netloc}", quote(parts.path)
        self._auth = S3SigV4Auth(Credentials(access_key, secret_key), "s3", region)
        self._context = {"client_config": CONFIG}
        secured = {"ca_certs": get_cert_path(cast(bool, verify or True))} if parts.scheme == "https" else {}
        self._pool = urllib3.connection_from_url(
            self._origin,
            maxsize=CONNECTIONS_MAX,
            timeout=urllib3.Timeout(connect=CONNECT_WITHIN_S, read=READ_WITHIN_S),
            retries=RETRIES,
            headers={"User-Agent": USER_AGENT},
            # Files leave in pieces of this size; http.client's are 16 KB.
            blocksize=COPY_BYTES,
            **secured,
        )

    def put(self, key: str, content: bytes | IO[bytes], length: int, headers: Mapping[str, str]) -> None:
        """Store ``length`` bytes, with headers that are signed along."""
        self._answered("PUT", key, headers, body=content, length=length)

    def get(self, key: str, into: Sink) -> None:
        """Copy an object, without holding all of it. A body that is cut is an error."""
        response = self._answered("GET", key, {}, preload_content=False)
        with _errors_of_botocore():
            try:
                while piece := response.read(COPY_BYTES):
                    into.write(piece)
            except BaseException:
                response.close()
                raise
            response.release_conn()

    def delete(self, key: str) -> None:
        """No error if there is none."""
        self._answered("DELETE", key, {})

    def _answered(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str],
        *,
        body: bytes | IO[bytes] | None = None,
        length: int | None = None,
        preload_content: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        path = f"{self._path}/{quote(key)}"
        request = AWSRequest(method, self._origin + path, headers=headers)
        request.context.update(self._context)
        self._auth.add_auth(request)
        sent = {**self._pool.headers, **request.headers}
        if length is not None:
            # Without it a file would be sent in chunks of unknown number, which S3 does not take.
            sent["Content-Length"] = str(length)
        with _errors_of_botocore():
            response = self._pool.urlopen(
                method, path, body=body, headers=sent, preload_content=preload_content, decode_content=False
            )
            if response.status >= 300:
                _refuse(method, response)
        return response


@contextmanager
def _errors_of_botocore() -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        raise HTTPClientError(error=error) from error


def _refuse(method: str, response: urllib3.BaseHTTPResponse) -> NoReturn:
    """Raises the ClientError of an answer."""
    answer = {"status_code": response.status, "headers": response.headers, "body": response.data}
    # Nothing of S3's model is needed to read an error.
    told: Any = create_parser("rest-xml").parse(answer, cast(Any, None))
    raise ClientError(told, f"{method} Object")
