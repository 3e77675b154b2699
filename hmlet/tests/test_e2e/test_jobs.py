"""Jobs and thumbnails alone through the client and, where it hides something, plain HTTP: owner, stranger, nobody."""

from __future__ import annotations

import io
from urllib.parse import urlsplit

import pytest
import requests
from ht.api_clients.jobs import Job
from ht.api_clients.photos import Photo, PhotosApiClient
from ht.errors import Conflict, Invalid, JobFailed, NotFound, NotSignedIn
from PIL import Image

from hmlet.tests.accounts import TIMEOUT_S, Accounts
from hmlet.tests.pictures import photo_bytes
from hmlet.tests.web import Web

IMAGE = photo_bytes(21)


def named(content: bytes, name: str) -> io.BytesIO:
    """A file that has a name."""
    file = io.BytesIO(content)
    file.name = name
    return file


def done(client: PhotosApiClient, name: str = "cat.jpg", box: tuple[int, int] = (100, 100)) -> Job:
    return client.jobs.wait_until_done(client.thumbnails.create(named(IMAGE, name), box=box))


def size_of(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "JPEG"
        return image.size


def test_an_image_that_becomes_no_photo_gets_a_thumbnail_and_its_job_tells_how(
    photos_api_client: PhotosApiClient,
) -> None:
    job = done(photos_api_client, box=(320, 200))
    assert (job.kind, job.state, job.name) == ("file_thumbnail", "done", "cat.jpg")
    assert [event.event for event in job.timeline] == ["queued", "started", "done"]
    assert job.original is not None
    assert (job.original.path, job.original.bytes) == ("cat.jpg", len(IMAGE))
    assert (job.original.width, job.original.height) == size_of(IMAGE)
    content = photos_api_client.jobs.thumbnail(job)
    assert job.thumbnail is not None
    assert (job.thumbnail.bytes, (job.thumbnail.width, job.thumbnail.height)) == (len(content), size_of(content))
    assert job.thumbnail.width <= 320
    assert job.thumbnail.height <= 200
    assert photos_api_client.photos.list(owner="me") == []


def test_the_thumbnail_is_saved_under_the_submitted_name_and_the_answer_holds_no_way_to_the_original(
    photos_api_client: PhotosApiClient, web: Web
) -> None:
    job = done(photos_api_client, "Katze Ü.jpg")
    answer = web.get(f"/api/v1/jobs/{job.id}/thumbnail/", allow_redirects=False)
    assert answer.status_code == 303
    assert "original" not in urlsplit(answer.headers["Location"]).path
    fetched = requests.get(answer.headers["Location"], timeout=TIMEOUT_S)
    assert fetched.headers["Content-Type"] == "image/jpeg"
    assert fetched.headers["Content-Disposition"] == "attachment; filename*=utf-8''thumb_Katze%20%C3%9C.jpg"


def test_a_photos_job_tells_of_it_too(photos_api_client: PhotosApiClient) -> None:
    photo = photos_api_client.photos.create(Photo(name="seen", image=named(IMAGE, "seen.jpg")), wait_s=10)
    photos_api_client.photos.wait_until_ready(photo)
    (job,) = photos_api_client.jobs.list(kind="thumbnail")
    assert (job.state, job.name) == ("done", "seen.jpg")
    assert max(size_of(photos_api_client.jobs.thumbnail(job))) == 128


def test_a_job_that_cannot_succeed_fails_once_with_a_reason_and_is_in_the_list_of_what_failed(
    photos_api_client: PhotosApiClient,
) -> None:
    job = photos_api_client.thumbnails.create(IMAGE[: len(IMAGE) // 2])
    with pytest.raises(JobFailed) as caught:
        photos_api_client.jobs.wait_until_done(job)
    failed = caught.value.job
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.retryable, failed.attempts) == ("image_truncated", False, 1)
    assert [each.id for each in photos_api_client.jobs.list(state="failed")] == [job.id]
    assert photos_api_client.jobs.retry(job).state in {"queued", "running", "failed"}
    with pytest.raises(JobFailed) as caught:
        photos_api_client.jobs.wait_until_done(job)
    assert caught.value.job.attempts == 2


def test_what_is_done_is_neither_tried_again_nor_cancelled(photos_api_client: PhotosApiClient) -> None:
    job = done(photos_api_client)
    with pytest.raises(Conflict):
        photos_api_client.jobs.retry(job)
    with pytest.raises(Conflict):
        photos_api_client.jobs.cancel(job)


def test_the_client_reads_all_pages_newest_first(photos_api_client: PhotosApiClient) -> None:
    made = [photos_api_client.thumbnails.create(IMAGE).id for _ in range(22)]
    assert [job.id for job in photos_api_client.jobs.iterate()] == made[::-1]


def test_a_stranger_knows_of_no_job_and_staff_of_all(
    photos_api_client: PhotosApiClient, stranger: PhotosApiClient, accounts: Accounts
) -> None:
    job = done(photos_api_client)
    assert job.id not in {other.id for other in stranger.jobs.iterate()}
    for act in (stranger.jobs.get, stranger.jobs.retry, stranger.jobs.cancel, stranger.jobs.thumbnail):
        with pytest.raises(NotFound):
            act(job)
    staff = accounts.new(staff=True).client
    assert staff.jobs.get(job).id == job.id
    assert [each.id for each in staff.jobs.list(owner=job.username)] == [job.id]


def test_nobody_sees_or_makes_any(photos_api_client: PhotosApiClient, anonymous: PhotosApiClient) -> None:
    job = done(photos_api_client)
    for act in (anonymous.jobs.get, anonymous.jobs.retry, anonymous.jobs.cancel, anonymous.jobs.thumbnail):
        with pytest.raises(NotSignedIn):
            act(job)
    with pytest.raises(NotSignedIn):
        anonymous.jobs.list()
    with pytest.raises(NotSignedIn):
        anonymous.thumbnails.create(IMAGE)


def test_what_is_no_image_or_no_box_is_refused_by_name(photos_api_client: PhotosApiClient) -> None:
    with pytest.raises(Invalid) as caught:
        photos_api_client.thumbnails.create(b"no image")
    assert (caught.value.code, set(caught.value.field_errors)) == ("image_unreadable", {"image"})
    with pytest.raises(Invalid) as caught:
        photos_api_client.thumbnails.create(IMAGE, box=(1441, 100))
    assert set(caught.value.field_errors) == {"box"}
    assert photos_api_client.jobs.list() == []
