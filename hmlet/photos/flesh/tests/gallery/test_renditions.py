"""All the sizes of a photo: made after it is ready, shown when they are there, gone with it."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from gallery.buckets import originals
from gallery.models import Original, Photo, Rendition
from gallery.renditions import SIZES_BY_KIND, rendition_keys
from jobs.models import Job
from jobs.runner import job_run
from jobs.services import job_create
from PIL import Image

from tests.images import encoded

pytestmark = pytest.mark.django_db


def run_kind(kind: str) -> None:
    """The one queued job of this kind."""
    assert job_run(Job.objects.get(kind=kind, state="queued").pk)


@pytest.fixture
def ready(post: Any) -> Any:
    """A photo with its thumbnail and nothing else."""
    photo = post(encoded(2000, 1000, image_format="JPEG")).json()
    run_kind("thumbnail")
    return photo


def shown(api: Any, photo: Any) -> Any:
    return api.get(f"/api/v1/photos/{photo['id']}/").json()


def test_a_photo_is_ready_with_its_thumbnail_and_the_other_sizes_follow(ready: Any, api: Any, buckets: Any) -> None:
    before = shown(api, ready)
    assert before["status"] == "ready"
    assert set(before["thumbnails"]) == {"128"}
    assert before["thumbnails"]["128"]["webp"] is None
    run_kind("renditions")
    after = shown(api, ready)
    assert after["thumbnail"] == after["thumbnails"]["128"]["jpeg"] == before["thumbnail"]
    sizes = {size: (view["width"], view["height"]) for size, view in after["thumbnails"].items()}
    assert sizes == {"128": (128, 64), "256": (256, 256), "512": (512, 256), "1440": (1440, 720)}
    for view in after["thumbnails"].values():
        for image_format in ("jpeg", "webp"):
            key = view[image_format].removesuffix("?signed").split("thumbnails/")[1]
            content, content_type, _ = buckets["thumbnails"].objects[key]
            assert content_type == f"image/{image_format}"
            with Image.open(BytesIO(content)) as image:
                assert image.format == image_format.upper()
                assert image.size == (view["width"], view["height"])


def test_no_answer_holds_the_original_or_its_key(ready: Any, api: Any) -> None:
    run_kind("renditions")
    original = Original.objects.get()
    told = api.get("/api/v1/photos/").content.decode()
    assert original.key not in told
    assert original.key.rsplit("/", 1)[1] not in told
    assert "originals" not in told


def test_a_page_of_photos_asks_no_more_of_the_database_for_all_sizes(
    ready: Any, api: Any, post: Any, work_off: Any
) -> None:
    with CaptureQueriesContext(connection) as few:
        api.get("/api/v1/photos/")
    post(encoded(300, 200))
    work_off()
    with CaptureQueriesContext(connection) as many:
        api.get("/api/v1/photos/")
    assert len(few) == len(many)


def test_a_small_image_comes_in_all_sizes_and_is_not_enlarged(post: Any, api: Any, work_off: Any) -> None:
    photo = post(encoded(90, 60)).json()
    work_off()
    sizes = {size: (view["width"], view["height"]) for size, view in shown(api, photo)["thumbnails"].items()}
    assert sizes == {"128": (90, 60), "256": (60, 60), "512": (90, 60), "1440": (90, 60)}


def test_delivered_five_times_the_same_rows_and_objects_are_there(ready: Any, buckets: Any) -> None:
    run_kind("renditions")
    job = Job.objects.get(kind="renditions")
    before = sorted(Rendition.objects.values_list()), sorted(buckets["thumbnails"].objects)
    assert {kind for _, _, kind, *_ in before[0]} == set(SIZES_BY_KIND)
    for attempt in range(5):
        job_run(job.pk)
        if attempt % 2:
            Rendition.objects.filter(kind__in=("512", "256-webp")).delete()
        Job.objects.filter(pk=job.pk).update(state="queued")
        assert job_run(job.pk)
    rows = sorted(row[1:] for row in Rendition.objects.values_list())
    assert rows == sorted(row[1:] for row in before[0])
    assert sorted(buckets["thumbnails"].objects) == before[1]


def test_the_second_jobs_row_is_committed_with_the_end_of_the_first(post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("the process dies here")

    post()
    monkeypatch.setattr("gallery.handlers.job_create", broken)
    thumbnail = Job.objects.get(kind="thumbnail")
    job_run(thumbnail.pk)
    thumbnail.refresh_from_db()
    assert thumbnail.state == "queued", "not done without the other"
    assert Original.objects.get().state == "processing"
    assert not Rendition.objects.exists()


def test_the_second_job_is_the_owners_and_of_the_same_name(ready: Any, owner: Any) -> None:
    job = Job.objects.get(kind="renditions")
    assert (job.owner, job.subject) == (owner, Original.objects.get().pk)
    assert job.name == Job.objects.get(kind="thumbnail").name
    assert job.background
    assert job.outbox_entry


def test_the_end_of_the_first_job_costs_what_its_writes_cost(post: Any) -> None:
    """What an upload waits for. Whoever adds a statement here makes every upload slower."""
    post()
    job = Job.objects.get(kind="thumbnail")
    with CaptureQueriesContext(connection) as asked:
        job_run(job.pk)
    statements = [query["sql"].split()[0] for query in asked]
    statements = [word for word in statements if word not in {"SAVEPOINT", "RELEASE"}]
    # Claim; the original. Then, in one transaction: job, original, rendition, the second job and its outbox entry.
    assert statements == ["WITH", "SELECT", "UPDATE", "UPDATE", "INSERT", "INSERT", "INSERT"]


def test_a_failing_second_job_leaves_the_photo_ready_and_tells_why(ready: Any, api: Any, buckets: Any) -> None:
    buckets["originals"].clear()
    run_kind("renditions")
    job = Job.objects.get(kind="renditions")
    assert (job.state, job.error_code) == ("failed", "original_missing")
    photo = shown(api, ready)
    assert (photo["status"], photo["failure"]) == ("ready", None)
    assert photo["thumbnail"]


def test_a_storage_that_is_away_is_tried_again(ready: Any, work_off: Any, api: Any, buckets: Any) -> None:
    buckets["thumbnails"].broken = True
    run_kind("renditions")
    job = Job.objects.get(kind="renditions")
    assert (job.state, job.error_code) == ("queued", "storage_unavailable")
    buckets["thumbnails"].broken = False
    work_off()
    assert len(shown(api, ready)["thumbnails"]) == 4


def test_deleting_a_photo_deletes_every_renditions_object(ready: Any, api: Any, work_off: Any, buckets: Any) -> None:
    run_kind("renditions")
    assert sorted(buckets["thumbnails"].objects) == sorted(rendition_keys(Original.objects.get().pk))
    api.delete(f"/api/v1/photos/{ready['id']}/")
    work_off()
    assert (buckets["originals"].objects, buckets["thumbnails"].objects) == ({}, {})


def _waiting_for(kind: str, post: Any) -> Any:
    """A photo whose job of this kind is the next."""
    photo = post(encoded(600, 400)).json()
    if kind == "renditions":
        run_kind("thumbnail")
    return photo


def _delete(photo: Any, api: Any) -> None:
    api.delete(f"/api/v1/photos/{photo['id']}/")
    run_kind("purge")


@pytest.mark.parametrize("kind", ["thumbnail", "renditions"])
def test_what_a_job_makes_while_its_photo_is_deleted_goes_too(
    kind: str, post: Any, api: Any, work_off: Callable[[], int], buckets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = _waiting_for(kind, post)
    read = originals().read

    def delete_meanwhile(key: str, into: Any) -> None:
        read(key, into)
        _delete(photo, api)

    monkeypatch.setattr(originals(), "read", delete_meanwhile)
    run_kind(kind)
    assert not Photo.objects.exists()
    assert buckets["thumbnails"].objects, "made after the purge"
    monkeypatch.undo()
    work_off()
    assert (buckets["originals"].objects, buckets["thumbnails"].objects) == ({}, {})
    assert not Rendition.objects.exists()
    assert not Job.objects.exclude(state="done").exists()


@pytest.mark.parametrize("kind", ["thumbnail", "renditions"])
def test_a_job_whose_photo_is_deleted_before_it_reads_it_has_not_failed(
    kind: str, post: Any, api: Any, work_off: Callable[[], int], buckets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = _waiting_for(kind, post)
    read = originals().read

    def delete_before(key: str, into: Any) -> None:
        _delete(photo, api)
        read(key, into)

    monkeypatch.setattr(originals(), "read", delete_before)
    run_kind(kind)
    monkeypatch.undo()
    work_off()
    assert (buckets["originals"].objects, buckets["thumbnails"].objects) == ({}, {})
    assert not Job.objects.exclude(state="done").exists()


def test_an_attempt_that_comes_after_the_photo_went_clears_up_behind_the_one_that_was_killed(
    ready: Any, api: Any, work_off: Callable[[], int], buckets: Any
) -> None:
    original = Original.objects.get()
    _delete(ready, api)
    # Killed between its last object and its commit.
    for key in rendition_keys(original.pk):
        buckets["thumbnails"].write(key, BytesIO(b"x"), "image/jpeg")
    Job.objects.filter(kind="renditions").update(attempts=1)
    work_off()
    assert buckets["thumbnails"].objects == {}


def test_a_photo_of_before_there_were_other_sizes_is_shown_and_completed(ready: Any, api: Any, owner: Any) -> None:
    Job.objects.filter(kind="renditions").delete()
    assert set(shown(api, ready)["thumbnails"]) == {"128"}
    job_create(kind=Job.Kind.RENDITIONS, owner=owner, subject=Original.objects.get().pk)
    run_kind("renditions")
    assert len(shown(api, ready)["thumbnails"]) == 4
