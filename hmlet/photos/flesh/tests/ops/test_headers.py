"""What every answer tells browsers, and what hosts and proxies are believed."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

ADDRESSES = [
    "/docs/",
    "/admin/login/",
    "/api/v1/photos/",
    "/api/v1/schema/",
    "/static/admin/css/base.css",
    "/nowhere",
    "/healthz/live",
]
HTTPS = """
import json
from config import settings
print(json.dumps({name: getattr(settings, name) for name in dir(settings) if name.isupper()}, default=str))
"""


def directives(policy: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for words in (part.split() for part in policy.split(";")) if words}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ADDRESSES)
def test_every_answer_confines_what_a_browser_makes_of_it(client: Client, address: str) -> None:
    response = client.get(address)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = directives(response["Content-Security-Policy"])
    assert policy["default-src"] == ["'self'"]
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    # Scripts come from files of ours alone: no word on them but the default.
    assert not {"script-src", "script-src-elem"} & policy.keys()
    assert not any("unsafe-eval" in words or "*" in words for words in policy.values())


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "testserver@evil.example", "10.1.2.3"])
@pytest.mark.parametrize("address", ["/docs/", "/api/v1/photos/", "/admin/"])
def test_a_forged_host_is_refused_and_the_refusal_is_confined_as_well(client: Client, host: str, address: str) -> None:
    response = client.get(address, headers={"Host": host})
    assert response.status_code == 400
    assert "evil" not in response.content.decode()
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    if address.startswith("/api/"):
        assert response.json()["code"] == "bad_request"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-URL"])
def test_no_header_beside_it_stands_for_the_host(api: Any, name: str) -> None:
    answer = api.get("/api/v1/photos/?page_size=1", headers={name: "host=evil.example"})
    assert "evil" not in answer.content.decode()
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("forged", [False, True])
def test_http_is_never_said_to_be_https(client: Client, forged: bool, settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 60
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    response = client.get("/docs/", headers={"X-Forwarded-Proto": "https"} if forged else None)
    assert "Strict-Transport-Security" not in response


def test_behind_the_edge_https_stays_https(settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    settings.SECURE_HSTS_SECONDS = 60
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    response = Client().get("/docs/", headers={"X-Forwarded-Proto": "https"})
    assert response["Strict-Transport-Security"] == "max-age=60"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_and_hsts_follow_from_the_public_address(scheme: str) -> None:
    environ = {
        "PUBLIC_URL": f"{scheme}://photos.example",
        "DJANGO_SECRET_KEY": "x" * 50,
        "DATABASE_NAME": ":memory:",
        "REDIS_HOST": "redis",
        "REDIS_PASSWORD": "unused",
        "S3_ENDPOINT_URL": "http://s3",
        "S3_ACCESS_KEY": "unused",
        "S3_SECRET_KEY": "unused",
        "PATH": os.defpath,
    }
    told = subprocess.run([sys.executable, "-c", HTTPS], env=environ, capture_output=True, check=True).stdout
    settings = json.loads(told)
    encrypted = scheme == "https"
    assert settings["SESSION_COOKIE_SECURE"] is settings["CSRF_COOKIE_SECURE"] is encrypted
    assert (settings["SECURE_HSTS_SECONDS"] >= 31_536_000) is encrypted
    assert settings["SESSION_COOKIE_HTTPONLY"] is True
    assert "photos.example" in settings["ALLOWED_HOSTS"]
    assert "*" not in settings["ALLOWED_HOSTS"]
