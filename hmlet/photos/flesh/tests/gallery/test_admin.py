"""The admin's pages of photos: thumbnails shown, originals never."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from gallery.models import Original, Photo

from tests.images import encoded

pytestmark = pytest.mark.django_db
LIST = "/admin/gallery/photo/"


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="roots-password-1"))
    return client


def test_the_list_shows_thumbnails_and_states(admin: Client, post: Any, work_off: Any) -> None:
    post(name="Dawn")
    work_off()
    post(encoded(30, 30), name="Dusk")
    page = admin.get(LIST).content.decode()
    assert '<img src="https://s3.invalid/thumbnails/' in page
    assert "Ready" in page
    assert "Processing" in page


def test_no_page_holds_the_originals_key_or_a_file_field(admin: Client, post: Any, work_off: Any) -> None:
    post()
    work_off()
    key = Original.objects.get().key
    for address in (LIST, f"{LIST}{Photo.objects.get().pk}/change/", f"{LIST}{Photo.objects.get().pk}/delete/"):
        response = admin.get(address)
        assert response.status_code == 200
        page = response.content.decode()
        assert key not in page
        assert 'type="file"' not in page
        assert "/originals/" not in page


def test_the_list_costs_the_same_queries_whatever_its_length(
    admin: Client, post: Any, work_off: Any, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin.get(LIST).status_code == 200
        return len(captured)

    post(encoded(10, 10))
    work_off()
    few = queries()
    for side in range(11, 18):
        post(encoded(side, side))
    work_off()
    assert queries() == few


@pytest.mark.parametrize(
    "query", ["q=maker", "original__state__exact=ready", "draft__exact=1", "owner__id__exact=1", "o=4"]
)
def test_the_list_can_be_searched_filtered_and_ordered(admin: Client, post: Any, query: str) -> None:
    post()
    assert admin.get(f"{LIST}?{query}").status_code == 200


def test_deleting_there_deletes_the_objects(admin: Client, post: Any, work_off: Any, buckets: Any) -> None:
    post()
    post(encoded(20, 20))
    post(encoded(30, 30))
    work_off()
    one, *others = [str(pk) for pk in Photo.objects.values_list("pk", flat=True)]
    assert admin.post(f"{LIST}{one}/delete/", {"post": "yes"}).status_code == 302
    form = {"action": "delete_selected", "_selected_action": others, "post": "yes"}
    assert admin.post(LIST, form).status_code == 302
    work_off()
    assert not Photo.objects.exists()
    assert (buckets["originals"].objects, buckets["thumbnails"].objects) == ({}, {})


def test_photos_are_not_made_there(admin: Client) -> None:
    assert admin.get(f"{LIST}add/").status_code == 403
