"""Who may do what in the storage: every identity, bucket and verb, allowed or refused by a real MinIO.

It is started as the chart starts it, and what the chart's bootstrap makes of it is what is tried. Needs Docker.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import secrets
import shutil
import sys
import tempfile
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pl import proc

from hmlet.tests.test_kind.rendering import CHECKOUT, one, pods, rendered, rendered_once
from hmlet.tests.test_kind.running import running
from hmlet.tests.waiting import wait_for

IDENTITIES = ("web", "worker", "sweeper", "backup")
BUCKETS = {"originals": "hmlet-originals", "thumbnails": "hmlet-thumbnails", "backups": "hmlet-backups"}
PHOTOS = ("originals", "thumbnails")
VERBS = ("get", "put", "delete", "list", "parts", "abort")
ALLOWED = {
    # Parts, so that an upload in parts that broke off can be gone on with. Who may put may abort.
    *(("web", "originals", verb) for verb in ("get", "put", "parts", "abort")),
    ("web", "thumbnails", "get"),
    # Abort, because a worker sweeps the uploads that nobody finalised.
    *(("worker", "originals", verb) for verb in ("get", "delete", "abort")),
    *(("worker", "thumbnails", verb) for verb in ("get", "put", "delete", "abort")),
    *(("sweeper", bucket, verb) for bucket in PHOTOS for verb in ("list", "delete")),
    *(("backup", bucket, verb) for bucket in BUCKETS for verb in ("list", "get")),
    # It deletes what is old, and aborts what did not come to its end.
    *(("backup", "backups", verb) for verb in ("put", "delete", "abort")),
}
MATRIX = [(identity, bucket, verb) for identity in IDENTITIES for bucket in BUCKETS for verb in VERBS]
CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})


@dataclass(frozen=True, kw_only=True)
class Storage:
    """A server of the chart's image, the folder of its Secret, and the chart's files."""

    address: str
    keys: Path
    files: Path
    region: str = field(default="us-east-1")

    def client(self, identity: str) -> Any:
        """An S3 client; the identity ``root`` is the server's own."""
        access, secret = ("root-user", "root-password") if identity == "root" else (None, None)
        access_key = self.key(access or f"{identity}-access-key")
        return _client(self.address, self.region, access_key, self.key(secret or f"{identity}-secret-key"))

    def key(self, name: str) -> str:
        return (self.keys / name).read_text(encoding="utf-8")

    def bootstrap(self, *, check: bool = True) -> proc.Result:
        """As the pod's container does it, with an interpreter that has nothing but the standard library."""
        words = (str(self.files / "bootstrap.py"), str(self.files / "rights.json"), str(self.keys), self.address)
        return proc.run([sys.executable, "-I", "-S", *words, "--once"], timeout_s=120, check=check)


@functools.cache
def _client(address: str, region: str, access_key: str, secret_key: str) -> Any:
    """Making one takes longer than what is asked of it."""
    session = boto3.session.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region)
    return session.client("s3", endpoint_url=address, config=CONFIG)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="hmlet-rights-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def storage(folder: Path) -> Iterator[Storage]:
    """A server with an object in each bucket, bootstrapped twice."""
    rendered = rendered_once("test", "minio")
    keys, files = folder / "keys", folder / "files"
    keys.mkdir()
    files.mkdir()
    for name, text in one(rendered, "ConfigMap", "minio")["data"].items():
        (files / name).write_text(text, encoding="utf-8")
    for name in (
        "root-user",
        "root-password",
        *(f"{who}-{key}-key" for who in IDENTITIES for key in ("access", "secret")),
    ):
        (keys / name).write_text(secrets.token_urlsafe(24), encoding="utf-8")
        (keys / name).chmod(0o644)
    with _server(pods(rendered)["StatefulSet/minio"], keys) as address:
        made = Storage(address=address, keys=keys, files=files)
        made.bootstrap()
        made.bootstrap()
        for bucket in BUCKETS.values():
            made.client("root").put_object(Bucket=bucket, Key="a/kept", Body=b"kept")
        yield made


@contextlib.contextmanager
def _server(pod: dict[str, Any], keys: Path) -> Iterator[str]:
    written = ("/data", "/tmp")  # noqa: S108 - the container's
    with running(pod, 9000, folders={"/run/secrets/minio": keys}, written=written) as place:
        yield f"http://{place}"


def _try(client: Any, bucket: str, verb: str, multipart: str) -> None:
    """Do it. What is deleted is put there by root first, and ``multipart`` begun. Raises ClientError."""
    if verb == "get":
        assert client.get_object(Bucket=bucket, Key="a/kept")["Body"].read() == b"kept"
    elif verb == "put":
        client.put_object(Bucket=bucket, Key="a/put", Body=b"put")
    elif verb == "delete":
        client.delete_object(Bucket=bucket, Key="a/deleted")
    elif verb == "parts":
        assert "Parts" not in client.list_parts(Bucket=bucket, Key="a/parts", UploadId=multipart)
    elif verb == "abort":
        client.abort_multipart_upload(Bucket=bucket, Key="a/parts", UploadId=multipart)
    else:
        assert "a/kept" in [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]]


