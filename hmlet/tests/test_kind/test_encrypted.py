"""The platform's settings for TLS and encryption, against servers that speak nothing else. Needs Docker."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pl import certificates, proc

from hmlet.in_cluster import _MINIO, _POSTGRESQL, _VALKEY
from hmlet.tests.test_kind.tls_front import tls_front
from hmlet.tests.waiting import wait_for

FLESH = Path(__file__).resolve().parents[2] / "photos/flesh"
PASSWORD = secrets.token_hex(16)
SETUP = "mkdir /tmp/tls && cp /tls/* /tmp/tls/ && chmod -R a+rX /tmp/tls && "
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
    with tempfile.TemporaryDirectory(prefix="hmlet-encrypted-") as folder, contextlib.ExitStack() as after:
        state = Path(folder)
        certificates.provide(state, {"server": ("localhost",)})
        tls = state / "tls"
        tls.mkdir()
        for name, secret in (
            ("public.crt", certificates.certificate_of(state, "server")),
            ("private.key", certificates.key_of(state, "server")),
        ):
            (tls / name).write_text(secret.reveal())

        def run(image: str, script: str, port: int, *options: str) -> int:
            name = f"hmlet-encrypted-{secrets.token_hex(4)}"
            publish = ("--publish", f"127.0.0.1::{port}", "--volume", f"{tls}:/tls:ro", "--user", "0")
            argv = [
                "docker",
                "run",
                "--detach",
                "--rm",
                "--name",
                name,
                *publish,
                *options,
                "--entrypoint",
                "sh",
                image,
            ]
            after.callback(proc.run, ["docker", "rm", "--force", "--volumes", name], check=False)
            proc.run([*argv, "-c", SETUP + script])
            return int(proc.run(["docker", "port", name, f"{port}/tcp"]).stdout.split()[0].rpartition(":")[2])

        password = ("--env", f"POSTGRES_PASSWORD={PASSWORD}")
        key = f"MINIO_KMS_SECRET_KEY=hmlet:{b64encode(secrets.token_bytes(32)).decode()}"
        root = ("--env", "MINIO_ROOT_USER=root-user", "--env", f"MINIO_ROOT_PASSWORD={PASSWORD}", "--env", key)
        plain = run(_POSTGRESQL, "exec docker-entrypoint.sh postgres", 5432, *password)
        front = tls_front(plain, certificate=tls / "public.crt", key=tls / "private.key")
        made = Servers(
            state=state,
            database=after.enter_context(front),
            queue=run(
                _VALKEY,
                "exec valkey-server --port 0 --tls-port 6379 --tls-auth-clients no --tls-cert-file /tmp/tls/public.crt "
                f"--tls-key-file /tmp/tls/private.key --requirepass {PASSWORD} --save ''",
                6379,
            ),
            storage=run(_MINIO, "exec minio server /tmp/data --certs-dir /tmp/tls", 9000, *root),
        )
        wait_for(lambda: "Error" not in str(made.asked()), what="all servers answer", within_s=90)
        yield made


def test_with_their_authority_all_servers_are_reached_over_tls(servers: Servers) -> None:
    told = servers.asked()
    assert told == {"database": True, "queue": True, "length": 0, "storage": [[None, None], "bytes"]}


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
