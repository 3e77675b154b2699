from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from ht.api_clients.photos import Failure, Image, Photo, PhotosApiClient
from ht.errors import (
    AnswerNotUnderstood,
    Forbidden,
    Invalid,
    NotFound,
    NoThumbnail,
    NotSignedIn,
    PhotoFailed,
    Unsendable,
    WaitTimedOut,
)

if TYPE_CHECKING:
    from conftest import Api, FakeClock, Received

PhotoJson = Callable[..., dict[str, object]]


def form(received: Received) -> dict[str, bytes]:
    """The parts of a multipart request by field name, as the standard library reads them."""
    head = f"Content-Type: {received.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + received.body)
    return {
        str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True))
        for part in message.iter_parts()
    }


@contextmanager
def piped(content: bytes) -> Iterator[IO[bytes]]:
    """The reading end of a pipe into which a thread writes ``content``."""

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(write_end, "wb") as sink:
            sink.write(content)

    read_end, write_end = os.pipe()
    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(read_end, "rb") as source:
        yield source
    writer.join()


def test_get_reads_every_field(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    thumbnails = {"128": {"jpeg": "http://s3/a.jpg", "webp": "http://s3/a.webp", "width": 128}}
    api.script(api.answer(photo_json(thumbnail="http://s3/a.jpg", thumbnails=thumbnails, brand_new_field=[1])))
    photo = client.photos.get(7)
    assert photo == Photo(
        id=7,
        name="Sunrise",
        caption="#alps",
        width=640,
        height=480,
        username="ann",
        publish_date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        status="ready",
        tags=("alps",),
    )
    assert photo.thumbnails == {"128": {"jpeg": "http://s3/a.jpg", "webp": "http://s3/a.webp"}}
    assert photo.thumbnail == "http://s3/a.jpg"
    assert "http://s3" not in repr(photo)
    assert api.received[0].path == "/api/v1/photos/7/"


def test_a_photo_is_hashable(photo_json: PhotoJson) -> None:
    photo = Photo.from_json(photo_json(thumbnails={"128": {"jpeg": "u"}}))  # type: ignore[arg-type]
    assert {photo, replace(photo)} == {photo}


def test_a_draft_has_no_publish_date(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json(draft=True, publish_date=None, status="processing", width=None, height=None)))
    photo = client.photos.get(7)
    assert (photo.publish_date, photo.width, photo.status) == (None, None, "processing")


@pytest.mark.parametrize("missing", ["id", "name", "draft", "username", "status"])
def test_an_answer_without_a_required_field_is_not_understood(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson, missing: str
) -> None:
    answer = photo_json()
    del answer[missing]
    api.script(api.answer(answer))
    with pytest.raises(AnswerNotUnderstood, match=f"'{missing}' is missing"):
        client.photos.get(7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": None},
        {"id": True},
        {"name": 5},
        {"draft": "false"},
        {"width": "640"},
        {"publish_date": "yesterday"},
        {"publish_date": "2026-01-02T03:04:05"},
        {"tags": "alps"},
        {"tags": [1]},
        {"thumbnails": []},
    ],
)
def test_an_answer_with_a_field_of_another_type_is_not_understood(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson, wrong: dict[str, object]
) -> None:
    api.script(api.answer(photo_json(**wrong)))
    with pytest.raises(AnswerNotUnderstood, match=next(iter(wrong))):
        client.photos.get(7)


