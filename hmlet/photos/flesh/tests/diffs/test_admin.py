"""The admin's pages of comparisons."""

from collections.abc import Iterator
from typing import Any

import pytest
from diffs.models import Diff
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from imaging import confined_diff
from rest_framework.test import APIClient

from tests.images import encoded

pytestmark = pytest.mark.django_db
LIST = "/admin/diffs/diff/"


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    yield
    confined_diff._server.close()


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("chief", password="chiefs-password-1"))
    return client


@pytest.fixture
def make(api: APIClient, work_off: Any) -> Any:
    """Has two images compared."""

    def compare(*, width: int = 320, name: str = "old.png", **more: Any) -> Diff:
        images = [SimpleUploadedFile(name, encoded(width, 240)), SimpleUploadedFile("new.png", encoded(320, 240)[:])]
        api.post("/api/v1/diffs/", {"before": images[0], "after": images[1], **more}, format="multipart")
        work_off()
        return Diff.objects.latest("created")

    return compare


def test_a_comparisons_page_shows_the_picture_what_changed_and_the_job(make: Any, admin: Client, buckets: Any) -> None:
    made = make(width=200, alignment="pad")
    page = admin.get(f"{LIST}{made.pk}/change/").content.decode()
    assert f'<img src="https://s3.invalid/thumbnails/{made.picture_key}?signed"' in page
    assert "old.png (200×240)" in page
    assert f"/admin/jobs/job/{made.job_id}/change/" in page
    assert "of the pixels" in page
    assert "<td>" in page
    for key in buckets["originals"].objects:
        assert key.partition("/")[2][:20] not in page


def test_a_comparisons_page_tells_its_options_in_words(make: Any, admin: Client) -> None:
    made = make(ignore=["10,20,30,40", "0,0,5,6"], layout="blended", noise="tolerate")
    page = admin.get(f"{LIST}{made.pk}/change/").content.decode()
    for name, value in (("noise", "tolerate"), ("ignore", "30×40 at 10,20; 5×6 at 0,0"), ("picture side max", "2048")):
        assert f"<tr><td>{name}</td><td>{value}</td></tr>" in page


def test_a_failed_ones_page_says_why_and_shows_no_picture(make: Any, admin: Client) -> None:
    made = make(width=200)
    page = admin.get(f"{LIST}{made.pk}/change/").content.decode()
    assert "image_sizes_differ" in page
    assert "s3.invalid" not in page


def test_the_list_filters_and_searches_at_a_constant_number_of_queries(
    make: Any, admin: Client, django_assert_max_num_queries: Any
) -> None:
    done, failed = make(name="scan.png"), make(width=200)
    filters = {
        "state__exact=failed": {failed}, "changed=no": {done}, "changed=yes": set(), "keep__exact=1": set(),
        "q=scan": {done}, f"q={failed.pk}": {failed}, "q=maker": {done, failed},
    }  # fmt: skip
    for query, shown in filters.items():
        page = admin.get(f"{LIST}?{query}").content.decode()
        assert {each for each in (done, failed) if f"{LIST}{each.pk}/change/" in page} == shown, query
    for _ in range(3):
        make(width=200)
    with django_assert_max_num_queries(10):
        page = admin.get(LIST).content.decode()
    assert all(f"{LIST}{each.pk}/change/" in page for each in Diff.objects.all())


def test_deleting_goes_by_the_service(make: Any, admin: Client, buckets: Any, work_off: Any) -> None:
    made = make()
    assert admin.post(f"{LIST}{made.pk}/delete/", {"post": "yes"}).status_code == 302
    make()
    chosen = {"action": "delete_selected", "_selected_action": [str(Diff.objects.get().pk)], "post": "yes"}
    assert admin.post(LIST, chosen).status_code == 302
    work_off()
    assert not Diff.objects.exists()
    assert [bucket.objects for bucket in buckets.values()] == [{}, {}]


def test_nobody_adds_or_changes_one(make: Any, admin: Client) -> None:
    made = make()
    assert admin.get(f"{LIST}add/").status_code == 403
    assert admin.post(f"{LIST}{made.pk}/change/", {"state": "failed"}).status_code == 403
