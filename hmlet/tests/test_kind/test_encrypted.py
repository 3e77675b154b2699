"""The platform's settings for TLS and encryption, against servers that speak nothing else. Needs Docker."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from pl import certificates, proc

from hmlet.in_cluster import _POSTGRESQL
from hmlet.tests.test_kind.rendering import Tree, one, pods, rendered
from hmlet.tests.test_kind.running import running
from hmlet.tests.test_kind.tls_front import tls_front
from hmlet.tests.waiting import wait_for

FLESH = Path(__file__).resolve().parents[2] / "photos/flesh"
PASSWORD = secrets.token_hex(16)
ASKED = """
import io, json
import django
django.setup()
from config.celery import app
from datetime import timedelta
from django.core.files.storage import storages
from django.db import connection
from jobs.queue import queue_server
import redis
import requests

def database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return connection.connection.info.ssl_in_use

def queue():
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, timeout=5)
        connection_made = broker.default_channel.client.connection_pool.make_connection()
        return isinstance(connection_made, redis.SSLConnection)

def length():
    return queue_server().llen("hmlet")

def storage():
    bucket = storages["originals"]
    bucket.ensure()
    bucket.write("a/b", io.BytesIO(b"bytes"), "image/png")
    headers = {"content-type": "image/png", **bucket.encryption_headers()}
    url = bucket.signed_put("a/c", headers=headers, query={}, life=timedelta(minutes=1))
    requests.put(url, data=b"more", headers=headers, timeout=10).raise_for_status()
    begun = bucket.parts_begin("a/d", "image/png")
    bucket.parts_abort("a/d", begun)
    told = [bucket.client.head_object(Bucket=bucket.bucket_name, Key=key) for key in ("a/b", "a/c")]
    return [each.get("ServerSideEncryption") for each in told], bucket.open("a/b").read().decode()

told = {}
for ask in (database, queue, length, storage):
    try:
        told[ask.__name__] = ask()
    except Exception as error:
        told[ask.__name__] = f"{type(error).__name__}: {error}"
print(json.dumps(told))
"""


PARTS = ("database", "queue", "length", "storage")
REFUSALS = ("certificate verify failed", "does not match host name", "doesn't match")


def refused(answer: object) -> bool:
    """Whether it was the certificate that was not believed."""
    return any(refusal in str(answer) for refusal in REFUSALS)


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Their ports on the loopback; ``state`` has the authority that signed for ``localhost``."""

    state: Path
    database: int
    queue: int
    storage: int

    def asked(self, *, host: str = "localhost", authority: Path | None = None, **settings: str) -> dict[str, object]:
        """What the platform's own code gets from each, with these settings."""
        ca = str(authority or certificates.authority_of(self.state).path)
        environ = {
            "PATH": os.defpath,
            "PYTHONPATH": str(FLESH),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_SECRET_KEY": PASSWORD * 2,
            "PUBLIC_URL": "https://photos.example",
            "DATABASE_HOST": host,
            "DATABASE_PORT": str(self.database),
            "DATABASE_NAME": "postgres",
            "DATABASE_USER": "postgres",
            "DATABASE_PASSWORD": PASSWORD,
            "DATABASE_SSLMODE": "verify-full",
            "DATABASE_CA_PATH": ca,
            "REDIS_HOST": host,
            "REDIS_PORT": str(self.queue),
            "REDIS_PASSWORD": PASSWORD,
            "REDIS_TLS": "1",
            "REDIS_CA_PATH": ca,
            "S3_ENDPOINT_URL": f"https://{host}:{self.storage}",
            "S3_CA_PATH": ca,
            "REQUESTS_CA_BUNDLE": ca,
            "S3_ACCESS_KEY": "root-user",
            "S3_SECRET_KEY": PASSWORD,
            **settings,
        }
        told = proc.run([sys.executable, "-c", ASKED], env=environ, cwd=FLESH, timeout_s=120).stdout
        answers: dict[str, object] = json.loads(told.splitlines()[-1])
        return answers


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Valkey and MinIO as the charts have them start."""
    with tempfile.TemporaryDirectory(prefix="hmlet-encrypted-") as folder, contextlib.ExitStack() as after:
        state = Path(folder)
        state.chmod(0o755)
        certificates.provide(state, {"server": ("localhost",)})
        pair = {
            "tls.crt": certificates.certificate_of(state, "server").reveal(),
            "tls.key": certificates.key_of(state, "server").reveal(),
            "ca.crt": certificates.authority_of(state).reveal(),
        }
        tls = _files(state / "tls", pair)
        queue = rendered("test", "redis", {"tls.secretName": "its-own"}).objects
        storage = rendered("test", "minio", {"tls.secretName": "its-own", "encryption.secretName": "too"}).objects
        kms_key = f"hmlet:{b64encode(secrets.token_bytes(32)).decode()}"

        def run(pod: Tree, port: int, folders: Mapping[str, Path], *written: str) -> int:
            return int(after.enter_context(running(pod, port, folders=folders, written=written)).rpartition(":")[2])

        front = tls_front(_plain_database(after), certificate=tls / "tls.crt", key=tls / "tls.key")
        made = Servers(
            state=state,
            database=after.enter_context(front),
            queue=run(
                pods(queue)["StatefulSet/redis"],
                6379,
                {
                    "/etc/valkey": _files(state / "valkey", one(queue, "ConfigMap", "redis")["data"]),
                    "/run/secrets/redis": _files(state / "redis", {"password": PASSWORD}),
                    "/run/secrets/redis-tls": tls,
                },
                "/data",
                "/run/valkey",
            ),
            storage=run(
                pods(storage)["StatefulSet/minio"],
                9000,
                {
                    "/run/secrets/minio": _files(
                        state / "minio", {"root-user": "root-user", "root-password": PASSWORD, "kms-key": kms_key}
                    ),
                    "/run/secrets/minio-tls": _mounted(pods(storage)["StatefulSet/minio"], pair, state / "certs"),
                },
                "/data",
                "/tmp",  # noqa: S108 - the container's
            ),
        )
        wait_for(lambda: "Error" not in str(made.asked()), what="all servers answer", within_s=90)
        yield made


def _files(folder: Path, texts: Mapping[str, str]) -> Path:
    """For whatever user a container has."""
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def _mounted(pod: Tree, keys: Mapping[str, str], folder: Path) -> Path:
    """The pod's Secret of certificates, under the names that it gives them."""
    (items,) = (volume["secret"]["items"] for volume in pod["spec"]["volumes"] if volume["name"] == "tls")
    return _files(folder, {item["path"]: keys[item["key"]] for item in items})