def test_list_follows_all_pages(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    following = f"{api.url}/api/v1/photos/?cursor=a%3D%3D&draft=true"
    api.script(
        api.answer({"next": following, "previous": None, "results": [photo_json(id=1), photo_json(id=2)]}),
        api.answer({"next": None, "previous": None, "results": [photo_json(id=3)]}),
    )
    photos = client.photos.list(search="an", owner="me", draft=True, tag="alps", ordering="-publish_date")
    assert [photo.id for photo in photos] == [1, 2, 3]
    assert api.received[0].query == {
        "search": "an",
        "owner": "me",
        "draft": "true",
        "tag": "alps",
        "ordering": "-publish_date",
    }
    assert api.received[1].query == {"cursor": "a==", "draft": "true"}
    assert api.connections == 1


def test_iterate_asks_for_a_page_when_it_is_needed(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer({"next": "?cursor=b", "previous": None, "results": [photo_json(id=1)]}))
    assert next(client.photos.iterate()).id == 1
    assert api.received[0].query == {}


def test_a_next_link_elsewhere_is_followed_at_base_url(
    api: Api, elsewhere: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    api.script(
        api.answer({"next": f"{elsewhere.url}/steal/?cursor=b", "previous": None, "results": []}),
        api.answer({"next": None, "previous": None, "results": [photo_json()]}),
    )
    assert len(client.photos.list()) == 1
    assert api.received[1].path == "/api/v1/photos/"
    assert api.received[1].query == {"cursor": "b"}
    assert elsewhere.connections == 0


def test_pages_in_a_circle_end(api: Api, client: PhotosApiClient) -> None:
    page: dict[str, object] = {"next": "?cursor=b", "previous": None, "results": []}
    api.script(api.answer(page), api.answer(page))
    with pytest.raises(AnswerNotUnderstood, match="already given"):
        client.photos.list()


def test_a_page_without_results_is_not_understood(api: Api, client: PhotosApiClient) -> None:
    api.script(api.answer({"next": None}))
    with pytest.raises(AnswerNotUnderstood, match="results"):
        client.photos.list()


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "file", "pipe"])
def test_create_sends_the_image_from(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson, tmp_path: Path, kind: str
) -> None:
    content = os.urandom(200_000)
    path = tmp_path / "sunrise.png"
    path.write_bytes(content)
    api.script(api.answer(photo_json(status="processing"), status=201))
    with path.open("rb") as file, piped(content) as pipe:
        images: dict[str, Image] = {"path": path, "str": str(path), "bytes": content, "file": file, "pipe": pipe}
        photo = client.photos.create(Photo(name="Sün\r\nrise", draft=True, caption="#alps", image=images[kind]))
        assert not file.closed
    assert photo.status == "processing"
    assert form(api.received[0]) == {
        "name": "Sün\r\nrise".encode(),
        "caption": b"#alps",
        "draft": b"true",
        "image": content,
    }
    assert "Prefer" not in api.received[0].headers


def test_create_can_wait_for_the_thumbnail(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json(), status=201))
    client.photos.create(Photo(name="Sunrise", image=b"x"), wait_s=5)
    assert api.received[0].headers["Prefer"] == "wait=5"


def test_a_wait_that_the_server_would_refuse_is_refused(client: PhotosApiClient) -> None:
    with pytest.raises(ValueError, match="from 0 to 10"):
        client.photos.create(Photo(name="Sunrise", image=b"x"), wait_s=11)


def test_create_tells_its_progress(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json(), status=201))
    calls: list[tuple[int, int]] = []
    client.photos.create(
        Photo(name="Sunrise", image=bytes(300_000)), progress=lambda sent, total: calls.append((sent, total))
    )
    total = int(api.received[0].headers["Content-Length"])
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)
    assert len(calls) > 3


def test_a_progress_that_raises_ends_the_upload(api: Api, client: PhotosApiClient) -> None:
    def cancel(_sent: int, _total: int) -> None:
        raise KeyboardInterrupt

    api.script(api.drop_before_body)
    with pytest.raises(KeyboardInterrupt):
        client.photos.create(Photo(name="Sunrise", image=b"x"), progress=cancel)
    assert api.step_taken.wait(10)


@pytest.mark.parametrize(
    "image", [None, "missing.png", ".", "a\0b", io.StringIO("text"), "closed"], ids=lambda image: repr(image)[:12]
)
def test_an_image_that_cannot_be_read_is_refused_before_anything_is_sent(
    api: Api, client: PhotosApiClient, image: str | None
) -> None:
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(Unsendable):
        client.photos.create(Photo(name="Sunrise", image=closed if image == "closed" else image))
    assert api.connections == 0


