"""How much a user may store, through HTTP."""

import hashlib
from typing import Any

import pytest
from django.contrib.auth.models import User
from gallery.models import Original, Photo
from gallery.usage import usages_correct
from quotas.models import StorageUsage
from quotas.services import usage_of
from rest_framework.test import APIClient

from tests.images import encoded

URL = "/api/v1/photos/"
pytestmark = pytest.mark.django_db
SMALL, LARGE = encoded(20, 20), encoded(640, 480)


@pytest.fixture
def room_for_one(settings: Any) -> None:
    settings.PHOTO_QUOTA_BYTES = len(LARGE) + len(SMALL) - 1


def test_what_is_over_the_quota_is_refused_and_leaves_nothing(
    room_for_one: None, post: Any, buckets: Any, work_off: Any
) -> None:
    assert post(LARGE).status_code == 201
    response = post(SMALL)
    assert (response.status_code, response.json()["code"]) == (413, "quota_exceeded")
    assert "MB are free" in response.json()["errors"]["image"][0]
    work_off()
    assert Photo.objects.count() == Original.objects.count() == len(buckets["originals"].objects) == 1


def test_the_same_bytes_count_once(room_for_one: None, post: Any, owner: User) -> None:
    assert [post(LARGE).status_code for _ in range(3)] == [201] * 3
    assert usage_of(owner_id=owner.pk) == len(LARGE)


def test_others_have_a_quota_of_their_own(room_for_one: None, post: Any, strange_api: APIClient) -> None:
    assert post(LARGE).status_code == post(LARGE, client=strange_api).status_code == 201


def test_deleting_makes_room_when_the_bytes_are_gone(
    room_for_one: None, post: Any, api: APIClient, work_off: Any, owner: User
) -> None:
    photo = post(LARGE).json()
    api.delete(f"{URL}{photo['id']}/")
    work_off()
    assert usage_of(owner_id=owner.pk) == 0
    assert post(SMALL).status_code == 201


def test_an_upload_that_would_be_over_is_not_even_announced(room_for_one: None, post: Any, api: APIClient) -> None:
    def announce(content: bytes) -> Any:
        asked = {"bytes": len(content), "content_type": "image/png", "sha256": hashlib.sha256(content).hexdigest()}
        return api.post(f"{URL}uploads/", asked)

    assert announce(LARGE).status_code == 201
    assert announce(SMALL).json()["code"] == "quota_exceeded", "what is open counts"
    post(LARGE)
    assert announce(SMALL).json()["code"] == "quota_exceeded"


def test_no_quota_counts_nothing(settings: Any, post: Any) -> None:
    settings.PHOTO_QUOTA_BYTES = 0
    assert post(LARGE).status_code == 201
    assert not StorageUsage.objects.exists()


def test_what_drifted_is_counted_anew(post: Any, owner: User, stranger: User) -> None:
    post(LARGE)
    StorageUsage.objects.update(bytes=1)
    StorageUsage.objects.create(owner=stranger, bytes=5)
    assert usages_correct() == 2
    assert (usage_of(owner_id=owner.pk), usage_of(owner_id=stranger.pk)) == (len(LARGE), 0)
    assert usages_correct() == 0


def test_options_tell_quota_and_usage(room_for_one: None, post: Any, api: APIClient) -> None:
    post(LARGE)
    quota = api.options(URL).json()["limits"]["quota"]
    assert quota == {"bytes": len(LARGE) + len(SMALL) - 1, "used_bytes": len(LARGE)}


def test_a_post_asks_the_database_once_about_name_and_bytes(post: Any, django_assert_max_num_queries: Any) -> None:
    post()
    # Of these 3 are the begin and the end of the transaction and the savepoint's, on this database.
    with django_assert_max_num_queries(16):
        post(LARGE)