@pytest.mark.parametrize(("identity", "bucket", "verb"), MATRIX)
def test_the_matrix_of_rights(storage: Storage, identity: str, bucket: str, verb: str) -> None:
    client, name = storage.client(identity), BUCKETS[bucket]
    root = storage.client("root")
    root.put_object(Bucket=name, Key="a/deleted", Body=b"there")
    multipart = root.create_multipart_upload(Bucket=name, Key="a/parts")["UploadId"]
    if (identity, bucket, verb) in ALLOWED:
        _try(client, name, verb, multipart)
        return
    with pytest.raises(ClientError) as refused:
        _try(client, name, verb, multipart)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("bucket", BUCKETS.values())
def test_nobody_reads_or_lists_without_a_signature(storage: Storage, bucket: str) -> None:
    for path in (f"/{bucket}/a/kept", f"/{bucket}/", f"/{bucket}/?list-type=2", "/"):
        assert _status(storage.address + path) == 403


@pytest.mark.parametrize(("identity", "bucket", "verb"), [entry for entry in MATRIX if entry[2] in {"get", "put"}])
def test_a_signed_url_has_the_rights_of_who_signed_it(storage: Storage, identity: str, bucket: str, verb: str) -> None:
    key = "a/kept" if verb == "get" else "a/by-url"
    parameters = {"Bucket": BUCKETS[bucket], "Key": key}
    url = storage.client(identity).generate_presigned_url(f"{verb}_object", Params=parameters, ExpiresIn=60)
    status = _status(url, method=verb.upper(), body=b"by url" if verb == "put" else None)
    assert status == (200 if (identity, bucket, verb) in ALLOWED else 403)


def _status(url: str, *, method: str = "GET", body: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method), timeout=10) as answer:  # noqa: S310
            return cast(int, answer.status)
    except HTTPError as error:
        return error.code