def test_text_that_is_not_unicode_is_refused_before_anything_is_sent(api: Api, client: PhotosApiClient) -> None:
    with pytest.raises(Unsendable, match="Unicode"):
        client.photos.create(Photo(name="\udcff", image=b"x"))
    assert api.connections == 0


def test_update_sends_what_is_given(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json(caption="")))
    assert client.photos.update(7, caption="", draft=False).caption == ""
    assert (api.received[0].method, api.received[0].path) == ("PATCH", "/api/v1/photos/7/")
    assert api.received[0].json == {"caption": "", "draft": False}


def test_update_with_a_changed_photo_sends_its_fields(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json()))
    client.photos.update(replace(Photo.from_json(photo_json()), name="Dawn"))  # type: ignore[arg-type]
    assert api.received[0].json == {"name": "Dawn", "caption": "#alps", "draft": False}


def test_update_can_bring_another_image(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json()))
    client.photos.update(7, image=b"new")
    assert form(api.received[0]) == {"image": b"new"}


def test_update_of_an_id_without_changes_is_a_mistake(client: PhotosApiClient) -> None:
    with pytest.raises(ValueError, match="something to change"):
        client.photos.update(7)


def test_delete_takes_a_photo_or_an_id(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(status=204), api.answer(status=204))
    client.photos.delete(Photo.from_json(photo_json()))  # type: ignore[arg-type]
    client.photos.delete("a/b")
    assert [received.path for received in api.received] == ["/api/v1/photos/7/", "/api/v1/photos/a%2Fb/"]


@pytest.mark.parametrize("photo", [Photo(name="new"), "", ".."])
def test_delete_without_an_id_sends_nothing(api: Api, client: PhotosApiClient, photo: Photo | str) -> None:
    with pytest.raises(ValueError, match="no id"):
        client.photos.delete(photo)
    assert api.connections == 0


def test_delete_of_what_is_not_there_says_so(api: Api, client: PhotosApiClient) -> None:
    api.script(api.error(404, "not_found"))
    with pytest.raises(NotFound):
        client.photos.delete(7)


def test_wait_until_ready_asks_until_it_is(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson
) -> None:
    processing = api.answer(photo_json(status="processing"))
    api.script(processing, processing, api.answer(photo_json()))
    assert client.photos.wait_until_ready(7).status == "ready"
    assert clock.pauses_s == [0.1, pytest.approx(0.15)]


