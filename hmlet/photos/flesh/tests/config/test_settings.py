"""The settings, as a process of its own reads them from variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FLESH = Path(__file__).resolve().parents[2]


def _broker(**variables: str) -> str:
    environ = {
        "PATH": os.defpath,
        "PYTHONPATH": str(FLESH),
        "DJANGO_SECRET_KEY": "unit-tests-sign-with-this-and-nothing-else-does",
        "DATABASE_NAME": ":memory:",
        "PUBLIC_URL": "http://testserver",
        "REDIS_HOST": "queue",
        "REDIS_PASSWORD": "p/w",
        "S3_ENDPOINT_URL": "http://s3.invalid",
        "S3_ACCESS_KEY": "unused-access-key",
        "S3_SECRET_KEY": "unused-secret-key",
        **variables,
    }
    argv = [sys.executable, "-c", "from config import settings; print(settings.CELERY_BROKER_URL)"]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True, timeout=120).stdout.strip()


@pytest.mark.parametrize(
    ("tls", "address"),
    [
        ("0", "redis://:p%2Fw@queue:6379/0"),
        ("1", "rediss://:p%2Fw@queue:6379/0?ssl_cert_reqs=required&ssl_ca_certs={authority}"),
    ],
)
def test_the_queue_s_authority_is_asked_where_it_speaks_tls(tls: str, address: str, tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("of another service, too")
    asked = address.format(authority=str(authority).replace("/", "%2F"))
    assert _broker(REDIS_TLS=tls, REDIS_CA_PATH=str(authority)) == asked