@pytest.mark.parametrize("identity", IDENTITIES)
def test_no_identity_makes_buckets_opens_them_or_finds_others(storage: Storage, identity: str) -> None:
    client = storage.client(identity)
    everyone = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::hmlet-originals/*",
    }
    opened = json.dumps({"Version": "2012-10-17", "Statement": [everyone]})
    for call, words in (
        ("create_bucket", {"Bucket": "another"}),
        ("delete_bucket", {"Bucket": "hmlet-originals"}),
        ("put_bucket_policy", {"Bucket": "hmlet-originals", "Policy": opened}),
        ("get_bucket_policy", {"Bucket": "hmlet-originals"}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(client, call)(**words)


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "export-iam"),
        ("GET", "info"),
        ("PUT", "import-iam"),
    ],
)
def test_no_identity_administers_the_server(storage: Storage, identity: str, method: str, path: str) -> None:
    bootstrap = _module(storage)
    server = bootstrap.Server(
        storage.address,
        region=storage.region,
        access_key=storage.key(f"{identity}-access-key"),
        secret_key=storage.key(f"{identity}-secret-key"),
    )
    with pytest.raises(bootstrap.Refused, match=r"403.*AccessDenied"):
        server.ask(method, f"/minio/admin/v3/{path}", body=b"{}" if method == "PUT" else b"")


def _module(storage: Storage) -> Any:
    spec = importlib.util.spec_from_file_location("minio_bootstrap", storage.files / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_changed_keys_replace_the_old_ones(storage: Storage, folder: Path) -> None:
    rendered = rendered_once("test", "minio")
    keys = folder / "rotated"
    shutil.copytree(storage.keys, keys)
    with _server(pods(rendered)["StatefulSet/minio"], keys) as address:
        its = Storage(address=address, keys=keys, files=storage.files)
        its.bootstrap()
        old = {name: its.client(name) for name in ("web", "worker")}
        for client in old.values():
            with pytest.raises(ClientError, match="NoSuchKey"):
                client.get_object(Bucket="hmlet-originals", Key="none")
        for name in ("web-access-key", "web-secret-key", "worker-secret-key"):
            (keys / name).write_text(secrets.token_urlsafe(24), encoding="utf-8")
        said = its.bootstrap().stdout
        assert "identity web: an old access key was removed" in said
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            old["web"].get_object(Bucket="hmlet-originals", Key="none")
        wait_for(lambda: _refuses(old["worker"]), within_s=10, what="the old secret key is refused")
        for name in old:
            with pytest.raises(ClientError, match="NoSuchKey"):
                its.client(name).get_object(Bucket="hmlet-originals", Key="none")


def _refuses(client: Any) -> bool:
    try:
        client.get_object(Bucket="hmlet-originals", Key="none")
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "SignatureDoesNotMatch")
    return False


def test_a_secret_without_a_key_is_named(storage: Storage, folder: Path) -> None:
    keys = folder / "incomplete"
    shutil.copytree(storage.keys, keys)
    (keys / "backup-secret-key").unlink()
    result = Storage(address=storage.address, keys=keys, files=storage.files).bootstrap(check=False)
    assert (result.status, result.stderr.strip()) == (1, "The Secret has no key backup-secret-key.")


_FLESH = """
import io, json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from botocore.exceptions import ClientError
from django.conf import settings
settings.configure()
from gallery.buckets import OriginalsBucket

def bucket(identity):
    access, secret = (Path(sys.argv[2], f"{identity}-{key}-key").read_text() for key in ("access", "secret"))
    return OriginalsBucket(access_key=access, secret_key=secret, region_name="us-east-1",
        endpoint_url=sys.argv[1], bucket_name="hmlet-originals")

def outcome(action):
    try:
        return action()
    except Exception as error:
        return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__

web, worker, sweeper = (bucket(name) for name in ("web", "worker", "sweeper"))
tomorrow = datetime.now(UTC) + timedelta(days=1)
print(json.dumps({
    "web checks": outcome(web.check),
    "worker checks": outcome(worker.check),
    "web writes": outcome(lambda: web.write("b/new", io.BytesIO(b"new"), "image/png")),
    "worker reads": outcome(lambda: worker.read("b/new", io.BytesIO())),
    "web discards": outcome(lambda: web.discard("b/new")),
    "sweeper finds": outcome(lambda: "b/new" in list(sweeper.keys(older_than=tomorrow))),
    "worker discards": outcome(lambda: worker.discard("b/new")),
    "web misses": outcome(lambda: web.read("b/new", io.BytesIO())),
    "worker misses": outcome(lambda: worker.read("b/new", io.BytesIO())),
}))
"""


def test_the_platform_s_own_buckets_work_with_these_rights(storage: Storage) -> None:
    words = [sys.executable, "-c", _FLESH, storage.address, str(storage.keys)]
    said = proc.run(words, cwd=CHECKOUT / "hmlet/photos/flesh", timeout_s=60).stdout
    assert json.loads(said) == {
        "web checks": None,
        "worker checks": None,
        "web writes": None,
        "worker reads": None,
        "web discards": "AccessDenied",
        "sweeper finds": True,
        "worker discards": None,
        "web misses": "FileNotFoundError",
        "worker misses": "FileNotFoundError",
    }


def test_what_is_put_is_encrypted_where_a_key_is_given_and_nobody_needs_another_right(
    storage: Storage, folder: Path
) -> None:
    manifest = rendered("test", "minio", {"encryption.secretName": "its-own"})
    keys, files = folder / "with-kms-key", folder / "encrypting"
    shutil.copytree(storage.keys, keys)
    (keys / "kms-key").write_text(f"a-key:{b64encode(secrets.token_bytes(32)).decode()}")
    shutil.copytree(storage.files, files)
    for name, text in one(manifest.objects, "ConfigMap", "minio")["data"].items():
        (files / name).write_text(text, encoding="utf-8")
    with _server(pods(manifest.objects)["StatefulSet/minio"], keys) as address:
        its = Storage(address=address, keys=keys, files=files)
        its.bootstrap()
        assert "bucket hmlet-backups: encrypts by the key a-key" in its.bootstrap().stdout
        for writer, bucket, reader in (
            ("web", "originals", "worker"),
            ("worker", "thumbnails", "web"),
            ("backup", "backups", "backup"),
        ):
            its.client(writer).put_object(Bucket=BUCKETS[bucket], Key="a/kept", Body=b"kept")
            got = its.client(reader).get_object(Bucket=BUCKETS[bucket], Key="a/kept")
            told = (got["Body"].read(), got["ServerSideEncryption"], got["SSEKMSKeyId"])
            assert told == (b"kept", "aws:kms", "arn:aws:kms:a-key")
        web, place = its.client("web"), {"Bucket": BUCKETS["originals"], "Key": "a/parts"}
        begun = {**place, "UploadId": web.create_multipart_upload(**place)["UploadId"]}
        part = {"ETag": web.upload_part(**begun, PartNumber=1, Body=b"kept")["ETag"], "PartNumber": 1}
        web.complete_multipart_upload(**begun, MultipartUpload={"Parts": [part]})
        got = its.client("worker").get_object(**place)
        assert (got["Body"].read(), got["ServerSideEncryption"]) == (b"kept", "aws:kms")
        for entry in (entry for entry in MATRIX if entry[2] == "get" and entry not in ALLOWED):
            with pytest.raises(ClientError, match="AccessDenied"):
                its.client(entry[0]).get_object(Bucket=BUCKETS[entry[1]], Key="a/kept")