def test_wait_until_ready_tells_a_failure(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    failure = {"code": "image_truncated", "message": "The file ends too early."}
    api.script(api.answer(photo_json(status="failed", failure=failure)))
    with pytest.raises(PhotoFailed, match="ends too early") as caught:
        client.photos.wait_until_ready(7)
    assert caught.value.photo.id == 7
    assert caught.value.photo.failure == Failure(code="image_truncated", message="The file ends too early.")


def test_wait_until_ready_ends_in_time(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson
) -> None:
    api.script(*[api.answer(photo_json(status="processing"))] * 4)
    with pytest.raises(WaitTimedOut, match=r"still processing after 0\.3 s"):
        client.photos.wait_until_ready(7, timeout_s=0.3)
    assert sum(clock.pauses_s) == pytest.approx(0.3)


def test_a_thumbnail_is_fetched_without_the_token(
    api: Api, elsewhere: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    url = f"{elsewhere.url}/bucket/a.jpg?X-Amz-Signature=s%2F1"
    api.script(api.answer(photo_json(thumbnails={"128": {"jpeg": url}})))
    elsewhere.script(elsewhere.raw(b"\xff\xd8", headers={"Set-Cookie": "a=b"}))
    assert client.photos.download_thumbnail(7) == b"\xff\xd8"
    fetched = elsewhere.received[0]
    assert fetched.query == {"X-Amz-Signature": "s/1"}
    assert "Authorization" not in fetched.headers


def test_an_expired_thumbnail_url_is_renewed_once(
    api: Api, elsewhere: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    old = Photo.from_json(photo_json(thumbnail=f"{elsewhere.url}/old"))  # type: ignore[arg-type]
    api.script(api.answer(photo_json(thumbnail=f"{elsewhere.url}/new")))
    elsewhere.script(elsewhere.raw(b"<Error/>", status=403), elsewhere.raw(b"jpeg"))
    assert client.photos.download_thumbnail(old) == b"jpeg"
    assert [received.path for received in elsewhere.received] == ["/old", "/new"]


def test_a_refused_thumbnail_does_not_show_its_signature(
    api: Api, elsewhere: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    api.script(api.answer(photo_json(thumbnail=f"{elsewhere.url}/a?Signature=abc")))
    elsewhere.script(elsewhere.raw(b"<Error/>", status=403))
    with pytest.raises(Forbidden) as caught:
        client.photos.download_thumbnail(7)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://example.invalid/a", "file:///etc/passwd", "http://[", "http://a b/"])
def test_a_thumbnail_url_that_is_none_is_not_understood(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson, url: str
) -> None:
    api.script(api.answer(photo_json(thumbnail=url)))
    with pytest.raises(AnswerNotUnderstood):
        client.photos.download_thumbnail(7)


def test_a_thumbnail_that_is_not_there_is_told(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    photo = Photo.from_json(photo_json(thumbnails={"128": {"jpeg": "u"}}))  # type: ignore[arg-type]
    with pytest.raises(NoThumbnail, match=r"it has: 128 \(jpeg\)"):
        client.photos.download_thumbnail(photo, "1440")
    with pytest.raises(NoThumbnail):
        client.photos.download_thumbnail(photo, image_format="webp")
    assert api.connections == 0


def test_a_field_error_is_in_the_exception_and_its_message(api: Api, client: PhotosApiClient) -> None:
    payload = {
        "code": "invalid",
        "message": "Correct the fields.",
        "errors": {"name": ["Is taken.", "Is long."]},
        "request_id": "r-9",
    }
    api.script(api.answer(payload, status=400))
    with pytest.raises(Invalid) as caught:
        client.photos.create(Photo(name="Sunrise", image=b"x"))
    error = caught.value
    assert (error.status, error.code, error.request_id) == (400, "invalid", "r-9")
    assert error.field_errors == {"name": ("Is taken.", "Is long.")}
    assert str(error) == "Correct the fields. name: Is taken. Is long. (HTTP 400, invalid, request r-9)"


def test_without_credentials_requests_are_anonymous(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_json: PhotoJson
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password leaked\n")
    monkeypatch.setenv("NETRC", str(netrc))
    api.script(api.answer(photo_json()), api.error(401, "not_authenticated"))
    with PhotosApiClient(api.url) as client:
        client.photos.get(7)
        with pytest.raises(NotSignedIn, match="give the client a username"):
            client.photos.get(8)
    assert "Authorization" not in api.received[0].headers
    assert not api.token_requests


@pytest.mark.parametrize(
    ("base_url", "reason"),
    [
        ("localhost:8000", "base_url is"),
        ("ftp://localhost", "base_url is"),
        ("http://ann:secret@localhost", "username or password"),
        ("http://localhost/?a=b", "neither query"),
    ],
)
def test_a_base_url_that_cannot_be_is_refused(base_url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        PhotosApiClient(base_url)
    assert "secret" not in str(caught.value)


def test_the_package_needs_requests_alone() -> None:
    code = "import sys, ht.api_clients.photos; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    top_level = {name.partition(".")[0] for name in result.stdout.split()}
    assert not top_level & {"pl", "django", "rest_framework", "boto3", "PIL", "celery"}
