"""Many changes at once, through HTTP."""

import hashlib
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.utils import timezone
from gallery.api import batch as batches
from gallery.api import batch_items
from gallery.models import Photo
from idempotency.models import KeyedRequest, KeyedStep
from rest_framework.test import APIClient
from uploads.models import DirectUpload

from tests.images import encoded

URL = "/api/v1/photos/batch/"
KEY = {"Idempotency-Key": "a-batch-of-things"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def uploaded(api: APIClient, buckets: Any) -> Any:
    """Uploads an image; gives the upload's id."""

    def upload(width: int = 64) -> str:
        content = encoded(width, 48)
        asked = {"bytes": len(content), "content_type": "image/png", "sha256": hashlib.sha256(content).hexdigest()}
        upload = str(api.post("/api/v1/photos/uploads/", asked).json()["id"])
        buckets["originals"].write(DirectUpload.objects.get(pk=upload).key, BytesIO(content), "image/png")
        return upload

    return upload


def _statuses(response: Any) -> list[int]:
    assert response.status_code == 207, response.json()
    return [result["status"] for result in response.json()["results"]]


def test_each_item_has_its_result_in_order(post: Any, api: APIClient, uploaded: Any) -> None:
    edited, shown, hidden, gone = (post(name=name, draft=str(name == "b").lower()).json()["id"] for name in "abcd")
    response = api.post(
        URL,
        {
            "items": [
                {"action": "create", "name": "new", "image": uploaded(), "caption": "#sea", "draft": True},
                {"action": "edit", "id": edited, "caption": "#sun"},
                {"action": "publish", "id": shown},
                {"action": "unpublish", "id": hidden},
                {"action": "delete", "id": gone},
            ]
        },
    )
    assert _statuses(response) == [201, 200, 200, 200, 204]
    results = response.json()["results"]
    assert [result["error"] for result in results] == [None] * 5
    new, *others = [result["photo"] for result in results]
    assert (new["name"], new["tags"], new["draft"], new["status"]) == ("new", ["sea"], True, "processing")
    assert [photo and (photo["id"], photo["tags"], photo["draft"]) for photo in others] == [
        (edited, ["sun"], False),
        (shown, [], False),
        (hidden, [], True),
        None,
    ]
    assert set(Photo.objects.values_list("name", flat=True)) == {"new", "a", "b", "c"}


def test_what_cannot_be_done_leaves_the_others_done(
    post: Any, api: APIClient, strange_api: APIClient, uploaded: Any, work_off: Any
) -> None:
    mine, draft = post(name="mine").json()["id"], post(name="draft", draft="true", client=strange_api).json()["id"]
    theirs = post(name="theirs", client=strange_api).json()["id"]
    work_off()
    used = uploaded()
    items: list[Any] = [
        {"action": "create", "name": "mine", "image": used},
        {"action": "create", "name": "one", "image": used},
        {"action": "create", "name": "two", "image": used},
        {"action": "create", "name": "three"},
        {"action": "create", "name": "", "image": used},
        {"action": "edit", "id": mine, "name": "x" * 151},
        {"action": "edit", "id": theirs, "name": "hers"},
        {"action": "delete", "id": draft},
        {"action": "delete", "id": "no-id"},
        {"action": "delete"},
        {"action": "explode", "id": mine},
        "nonsense",
        {"action": "edit", "id": mine, "caption": "done"},
    ]
    response = api.post(URL, {"items": items})
    assert _statuses(response) == [409, 201, 409, 400, 400, 400, 403, 404, 400, 400, 400, 400, 200]
    errors = [result["error"] for result in response.json()["results"]]
    assert [error and error["code"] for error in errors][:4] == ["name_taken", None, "upload_used", "invalid"]
    assert errors[3]["errors"]["image"]
    assert Photo.objects.get(pk=mine).caption == "done"


def test_an_item_is_done_whole_or_not_at_all(post: Any, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = post(name="a", caption="#old").json()["id"], post(name="b").json()["id"]
    from gallery import services

    write = services._tags_write

    def broken(photo: Photo, **options: Any) -> None:
        if photo.name == "broken":
            raise RuntimeError("a bug")
        write(photo, **options)

    monkeypatch.setattr(services, "_tags_write", broken)
    items = [{"action": "edit", "id": first, "name": "broken"}, {"action": "edit", "id": second, "name": "fine"}]
    response = api.post(URL, {"items": items})
    assert _statuses(response) == [500, 200]
    assert response.json()["results"][0]["error"]["code"] == "internal"
    assert set(Photo.objects.values_list("name", flat=True)) == {"a", "fine"}


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": {}}, {"items": [{}] * 1001}, [], "x", {"items": None}])
def test_what_is_no_batch_is_refused_whole(api: APIClient, body: Any) -> None:
    response = api.post(URL, body)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_a_batch_that_is_too_long_is_refused_before_it_is_read(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches.BatchParser, "bytes_max", 100)
    response = api.post(URL, {"items": [{"action": "x" * 100}]})
    assert (response.status_code, response.json()["code"]) == (413, "body_bytes_limit")


def test_a_thousand_items_are_taken(api: APIClient) -> None:
    assert set(_statuses(api.post(URL, {"items": [{"action": "delete"}] * 1000}))) == {400}


def test_what_there_is_no_time_for_is_said_so(post: Any, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = post(name="a").json()["id"]
    monkeypatch.setattr(batches, "WORK_S", -1.0)
    response = api.post(URL, {"items": [{"action": "delete", "id": photo}]})
    assert _statuses(response) == [503]
    assert response.json()["results"][0]["error"]["code"] == "batch_out_of_time"
    assert Photo.objects.exists()


def test_a_batch_sent_again_under_its_key_is_done_once(api: APIClient, uploaded: Any) -> None:
    items = [{"action": "create", "name": f"photo {n}", "image": uploaded(60 + n)} for n in range(3)]
    first = api.post(URL, {"items": items}, headers=KEY)
    again = api.post(URL, {"items": items}, headers=KEY)
    assert _statuses(first) == _statuses(again) == [201, 201, 201]
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Photo.objects.count() == 3
    other = api.post(URL, {"items": items[:1]}, headers=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_batch_that_died_half_way_is_gone_on_with(
    post: Any, api: APIClient, uploaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    gone = post(name="gone").json()["id"]
    items = [{"action": "create", "name": f"photo {n}", "image": uploaded(60 + n)} for n in range(3)]
    items.insert(1, {"action": "delete", "id": gone})
    asked = batch_items.change_asked

    def die_at_last(request: Any, item: Any) -> Any:
        if item == items[-1]:
            raise Killed
        return asked(request, item)

    with monkeypatch.context() as patched:
        patched.setattr(batches, "change_asked", die_at_last)
        patched.setattr("idempotency.api.key_release", lambda _: None)
        with pytest.raises(Killed):
            api.post(URL, {"items": items}, headers=KEY)
    assert (Photo.objects.count(), KeyedStep.objects.count()) == (2, 3)
    assert api.post(URL, {"items": items}, headers=KEY).json()["code"] == "idempotency_key_busy"
    KeyedRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    response = api.post(URL, {"items": items}, headers=KEY)
    assert _statuses(response) == [201, 204, 201, 201]
    assert [result["photo"] and result["photo"]["name"] for result in response.json()["results"]] == [
        "photo 0",
        None,
        "photo 1",
        "photo 2",
    ]
    assert Photo.objects.count() == 3


def test_one_who_lost_the_batch_to_another_does_no_more(
    api: APIClient, uploaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [{"action": "create", "name": f"photo {n}", "image": uploaded(60 + n)} for n in range(2)]
    asked = batch_items.change_asked

    def taken_over(request: Any, item: Any) -> Any:
        KeyedRequest.objects.update(attempt=2)
        return asked(request, item)

    monkeypatch.setattr(batches, "change_asked", taken_over)
    assert api.post(URL, {"items": items}, headers=KEY).json()["code"] == "idempotency_key_busy"
    assert not Photo.objects.exists()


def test_limits_are_told_by_options(api: APIClient) -> None:
    limits = api.options(URL).json()["limits"]
    assert (limits["items"], limits["image"]["bytes"], limits["name"]) == (1000, 100 * 1024 * 1024, {"characters": 150})
    assert api.options("/api/v1/photos/").json()["limits"]["image"]["decoded_pixels"] == 50_000_000
    assert api.options("/api/v1/photos/uploads/").json()["limits"]["in_parts_over_bytes"] == 64 * 1024 * 1024


def test_everything_needs_a_sign_in(client: Any) -> None:
    assert client.post(URL).status_code == 401
