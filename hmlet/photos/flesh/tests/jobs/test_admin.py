"""The admin's pages of jobs."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="roots-password-1"))
    return client


def test_jobs_are_listed_with_state_attempts_and_error(admin: Client) -> None:
    job = Job.objects.create(kind="thumbnail", state="failed", attempts=3, error_code="image_truncated")
    page = admin.get("/admin/jobs/job/?state__exact=failed").content.decode()
    assert str(job.pk) in page
    assert "image_truncated" in page


def test_a_jobs_page_never_shows_its_payload(admin: Client, post: Any, api: Any) -> None:
    from gallery.models import Original

    photo = post().json()
    key = Original.objects.get().key
    api.delete(f"/api/v1/photos/{photo['id']}/")
    job = Job.objects.get(kind="purge")
    assert key in str(job.payload)
    for address in (f"/admin/jobs/job/{job.pk}/change/", "/admin/jobs/job/"):
        response = admin.get(address)
        assert response.status_code == 200
        assert key not in response.content.decode()


def test_jobs_cannot_be_edited_there(admin: Client) -> None:
    job = Job.objects.create(kind="thumbnail")
    assert admin.post(f"/admin/jobs/job/{job.pk}/change/", {"state": "done"}).status_code == 403
    assert admin.get("/admin/jobs/job/add/").status_code == 403
    assert admin.post(f"/admin/jobs/job/{job.pk}/delete/").status_code == 403
