"""Uploads that go straight to the bucket, through HTTP, with the bucket played by memory."""

import hashlib
import uuid
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from gallery.models import Original, Photo
from gallery.originals import ORPHAN_GRACE, objects_sweep
from jobs.models import Job
from rest_framework.test import APIClient
from uploads import services
from uploads.models import DirectUpload
from uploads.services import SWEEP_GRACE, uploads_sweep

from tests.images import encoded, png_bomb

URL = "/api/v1/photos/uploads/"
PHOTOS = "/api/v1/photos/"
pytestmark = pytest.mark.django_db

Announce = Callable[..., Any]
Put = Callable[..., None]


@pytest.fixture
def announce(api: APIClient) -> Announce:
    def send(content: bytes, **over: Any) -> Any:
        asked = {"bytes": len(content), "content_type": "image/png", "sha256": hashlib.sha256(content).hexdigest()}
        return api.post(URL, asked | over)

    return send


@pytest.fixture
def put(buckets: Any) -> Put:
    """What the storage does with a PUT to the upload's URL."""

    def write(upload_id: str, content: bytes) -> None:
        key = DirectUpload.objects.get(pk=upload_id).key
        buckets["originals"].write(key, BytesIO(content), "image/png")

    return write


@pytest.fixture
def put_parts(buckets: Any) -> Callable[..., None]:
    def write(upload_id: str, parts: dict[int, bytes]) -> None:
        upload = DirectUpload.objects.get(pk=upload_id)
        buckets["originals"].in_parts[upload.key, upload.multipart].update(parts)

    return write


