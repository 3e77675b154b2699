"""The admin's pages of jobs."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from jobs.models import Attempt, Job

pytestmark = pytest.mark.django_db
LIST = "/admin/jobs/job/"


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


def test_the_page_of_a_job_tells_its_past_with_reasons(admin: Client) -> None:
    now = timezone.now()
    job = Job.objects.create(kind="thumbnail", state="done", attempts=2, started=now, finished=now, name="cat.jpg")
    Attempt.objects.create(
        job=job, number=1, queued=now, started=now, ended=now, code="away", message="<b>The storage was away.</b>"
    )
    page = admin.get(f"/admin/jobs/job/{job.pk}/change/").content.decode()
    for told in ("queued", "failed: &lt;b&gt;The storage was away.", "(away)", "started, attempt 2", "done", "cat.jpg"):
        assert told in page


def test_the_list_costs_the_same_queries_whatever_its_length(admin: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(LIST).status_code == 200
        return len(captured)

    def seeded(count: int) -> None:
        for number in range(count):
            owner = User.objects.create_user(f"owner {User.objects.count()}")
            job = Job.objects.create(kind="thumbnail", owner=owner, state="failed", error_code="away")
            now = timezone.now()
            Attempt.objects.create(job=job, number=number, queued=now, ended=now, code="away", message="Away.")

    seeded(1)
    few = queries()
    seeded(8)
    assert queries() == few


@pytest.mark.parametrize(
    "query", ["q=maker", "state__exact=failed", "kind__exact=purge", "error_code=away", "owner__id__exact=1", "o=8"]
)
def test_the_list_can_be_searched_filtered_and_ordered(admin: Client, post: Any, query: str) -> None:
    post()
    assert admin.get(f"{LIST}?{query}").status_code == 200


def test_jobs_are_tried_again_and_cancelled_there_and_what_cannot_be_is_told(admin: Client, post: Any) -> None:
    post()
    waiting = Job.objects.get()
    done = Job.objects.create(kind="thumbnail", state="done")

    def act(action: str, *jobs: Job) -> str:
        form = {"action": action, "_selected_action": [str(job.pk) for job in jobs]}
        return str(admin.post(LIST, form, follow=True).content.decode())

    page = act("cancel", waiting, done)
    assert "1 cancelled." in page
    assert "cannot be cancelled" in page
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"
    assert "1 queued again." in act("retry", waiting)
    waiting.refresh_from_db()
    assert waiting.state == "queued"


def test_who_may_only_look_is_offered_no_action(db: None) -> None:
    looker = User.objects.create_user("looker", password="lookers-password-1", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_job"))
    client = Client()
    client.force_login(looker)
    job = Job.objects.create(kind="thumbnail", state="failed")
    client.post(LIST, {"action": "retry", "_selected_action": [str(job.pk)]})
    job.refresh_from_db()
    assert job.state == "failed"


def test_a_photos_page_tells_the_past_of_its_jobs(admin: Client, post: Any, work_off: Any) -> None:
    photo = post().json()
    work_off()
    page = admin.get(f"/admin/gallery/photo/{photo['id']}/change/").content.decode()
    assert f"/admin/jobs/job/{Job.objects.filter(kind='thumbnail').get().pk}/change/" in page
    for told in ("queued", "started", "done"):
        assert told in page
