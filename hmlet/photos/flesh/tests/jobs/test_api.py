"""The jobs API through HTTP: who sees what, pages, filters, trying again, cancelling, the thumbnail."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from gallery.models import Original
from jobs.models import Attempt, Job
from jobs.services import OUTAGE_MAX
from rest_framework.test import APIClient

from tests.conftest import client_of
from tests.images import encoded

pytestmark = pytest.mark.django_db
URL = "/api/v1/jobs/"


@pytest.fixture
def staff(db: None) -> APIClient:
    return client_of(User.objects.create_user("operator", password="operators-password-1", is_staff=True))


@pytest.fixture
def posted(api: APIClient) -> Callable[..., Any]:
    """Posts a photo as a file of this name; answers with its job."""

    def post(filename: str = "cat.jpg", content: bytes | None = None) -> Any:
        image = SimpleUploadedFile(filename, content or encoded(image_format="JPEG"))
        form = {"name": f"photo {uuid.uuid4()}", "image": image}
        assert api.post("/api/v1/photos/", form, format="multipart").status_code == 201
        return api.get(URL).json()["results"][0]

    return post


def seeded(owner: User | None, count: int, **fields: Any) -> list[Job]:
    """Jobs a minute apart, the newest first."""
    jobs = Job.objects.bulk_create(Job(owner=owner, **{"kind": "thumbnail", **fields}) for _ in range(count))
    for number, job in enumerate(jobs):
        job.created = timezone.now() - timedelta(minutes=number)
    Job.objects.bulk_update(jobs, ["created"])
    return jobs


def ids(answer: Any) -> list[str]:
    return [job["id"] for job in answer.json()["results"]]


def test_a_photos_job_tells_its_past_and_the_sizes_of_original_and_thumbnail(
    posted: Any, api: APIClient, work_off: Any
) -> None:
    content = encoded(640, 480, image_format="JPEG")
    job = posted("Katze Ü.jpg", content)
    assert (job["kind"], job["state"], job["name"], job["username"]) == ("thumbnail", "queued", "Katze Ü.jpg", "maker")
    assert job["original"] == {"path": "Katze Ü.jpg", "bytes": len(content), "width": 640, "height": 480}
    assert (job["thumbnail"], job["failure"], job["started"], job["finished"]) == (None, None, None, None)
    assert [event["event"] for event in job["timeline"]] == ["queued"]
    work_off()
    job = api.get(f"{URL}{job['id']}/").json()
    assert (job["state"], job["attempts"]) == ("done", 1)
    assert [event["event"] for event in job["timeline"]] == ["queued", "started", "done"]
    assert (job["thumbnail"]["width"], job["thumbnail"]["height"]) == (128, 96)
    assert job["thumbnail"]["bytes"] > 100
    assert job["thumbnail"]["path"] == f"http://testserver{URL}{job['id']}/thumbnail/"


def test_the_thumbnail_is_a_redirect_to_a_signed_url_under_the_submitted_name(
    posted: Any, api: APIClient, work_off: Any
) -> None:
    job = posted("cat.jpg")
    address = f"{URL}{job['id']}/thumbnail/"
    early = api.get(address)
    assert (early.status_code, early.json()["code"]) == (404, "no_thumbnail")
    work_off()
    answer = api.get(address)
    assert answer.status_code == 303
    assert answer["Location"].startswith("https://s3.invalid/thumbnails/")
    assert answer["Location"].endswith("as=thumb_cat.jpg")
    assert answer["Cache-Control"] == "no-store"


def test_after_its_photo_is_deleted_a_job_shows_no_picture(posted: Any, api: APIClient, work_off: Any) -> None:
    job = posted()
    work_off()
    photo = api.get("/api/v1/photos/").json()["results"][0]
    api.delete(f"/api/v1/photos/{photo['id']}/")
    work_off()
    job = api.get(f"{URL}{job['id']}/").json()
    assert (job["original"], job["thumbnail"], job["name"]) == (None, None, "cat.jpg")
    assert api.get(f"{URL}{job['id']}/thumbnail/").status_code == 404


def test_no_answer_holds_the_originals_key_or_the_payload(posted: Any, staff: APIClient, work_off: Any) -> None:
    posted()
    work_off()
    key = Original.objects.get().key
    Job.objects.update(payload={"originals": [key]})
    job = Job.objects.get(kind="thumbnail")
    texts = [staff.get(URL).content.decode(), staff.get(f"{URL}{job.pk}/").content.decode()]
    texts.append(staff.get(f"{URL}{job.pk}/thumbnail/")["Location"])
    assert not any(key in text or key.split("/")[1] in text or "originals" in text for text in texts)


def test_a_failed_job_says_why_and_whether_trying_again_can_help(posted: Any, api: APIClient, work_off: Any) -> None:
    job = posted(content=encoded(900, 700, image_format="JPEG")[:6000])
    work_off()
    job = api.get(f"{URL}{job['id']}/").json()
    assert (job["state"], job["attempts"]) == ("failed", 1)
    assert job["failure"]["code"] == "image_truncated"
    assert "cut off" in job["failure"]["message"]
    assert job["failure"]["retryable"] is False
    assert job["timeline"][-1]["code"] == "image_truncated"
    assert ids(api.get(f"{URL}?state=failed")) == [job["id"]]


def test_a_storage_that_does_not_come_back_fails_a_job_and_a_retry_works(
    posted: Any, api: APIClient, work_off: Any, buckets: Any
) -> None:
    job = posted()
    buckets["originals"].broken = True
    Job.objects.update(created=timezone.now() - OUTAGE_MAX)
    work_off()
    job = api.get(f"{URL}{job['id']}/").json()
    assert (job["state"], job["attempts"], job["failure"]["retryable"]) == ("failed", 3, True)
    buckets["originals"].broken = False
    answer = api.post(f"{URL}{job['id']}/retry/")
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    work_off()
    job = api.get(f"{URL}{job['id']}/").json()
    assert job["state"] == "done"
    assert [event["event"] for event in job["timeline"]] == ["queued", "started", "failed"] * 3 + [
        "queued",
        "started",
        "done",
    ]
    assert api.get("/api/v1/photos/").json()["results"][0]["status"] == "ready"


def test_a_cancelled_job_leaves_the_photo_with_its_reason_and_a_retry_makes_it_ready(
    posted: Any, api: APIClient, work_off: Any, buckets: Any
) -> None:
    job = posted()
    answer = api.post(f"{URL}{job['id']}/cancel/")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    photo = api.get("/api/v1/photos/").json()["results"][0]
    assert (photo["status"], photo["failure"]["code"]) == ("failed", "cancelled")
    assert work_off() == 0
    assert buckets["thumbnails"].objects == {}
    assert api.post(f"{URL}{job['id']}/retry/").status_code == 200
    photo = api.get("/api/v1/photos/").json()["results"][0]
    assert (photo["status"], photo["failure"]) == ("processing", None)
    work_off()
    assert api.get("/api/v1/photos/").json()["results"][0]["status"] == "ready"


def test_a_photo_that_fails_again_tells_the_reason_of_the_last_time(posted: Any, api: APIClient, work_off: Any) -> None:
    job = posted(content=encoded(900, 700, image_format="JPEG")[:6000])
    api.post(f"{URL}{job['id']}/cancel/")
    api.post(f"{URL}{job['id']}/retry/")
    work_off()
    photo = api.get("/api/v1/photos/").json()["results"][0]
    assert (photo["status"], photo["failure"]["code"]) == ("failed", "image_truncated")


@pytest.mark.parametrize(("what", "code"), [("retry", "job_not_retryable"), ("cancel", "job_not_cancellable")])
def test_what_is_done_is_neither_tried_again_nor_cancelled(
    posted: Any, api: APIClient, work_off: Any, what: str, code: str
) -> None:
    job = posted()
    work_off()
    answer = api.post(f"{URL}{job['id']}/{what}/")
    assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_others_jobs_are_not_there(posted: Any, strange_api: APIClient, work_off: Any) -> None:
    job = posted()
    work_off()
    assert ids(strange_api.get(URL)) == []
    assert ids(strange_api.get(f"{URL}?owner=maker")) == []
    address = f"{URL}{job['id']}/"
    answers = [strange_api.get(address), strange_api.get(f"{address}thumbnail/")]
    answers += [strange_api.post(f"{address}retry/"), strange_api.post(f"{address}cancel/")]
    missing = strange_api.get(f"{URL}{uuid.uuid4()}/").json()
    for answer in answers:
        assert answer.status_code == 404
        assert {**answer.json(), "request_id": ""} == {**missing, "request_id": ""}


def test_nobody_sees_no_job(posted: Any) -> None:
    address = f"{URL}{posted()['id']}/"
    nobody = APIClient()
    answers = [nobody.get(URL), nobody.get(address), nobody.get(f"{address}thumbnail/")]
    answers += [nobody.post(f"{address}retry/"), nobody.post(f"{address}cancel/")]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.json()["code"] for answer in answers} == {"not_authenticated"}


def test_staff_sees_all_jobs_and_acts_on_them(posted: Any, staff: APIClient, owner: User) -> None:
    job = posted()
    purge = seeded(None, 1, kind="purge")[0]
    assert set(ids(staff.get(URL))) == {job["id"], str(purge.pk)}
    assert ids(staff.get(f"{URL}?owner=maker")) == [job["id"]]
    assert ids(staff.get(f"{URL}?owner=me")) == []
    assert staff.post(f"{URL}{job['id']}/cancel/").json()["state"] == "cancelled"
    assert staff.post(f"{URL}{purge.pk}/cancel/").json()["code"] == "job_not_cancellable"


def test_pages_are_newest_first_and_lead_both_ways(api: APIClient, owner: User) -> None:
    wanted = [str(job.pk) for job in seeded(owner, 7)]
    Job.objects.filter(pk__in=wanted[2:5]).update(created=timezone.now() - timedelta(minutes=3, seconds=30))
    wanted = [str(job.pk) for job in Job.objects.order_by("-created", "-id")]
    read: list[str] = []
    address: str | None = f"{URL}?page_size=2"
    pages = []
    while address:
        answer = api.get(address)
        pages.append(ids(answer))
        read += ids(answer)
        address = answer.json()["next"]
    assert read == wanted
    assert ids(api.get(answer.json()["previous"])) == pages[-2]


@pytest.mark.parametrize(
    "query",
    [
        *("state=lost", "kind=coffee", "created_after=yesterday", "page_size=0", "page_size=1000000000"),
        *("cursor=x", "cursor=W251bGwsICJhIiwgMV0", "page_size=two"),
    ],
)
def test_queries_that_make_no_sense_are_refused_by_name(api: APIClient, query: str) -> None:
    answer = api.get(f"{URL}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["errors"]) == [query.split("=")[0]]


def test_filters_narrow_by_state_kind_and_time(api: APIClient, owner: User) -> None:
    done, failed = seeded(owner, 1, state="done")[0], seeded(owner, 1, state="failed", kind="file_thumbnail")[0]
    old = seeded(owner, 1)[0]
    Job.objects.filter(pk=old.pk).update(created=timezone.now() - timedelta(days=2))
    yesterday = (timezone.now() - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert ids(api.get(f"{URL}?state=done")) == [str(done.pk)]
    assert ids(api.get(f"{URL}?kind=file_thumbnail")) == [str(failed.pk)]
    assert ids(api.get(f"{URL}?created_before={yesterday}")) == [str(old.pk)]
    assert set(ids(api.get(f"{URL}?created_after={yesterday}"))) == {str(done.pk), str(failed.pk)}
    assert ids(api.get(f"{URL}?state=done&kind=file_thumbnail")) == []


def test_a_page_costs_the_same_queries_whatever_its_length_and_none_of_them_counts(
    posted: Any, api: APIClient, work_off: Any
) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert api.get(URL).status_code == 200
        return [query["sql"] for query in captured]

    posted(content=encoded(10, 10))
    work_off()
    few = queries()
    for side in range(11, 18):
        posted(content=encoded(side, side))
    work_off()
    for job in Job.objects.all():
        Attempt.objects.create(job=job, number=1, queued=job.created, ended=job.created, code="away", message="Away.")
    many = queries()
    assert len(many) == len(few) == 5  # who asks; jobs with owners, their past; originals, renditions
    assert not any("COUNT(" in sql or "OFFSET" in sql for sql in many)