@pytest.fixture
def in_parts(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything over 100 bytes goes in parts of 100."""
    settings.UPLOAD_PARTS_OVER_BYTES = 100
    monkeypatch.setattr(services, "PART_BYTES", 100)


def _pieces(content: bytes) -> dict[int, bytes]:
    return {number + 1: content[start : start + 100] for number, start in enumerate(range(0, len(content), 100))}


def test_an_upload_becomes_a_photo_like_any_other(
    announce: Announce, put: Put, api: APIClient, work_off: Any, buckets: Any
) -> None:
    content = encoded(640, 480)
    response = announce(content)
    upload = response.json()
    assert response.status_code == 201
    assert upload["put"]["bytes"] == len(content)
    assert set(upload["put"]["headers"]) == {"content-type", "x-amz-checksum-sha256"}
    assert "content-length;content-type;x-amz-checksum-sha256".replace(";", "%3B") in upload["put"]["url"]
    put(upload["id"], content)
    finalised = api.post(f"{URL}{upload['id']}/finalise/", {"name": "Dawn", "caption": "#sea", "draft": True})
    photo = finalised.json()
    assert finalised.status_code == 201
    assert finalised["Location"].endswith(f"{PHOTOS}{photo['id']}/")
    work_off()
    photo = api.get(f"{PHOTOS}{photo['id']}/").json()
    assert (photo["status"], photo["width"], photo["tags"], photo["draft"]) == ("ready", 640, ["sea"], True)
    original = Original.objects.get()
    assert {key: stored for key, (stored, *_) in buckets["originals"].objects.items()} == {original.key: content}
    assert original.key != DirectUpload.objects.get().key, "nobody was told where the original is"


def test_json_names_an_upload_as_the_image(announce: Announce, put: Put, api: APIClient, work_off: Any) -> None:
    first, second = encoded(64, 48), encoded(48, 64)
    uploads = [announce(content).json()["id"] for content in (first, second)]
    put(uploads[0], first)
    put(uploads[1], second)
    photo = api.post(PHOTOS, {"name": "Dawn", "image": uploads[0]})
    assert (photo.status_code, photo.json()["width"]) == (201, 64)
    changed = api.patch(f"{PHOTOS}{photo.json()['id']}/", {"image": uploads[1]})
    assert (changed.status_code, changed.json()["width"]) == (200, 48)
    again = api.post(PHOTOS, {"name": "Dusk", "image": uploads[0]})
    assert (again.status_code, again.json()["code"]) == (409, "upload_used")
    work_off()
    assert Photo.objects.count() == 1


def test_finalised_again_it_makes_no_second_photo(announce: Announce, put: Put, api: APIClient) -> None:
    content = encoded()
    upload = announce(content).json()["id"]
    put(upload, content)
    first = api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"})
    again = api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert Photo.objects.count() == 1
    assert api.get(f"{URL}{upload}/").json()["photo"] == first.json()["id"]
    assert api.get(f"{URL}{upload}/").json()["put"] is None


def test_one_who_finalises_at_the_same_time_gets_the_same_photo(
    announce: Announce, put: Put, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded()
    upload = announce(content).json()["id"]
    put(upload, content)
    from gallery import services as photos

    answers: list[Any] = []
    received = photos._received

    def late(image: Any) -> Any:
        if not answers:
            answers.append(None)
            answers[0] = api.post(f"{URL}{upload}/finalise/", {"name": "first"})
        return received(image)

    monkeypatch.setattr(photos, "_received", late)
    second = api.post(f"{URL}{upload}/finalise/", {"name": "second"})
    assert (answers[0].status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == answers[0].json()["id"]
    assert Photo.objects.count() == 1


def test_before_anything_arrived_it_cannot_be_finalised_and_stays(announce: Announce, put: Put, api: APIClient) -> None:
    content = encoded()
    upload = announce(content).json()["id"]
    response = api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"})
    assert (response.status_code, response.json()["code"]) == (409, "upload_incomplete")
    put(upload, content)
    assert api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"}).status_code == 201


def test_a_name_that_is_taken_leaves_the_upload_for_another(announce: Announce, put: Put, post: Any, api: Any) -> None:
    post(name="Dawn")
    content = encoded(30, 30)
    upload = announce(content).json()["id"]
    put(upload, content)
    assert api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"}).json()["code"] == "name_taken"
    assert api.post(f"{URL}{upload}/finalise/", {"name": "Dusk"}).status_code == 201


@pytest.mark.parametrize(
    ("announced", "arrived", "over", "code"),
    [
        (encoded(), encoded()[:-1] + b"x", {}, "upload_mismatch"),
        (encoded(), encoded()[:-1], {}, "upload_mismatch"),
        (encoded(), encoded() + b"x", {}, "upload_mismatch"),
        (encoded(), encoded(), {"content_type": "image/jpeg"}, "upload_mismatch"),
        (b"no image", b"no image", {}, "image_unreadable"),
        (png_bomb(), png_bomb(), {}, "image_too_large"),
    ],
    ids=["bytes", "shorter", "longer", "type", "no-image", "bomb"],
)
def test_what_is_not_what_was_announced_is_discarded(
    announce: Announce,
    put: Put,
    api: APIClient,
    work_off: Any,
    buckets: Any,
    announced: Any,
    arrived: Any,
    over: Any,
    code: str,
) -> None:
    upload = announce(announced, **over).json()["id"]
    put(upload, arrived)
    response = api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"})
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.json()["errors"]["image"]
    assert api.get(f"{URL}{upload}/").status_code == 404
    work_off()
    assert (Photo.objects.count(), Original.objects.count(), buckets["originals"].objects) == (0, 0, {})


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": -1}, "bytes"),
        ({"bytes": "many"}, "bytes"),
        ({"content_type": "text/html"}, "content_type"),
        ({"content_type": "image/svg+xml"}, "content_type"),
        ({"sha256": "00"}, "sha256"),
        ({"sha256": "z" * 64}, "sha256"),
    ],
)
def test_what_makes_no_upload_is_refused_before_it_is_sent(announce: Announce, over: Any, field: str) -> None:
    response = announce(encoded(), **over)
    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert not DirectUpload.objects.exists()


def test_too_many_bytes_are_refused_before_they_are_sent(announce: Announce, settings: Any) -> None:
    response = announce(encoded(), bytes=settings.PHOTO_MAX_BYTES + 1)
    assert (response.status_code, response.json()["code"]) == (413, "image_bytes_limit")


def test_no_more_uploads_are_open_at_once_than_may(announce: Announce, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "OPEN_MAX", 2)
    assert [announce(encoded()).status_code for _ in range(3)] == [201, 201, 409]


def test_anothers_upload_is_not_there(announce: Announce, strange_api: APIClient, put: Put) -> None:
    content = encoded()
    upload = announce(content).json()["id"]
    put(upload, content)
    for response in (
        strange_api.get(f"{URL}{upload}/"),
        strange_api.delete(f"{URL}{upload}/"),
        strange_api.post(f"{URL}{upload}/finalise/", {"name": "mine"}),
        strange_api.post(f"{URL}{upload}/parts/", {"parts": [{"number": 1, "sha256": "0" * 64}]}),
        strange_api.get(f"{URL}{uuid.uuid4()}/"),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    response = strange_api.post(PHOTOS, {"name": "mine", "image": upload})
    assert (response.status_code, list(response.json()["errors"])) == (400, ["image"])


def test_a_large_upload_goes_in_parts_and_can_be_gone_on_with(
    in_parts: None, announce: Announce, put_parts: Any, api: APIClient, work_off: Any
) -> None:
    content = encoded(200, 200)
    pieces = _pieces(content)
    upload = announce(content).json()
    address = f"{URL}{upload['id']}/"
    assert (upload["put"], upload["part_bytes"], upload["part_count"]) == (None, 100, len(pieces))
    wanted = [{"number": n, "sha256": hashlib.sha256(piece).hexdigest()} for n, piece in pieces.items()]
    signed = api.post(f"{address}parts/", {"parts": wanted}).json()["parts"]
    assert [(part["number"], part["bytes"]) for part in signed] == [(n, len(piece)) for n, piece in pieces.items()]
    assert all(f"partNumber={part['number']}" in part["url"] for part in signed)

    put_parts(upload["id"], {1: pieces[1], len(pieces): pieces[len(pieces)], 2: b"cut"})
    assert [part["number"] for part in api.get(address).json()["parts"]] == [1, len(pieces)]
    response = api.post(f"{address}finalise/", {"name": "Dawn"})
    assert (response.status_code, response.json()["code"]) == (409, "upload_incomplete")

    put_parts(upload["id"], pieces)
    assert api.post(f"{address}finalise/", {"name": "Dawn"}).status_code == 201
    work_off()
    assert Original.objects.get().sha256 == hashlib.sha256(content).hexdigest()


def test_parts_that_were_joined_by_an_attempt_that_died_are_finalised(
    in_parts: None, announce: Announce, put_parts: Any, api: APIClient, buckets: Any
) -> None:
    content = encoded(200, 200)
    upload = announce(content).json()["id"]
    put_parts(upload, _pieces(content))
    row = DirectUpload.objects.get()
    buckets["originals"].parts_join(row.key, row.multipart, buckets["originals"].parts_list(row.key, row.multipart))
    assert api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"}).status_code == 201


@pytest.mark.parametrize("number", [0, 10_000])
def test_parts_that_there_are_not_get_no_url(in_parts: None, announce: Announce, api: APIClient, number: int) -> None:
    upload = announce(encoded(200, 200)).json()["id"]
    response = api.post(f"{URL}{upload}/parts/", {"parts": [{"number": number, "sha256": "0" * 64}]})
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_an_upload_in_one_piece_has_no_parts(announce: Announce, api: APIClient) -> None:
    upload = announce(encoded()).json()["id"]
    response = api.post(f"{URL}{upload}/parts/", {"parts": [{"number": 1, "sha256": "0" * 64}]})
    assert (response.status_code, response.json()["code"]) == (409, "upload_in_one_piece")


def test_an_upload_that_is_given_up_leaves_nothing(
    in_parts: None, announce: Announce, put: Put, put_parts: Any, api: APIClient, buckets: Any, work_off: Any
) -> None:
    small, large = announce(b"x" * 10).json()["id"], announce(encoded(200, 200)).json()["id"]
    put(small, b"x" * 10)
    put_parts(large, {1: b"x" * 100})
    for upload in (small, large):
        assert api.delete(f"{URL}{upload}/").status_code == 204
        assert api.delete(f"{URL}{upload}/").status_code == 404
    work_off()
    assert (buckets["originals"].objects, buckets["originals"].in_parts) == ({}, {})


def test_what_was_not_finalised_in_time_is_swept_and_what_may_still_be_is_not(
    in_parts: None, announce: Announce, put: Put, put_parts: Any, api: APIClient, buckets: Any
) -> None:
    old, parts, fresh = (announce(b"x" * size).json()["id"] for size in (10, 5000, 20))
    put(old, b"x" * 10)
    put(fresh, b"x" * 20)
    put_parts(parts, {1: b"x" * 100})
    past = timezone.now() - SWEEP_GRACE - timedelta(seconds=1)
    DirectUpload.objects.exclude(pk=fresh).update(expires=past)
    assert api.get(f"{URL}{old}/").status_code == 404
    assert uploads_sweep() == 2
    bucket = buckets["originals"]
    assert (list(bucket.objects), bucket.in_parts) == ([DirectUpload.objects.get().key], {})
    then = timezone.now() - ORPHAN_GRACE - timedelta(minutes=1)
    bucket.objects = {key: (content, kind, then) for key, (content, kind, _) in bucket.objects.items()}
    assert objects_sweep() == 0, "it may still be finalised"
    DirectUpload.objects.all().delete()
    assert objects_sweep() == 1


def test_a_storage_that_is_away_is_said_so_and_loses_nothing(
    announce: Announce, put: Put, api: APIClient, buckets: Any
) -> None:
    content = encoded()
    upload = announce(content).json()["id"]
    put(upload, content)
    buckets["originals"].broken = True
    response = api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"})
    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
    buckets["originals"].broken = False
    assert api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"}).status_code == 201


def test_the_same_bytes_uploaded_and_posted_are_stored_once(
    announce: Announce, put: Put, post: Any, api: APIClient, buckets: Any, work_off: Any, owner: User
) -> None:
    content = encoded()
    post(content)
    upload = announce(content).json()["id"]
    put(upload, content)
    assert api.post(f"{URL}{upload}/finalise/", {"name": "Dawn"}).status_code == 201
    work_off()
    assert Photo.objects.filter(owner=owner).count() == 2
    assert list(buckets["originals"].objects) == [Original.objects.get().key]
    assert not Job.objects.filter(state="failed").exists()


def test_everything_needs_a_sign_in(client: Any, announce: Announce) -> None:
    upload = announce(encoded()).json()["id"]
    for address in (URL, f"{URL}{upload}/finalise/", f"{URL}{upload}/parts/"):
        assert client.post(address).status_code == 401
    assert client.get(f"{URL}{upload}/").status_code == 401