def _plain_database(after: contextlib.ExitStack) -> int:
    """Its port on the loopback."""
    name = f"hmlet-encrypted-{secrets.token_hex(4)}"
    after.callback(proc.run, ["docker", "rm", "--force", "--volumes", name], check=False)
    publish = ("--publish", "127.0.0.1::5432", "--env", f"POSTGRES_PASSWORD={PASSWORD}")
    proc.run(["docker", "run", "--detach", "--rm", "--name", name, *publish, _POSTGRESQL])
    return int(proc.run(["docker", "port", name, "5432/tcp"]).stdout.split()[0].rpartition(":")[2])


def test_with_their_authority_all_servers_are_reached_over_tls(servers: Servers) -> None:
    told = servers.asked()
    assert told == {"database": True, "queue": True, "length": 0, "storage": [[None, None], "bytes"]}


def test_what_speaks_tls_speaks_nothing_else(servers: Servers) -> None:
    with socket.create_connection(("localhost", servers.queue), timeout=30) as plain:
        plain.sendall(b"PING\r\n")
        try:
            assert b"PONG" not in (answer := plain.recv(100)), answer
            assert b"NOAUTH" not in answer, "it takes plain requests and wants a password"
        except ConnectionResetError:
            pass
    connection = HTTPConnection("localhost", servers.storage, timeout=30)
    connection.request("GET", "/minio/health/live")
    assert connection.getresponse().status == 400


def test_nobody_is_believed_whom_another_authority_signed(servers: Servers, tmp_path: Path) -> None:
    certificates.provide(tmp_path, {"server": ("localhost",)})
    told = servers.asked(authority=certificates.authority_of(tmp_path).path)
    assert all(refused(told[part]) for part in PARTS), told


def test_nobody_is_believed_under_another_name(servers: Servers) -> None:
    told = servers.asked(host="127.0.0.1")
    assert all(refused(told[part]) for part in PARTS), told


@pytest.mark.parametrize("kind", ["AES256", "aws:kms"])
def test_what_is_put_is_encrypted_by_the_storage_where_that_is_asked(servers: Servers, kind: str) -> None:
    assert servers.asked(S3_ENCRYPTION=kind)["storage"] == [[kind, kind], "bytes"]
    assert servers.asked(S3_ENCRYPTION="aws:kms", S3_ENCRYPTION_KEY="hmlet")["storage"] == [["aws:kms"] * 2, "bytes"]


def test_an_authority_that_is_not_there_stops_the_start_with_its_name(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="DATABASE_CA_PATH cannot be read"):
        servers.asked(authority=tmp_path / "none")
