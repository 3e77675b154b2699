"""Makes a MinIO server's buckets and identities what the chart says, as its root user, and then waits to be stopped.

    python3 bootstrap.py RIGHTS_JSON KEYS_FOLDER [ENDPOINT] [--once]

RIGHTS_JSON is ``{"region": NAME, "buckets": {ALIAS: NAME...}, "identities": [{"name": NAME, ALIAS: [VERB...]...}]}``
with the verbs of ACTIONS; in a bucket whose alias it does not have, an identity may nothing. With ``"encrypted": true``
the buckets encrypt what is put, by the server's own key. KEYS_FOLDER holds a mounted Secret's files: ``root-user``,
``root-password``, ``NAME-access-key`` and ``NAME-secret-key`` of each identity.

It may be run any number of times: what is there stays. An identity whose access key changed loses the old one. It goes
to a server in the same pod: MinIO's bulk import takes secret keys as they are, and they must cross no network.

Standard library alone, so that any image with Python will do.
"""

import datetime
import hashlib
import hmac
import html
import http.client
import io
import json
import os
import signal
import sys
import time
import urllib.parse
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

WITHIN_S = 120.0
DONE = Path(os.environ.get("BOOTSTRAP_DONE", "/tmp/bootstrapped"))  # noqa: S108 - the pod's own, for its probe

# In a bucket (list, and what S3 clients ask along with it) or in its objects.
ACTIONS = {
    "get": ["s3:GetObject"],
    "put": ["s3:PutObject", "s3:AbortMultipartUpload"],
    "delete": ["s3:DeleteObject"],
    "list": ["s3:ListBucket", "s3:GetBucketLocation"],
    # Of an upload in parts: ask what has arrived, and forget it.
    "parts": ["s3:ListMultipartUploadParts"],
    "abort": ["s3:AbortMultipartUpload"],
}

ENCRYPTED = (
    '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
    "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{key}</KMSMasterKeyID>"
    "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
)


class Refused(Exception):
    """The server answered something else than was hoped for."""


class Server:
    """Signed requests (AWS Signature Version 4) to one endpoint."""

    def __init__(self, endpoint: str, *, region: str, access_key: str, secret_key: str) -> None:
        parts = urllib.parse.urlsplit(endpoint)
        self._host = parts.netloc
        self._https = parts.scheme == "https"
        self._region = region
        self._access_key = access_key
        self._secret_key = secret_key

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        fine: tuple[int, ...] = (200, 204),
    ) -> tuple[int, bytes]:
        """Status and body. Raises OSError when nobody answers, Refused for a status that is not ``fine``."""
        words = "&".join(f"{_quoted(k)}={_quoted(v)}" for k, v in sorted((query or {}).items()))
        headers = self._signed(method, path, words, body)
        connect = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        connection = connect(self._host, timeout=30)
        try:
            connection.request(method, f"{path}?{words}" if words else path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status not in fine:
            raise Refused(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        return answer.status, content

    def _signed(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        now = datetime.datetime.now(datetime.UTC)
        moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": self._host, "x-amz-content-sha256": digest, "x-amz-date": moment}
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = "\n".join((method, path, query, lines, names, digest))
        scope = f"{day}/{self._region}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()))
        key = f"AWS4{self._secret_key}".encode()
        for word in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={self._access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**headers, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")


def policy(identity: Mapping[str, Any], buckets: Mapping[str, str]) -> dict[str, Any]:
    """What the identity may do. Not even administer itself: by default MinIO lets a user make keys of its own."""
    statements: list[dict[str, Any]] = [{"Effect": "Deny", "Action": ["admin:*"]}]
    for alias, bucket in buckets.items():
        for verb in identity.get(alias, ()):
            place = f"arn:aws:s3:::{bucket}" if verb == "list" else f"arn:aws:s3:::{bucket}/*"
            statements.append({"Effect": "Allow", "Action": ACTIONS[verb], "Resource": [place]})
    return {"Version": "2012-10-17", "Statement": statements}


def bootstrap(server: Server, rights: Mapping[str, Any], keys: Path) -> None:
    """Make buckets, policies and users; remove users of ours whose access keys are not in use any more."""
    for bucket in rights["buckets"].values():
        # 409: it is there already, and ours.
        status, _ = server.ask("PUT", f"/{bucket}", fine=(200, 409))
        print(f"bucket {bucket}: {'created' if status == 200 else 'there already'}", flush=True)
    if rights.get("encrypted"):
        _encrypt(server, rights["buckets"].values())
    names = [identity["name"] for identity in rights["identities"]]
    secrets = {_read(keys / f"{name}-access-key"): _read(keys / f"{name}-secret-key") for name in names}
    if len(secrets) != len(names):
        raise SystemExit("Two identities have the same access key.")
    mappings = dict(zip(secrets, names, strict=True))
    before = _exported(server, "user_mappings.json")
    _import(
        server,
        {
            "policies.json": {
                identity["name"]: policy(identity, rights["buckets"]) for identity in rights["identities"]
            },
            "users.json": {key: {"secretKey": secret, "status": "enabled"} for key, secret in secrets.items()},
            "user_mappings.json": {key: {"version": 1, "policy": name} for key, name in mappings.items()},
        },
    )
    for name in names:
        print(f"identity {name}: as it should be", flush=True)
    for key, mapping in before.items():
        if key not in mappings:
            server.ask("DELETE", "/minio/admin/v3/remove-user", {"accessKey": key}, fine=(200, 204, 404))
            print(f"identity {mapping['policy']}: an old access key was removed", flush=True)


def _encrypt(server: Server, buckets: Iterable[str]) -> None:
    """From now on: what is there stays as it is."""
    _, content = server.ask("GET", "/minio/kms/v1/status")
    key = json.loads(content)["default-key-id"]
    for bucket in buckets:
        server.ask("PUT", f"/{bucket}", {"encryption": ""}, ENCRYPTED.format(key=html.escape(key)).encode())
        print(f"bucket {bucket}: encrypts by the key {key}", flush=True)


def _exported(server: Server, name: str) -> dict[str, Any]:
    _, content = server.ask("GET", "/minio/admin/v3/export-iam")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        path = f"iam-assets/{name}"
        return dict(json.loads(archive.read(path)) or {}) if path in archive.namelist() else {}


def _import(server: Server, assets: Mapping[str, Any]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, asset in assets.items():
            archive.writestr(f"iam-assets/{name}", json.dumps(asset))
    server.ask("PUT", "/minio/admin/v3/import-iam", body=content.getvalue())


def _read(path: Path) -> str:
    try:
        value = path.read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        raise SystemExit(f"The Secret has no key {path.name}.") from None
    if not value:
        raise SystemExit(f"The Secret's key {path.name} is empty.")
    return value


def _wait(server: Server) -> None:
    """Until the server answers its root user. Raises SystemExit when it does not in time."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            server.ask("GET", "/")
        except (OSError, http.client.HTTPException, Refused) as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"The server does not take its root user's requests: {error}") from None
        else:
            return
        time.sleep(0.2)


def main(arguments: list[str]) -> int:
    once = "--once" in arguments
    words = [word for word in arguments if word != "--once"]
    rights = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    keys = Path(words[1])
    server = Server(
        words[2] if len(words) > 2 else "http://127.0.0.1:9000",
        region=rights["region"],
        access_key=_read(keys / "root-user"),
        secret_key=_read(keys / "root-password"),
    )
    _wait(server)
    try:
        bootstrap(server, rights, keys)
    except Refused as error:
        raise SystemExit(str(error)) from None
    if once:
        return 0
    DONE.touch()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
