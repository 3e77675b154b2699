"""What must not get in: each is refused with a status, a code and words that say what to do, and nothing is stored."""

from __future__ import annotations

import base64
import http.client
import io
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from uuid import uuid4

import pytest
import requests
from ht.api_clients.photos import Photo, PhotosApiClient
from ht.errors import ApiError, Conflict, HtError, Invalid, NotFound, PhotoFailed
from pl.stage import Stage

from hmlet.env_comm import HmletEnv
from hmlet.tests.accounts import Account, Accounts, access_token, delete_photos
from hmlet.tests.pictures import photo_bytes
from hmlet.tests.web import Web

IMAGE = photo_bytes(21)
NAME_MAX = 150


def one_colour_png(width: int, height: int) -> bytes:
    """A valid PNG of one bit a pixel, black: some kilobytes for any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


HUGE = one_colour_png(13_000, 13_000)


@pytest.fixture(scope="module")
def account(env: HmletEnv, stage: Stage, generated_names: list[str]) -> Iterator[Account]:
    """One user for all tests of this file, who never has a photo when one begins: making a user takes a second."""
    with Accounts(env, stage, generated_names) as made:
        yield made.new()


@pytest.fixture(autouse=True)
def _nothing_stored(photos_api_client: PhotosApiClient) -> Iterator[None]:
    """What was refused is not there afterwards; what was not refused the test deletes."""
    yield
    left = photos_api_client.photos.list(owner="me")
    delete_photos(photos_api_client)
    assert left == []


def refused(client: PhotosApiClient, photo: Photo) -> ApiError:
    with pytest.raises(ApiError) as caught:
        client.photos.create(photo)
    assert caught.value.request_id
    return caught.value


# Files


@pytest.mark.parametrize(
    ("content", "status", "code", "advice"),
    [
        pytest.param(b"these are words, not pixels\n" * 50, 400, "image_unreadable", "save it again", id="text"),
        pytest.param(b"", 400, "image_empty", "Choose the image again", id="empty"),
        pytest.param(bytes(20_000_000), 400, "image_unreadable", "save it again", id="20 MB of zeros"),
        pytest.param(HUGE, 400, "image_too_large", "Scale it down", id="13 000 by 13 000"),
        pytest.param(IMAGE[:3], 400, "image_unreadable", "save it again", id="three bytes of a JPEG"),
        pytest.param(b"%PDF-1.7\n" + IMAGE, 400, "image_format_refused", "JPEG, PNG", id="PDF"),
        pytest.param(b"<svg xmlns='x' onload='alert(1)'/>", 400, "image_format_refused", "JPEG, PNG", id="SVG"),
    ],
)
def test_a_file_that_is_no_usable_image_is_refused(
    photos_api_client: PhotosApiClient, content: bytes, status: int, code: str, advice: str
) -> None:
    error = refused(photos_api_client, Photo(name="bad", image=content))
    assert (error.status, error.code) == (status, code)
    assert advice in error.message
    assert error.field_errors["image"] == (error.message,)


def test_the_huge_image_is_small_on_the_wire() -> None:
    assert len(HUGE) < 40_000


def test_a_truncated_image_is_refused_or_fails_with_words_for_its_owner(photos_api_client: PhotosApiClient) -> None:
    photos = photos_api_client.photos
    photo = photos.create(Photo(name="cut off", image=IMAGE[:-2000]))
    with pytest.raises(PhotoFailed, match="Post it again") as caught:
        photos.wait_until_ready(photo)
    failure = caught.value.photo.failure
    assert failure is not None
    assert failure.code == "image_truncated"

    mended = photos.update(photo, image=IMAGE)
    assert photos.wait_until_ready(mended).failure is None
    photos.delete(photo)


def test_a_file_over_the_limit_is_refused_before_it_is_sent(env: HmletEnv, account: Account) -> None:
    kind = http.client.HTTPSConnection if env.scheme == "https" else http.client.HTTPConnection
    connection = kind(env.web_host, env.web_port, timeout=30)
    connection.putrequest("POST", "/api/v1/photos/")
    connection.putheader("Authorization", f"Bearer {access_token(env, account)}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(env.photo_max_bytes + 1024 * 1024))
    connection.endheaders()
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert (answer.status, told["code"]) == (413, "image_bytes_limit")
    assert "Scale it down" in told["message"]


# Names and captions


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        pytest.param("n" * (NAME_MAX + 1), f"{NAME_MAX} are allowed", id="too long"),
        pytest.param("n" * 5000, "1000 characters", id="far too long"),
        pytest.param("a\0b", "ull characters", id="NUL"),
        pytest.param("photo\u202egpj.exe", "Remove it", id="right-to-left override"),
        pytest.param("photo\u200fname", "Remove it", id="right-to-left mark"),
        pytest.param("two\nlines", "Remove it", id="line break"),
        pytest.param("   ", "blank", id="blank"),
    ],
)
def test_a_name_that_cannot_be_is_refused(photos_api_client: PhotosApiClient, name: str, advice: str) -> None:
    error = refused(photos_api_client, Photo(name=name, image=IMAGE))
    assert isinstance(error, Invalid)
    assert (error.status, error.code) == (400, "invalid")
    (reasons,) = error.field_errors.values()
    assert set(error.field_errors) == {"name"}
    assert advice in " ".join(reasons)


@pytest.mark.parametrize("name", ["n" * NAME_MAX, "שקיעה", "غروب", "日の出 🌅", "a/../b", "<b>", "%00", "'; --"])
def test_a_name_may_be_of_any_script_and_up_to_the_limit(photos_api_client: PhotosApiClient, name: str) -> None:
    photo = photos_api_client.photos.create(Photo(name=name, image=IMAGE))
    assert photos_api_client.photos.get(photo).name == name
    photos_api_client.photos.delete(photo)


@pytest.mark.parametrize("caption", ["c" * 2001, "a\0b"], ids=["too long", "NUL"])
def test_a_caption_that_cannot_be_is_refused(photos_api_client: PhotosApiClient, caption: str) -> None:
    error = refused(photos_api_client, Photo(name="photo", caption=caption, image=IMAGE))
    assert (error.status, set(error.field_errors)) == (400, {"caption"})


def test_a_second_photo_of_a_name_is_a_conflict(photos_api_client: PhotosApiClient) -> None:
    photo = photos_api_client.photos.create(Photo(name="taken", image=IMAGE))
    error = refused(photos_api_client, Photo(name="taken", image=photo_bytes(22)))
    assert isinstance(error, Conflict)
    assert (error.status, error.code) == (409, "name_taken")
    assert "Choose another name" in error.message
    assert [each.id for each in photos_api_client.photos.list(owner="me")] == [photo.id]
    photos_api_client.photos.delete(photo)


def test_renaming_to_a_name_that_is_taken_is_a_conflict(photos_api_client: PhotosApiClient) -> None:
    photos = photos_api_client.photos
    taken, other = (photos.create(Photo(name=name, image=IMAGE)) for name in ("taken", "other"))
    with pytest.raises(Conflict):
        photos.update(other, name="taken")
    assert {each.name for each in photos.list(owner="me")} == {"taken", "other"}
    for photo in (taken, other):
        photos.delete(photo)


@pytest.mark.parametrize("same_bytes", [True, False], ids=["of the same bytes", "of other bytes"])
def test_of_photos_of_one_name_posted_at_once_one_gets_it(photos_api_client: PhotosApiClient, same_bytes: bool) -> None:
    posts = 4
    images = [photo_bytes(30 if same_bytes else 30 + number) for number in range(posts)]
    together = threading.Barrier(posts)
    outcomes: list[Photo | HtError] = []

    def post(image: bytes) -> None:
        together.wait()
        try:
            outcomes.append(photos_api_client.photos.create(Photo(name="wanted", image=image)))
        except HtError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=post, args=(image,)) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    winners = [outcome for outcome in outcomes if isinstance(outcome, Photo)]
    losers = [outcome for outcome in outcomes if not isinstance(outcome, Photo)]
    assert len(winners) == 1, outcomes
    assert all(isinstance(loser, Conflict) and loser.code == "name_taken" for loser in losers), losers
    photo = photos_api_client.photos.wait_until_ready(winners[0])
    assert photos_api_client.photos.list(owner="me") == [photo]
    photos_api_client.photos.delete(photo)


# Requests that are not even wrong


def test_a_form_without_an_image_says_how_to_send_one(web: Web) -> None:
    answer = web.post("/api/v1/photos/", json={"name": "no image"})
    assert answer.status_code == 400
    assert "multipart form" in answer.json()["errors"]["image"][0]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b'"text"', "application/json"),
        (b"no boundary", "multipart/form-data"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"a=b", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused_in_json(web: Web, body: bytes, content_type: str) -> None:
    answer = web.post("/api/v1/photos/", data=body, headers={"Content-Type": content_type})
    assert answer.status_code in {400, 415}
    assert set(answer.json()) == {"code", "message", "errors", "request_id"}
    assert answer.json()["message"]


# Tokens


def tampered(token: str) -> dict[str, str]:
    """Ways to be somebody without the key, by name."""
    head, body, signature = token.split(".")

    def encoded(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    flipped = signature[:-5] + ("A" if signature[-5] != "A" else "B") + signature[-4:]
    return {
        "signature": f"{head}.{body}.{flipped}",
        "no signature": f"{head}.{body}.",
        "other user": f"{head}.{encoded({**claims, 'user_id': '1'})}.{signature}",
        "longer life": f"{head}.{encoded({**claims, 'exp': claims['exp'] + 86_400})}.{signature}",
        "no algorithm": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        "not a token": "nonsense",
    }


@pytest.mark.parametrize("way", list(tampered("e30.eyJleHAiOjB9.aaaaaaaa")))
def test_a_tampered_token_opens_nothing(env: HmletEnv, account: Account, anonymous_web: Web, way: str) -> None:
    token = tampered(access_token(env, account))[way]
    for method in ("GET", "POST"):
        answer = anonymous_web.request(method, "/api/v1/photos/", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "token_not_valid"
        assert answer.json()["message"]


EXPIRED = """
from datetime import timedelta
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken
token = AccessToken.for_user(User.objects.get(username={name!r}))
token.set_exp(lifetime=timedelta(seconds={life_s}))
print("\\n" + str(token))
"""


def test_a_token_works_until_it_expires(stage: Stage, account: Account, anonymous_web: Web) -> None:
    def answer(life_s: int) -> requests.Response:
        question = EXPIRED.format(name=account.name, life_s=life_s)
        token = stage.run_inside(["python", "manage.py", "shell", "--no-imports", "-c", question]).split()[-1]
        return anonymous_web.get("/api/v1/photos/", headers={"Authorization": f"Bearer {token}"})

    assert answer(60).status_code == 200
    expired = answer(-1)
    assert (expired.status_code, expired.json()["code"]) == (401, "token_not_valid")
    assert expired.json()["message"]


def test_a_wrong_password_gives_no_token(account: Account, anonymous_web: Web) -> None:
    answer = anonymous_web.post("/api/v1/token/", json={"username": account.name, "password": "wrong"})
    assert answer.status_code == 401
    assert answer.json()["message"]
    nobody = anonymous_web.post("/api/v1/token/", json={"username": "nobody-at-all", "password": "wrong"})
    assert nobody.status_code == 401
    assert nobody.json()["message"] == answer.json()["message"]


def test_who_guesses_is_kept_waiting_and_nobody_else_is(env: HmletEnv, account: Account, anonymous_web: Web) -> None:
    guess = {"username": f"nobody-{uuid4()}", "password": "wrong"}
    codes = [anonymous_web.post("/api/v1/token/", json=guess).status_code for _ in range(env.login_failures_max)]
    assert set(codes) == {401}
    # What a caller says of its address makes it no other.
    for forged in ({}, {"X-Forwarded-For": "192.0.2.1"}):
        refused = anonymous_web.post("/api/v1/token/", json=guess, headers=forged)
        assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
        assert 0 < int(refused.headers["Retry-After"]) <= env.login_window_s
    assert access_token(env, account)


# Photos of others


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_users_draft_is_not_there_for_any_method(
    photos_api_client: PhotosApiClient, env: HmletEnv, stranger_account: Account, anonymous_web: Web, method: str
) -> None:
    draft = photos_api_client.photos.create(Photo(name="draft", draft=True, image=IMAGE), wait_s=10)
    token = access_token(env, stranger_account)
    change = {"name": "mine", "caption": "", "draft": False}

    def asked(photo_id: object) -> requests.Response:
        return anonymous_web.request(
            method,
            f"/api/v1/photos/{photo_id}/",
            headers={"Authorization": f"Bearer {token}"},
            json=None if method in {"GET", "DELETE"} else change,
        )

    there, not_there = asked(draft.id), asked("00000000-0000-4000-8000-000000000000")
    assert there.status_code == not_there.status_code == 404
    assert {**there.json(), "request_id": ""} == {**not_there.json(), "request_id": ""}
    assert there.json()["code"] == "not_found"
    assert photos_api_client.photos.get(draft).name == "draft"
    photos_api_client.photos.delete(draft)


@pytest.mark.parametrize("photo_id", ["1", "x", "..", "%2e%2e", "00000000-0000-4000-8000-00000000000g", "null"])
def test_an_id_that_is_none_is_not_found(web: Web, photo_id: str) -> None:
    answer = web.get(f"/api/v1/photos/{photo_id}/")
    assert answer.status_code in {301, 404}


def test_a_deleted_photo_is_not_found(photos_api_client: PhotosApiClient) -> None:
    photo = photos_api_client.photos.create(Photo(name="brief", image=io.BytesIO(IMAGE)))
    photos_api_client.photos.delete(photo)
    with pytest.raises(NotFound):
        photos_api_client.photos.get(photo)
    with pytest.raises(NotFound):
        photos_api_client.photos.delete(photo)
