"""What is stored, what is swept, what a handler leaves behind."""

from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from gallery.models import Original, Photo, Rendition
from gallery.originals import ORPHAN_GRACE, objects_sweep
from jobs.models import Job
from jobs.runner import job_run
from jobs.services import OUTAGE_MAX, job_create

from tests.images import encoded

pytestmark = pytest.mark.django_db


def _age(bucket: Any) -> None:
    then = timezone.now() - ORPHAN_GRACE - timedelta(minutes=1)
    bucket.objects = {key: (content, kind, then) for key, (content, kind, _) in bucket.objects.items()}


def test_the_stored_original_is_what_was_posted(post: Any, buckets: Any) -> None:
    content = encoded(image_format="JPEG")
    post(content)
    original = Original.objects.get()
    assert buckets["originals"].objects[original.key][:2] == (content, "image/jpeg")
    assert original.bytes == len(content)
    assert original.key.endswith(".jpg")


def test_the_sweep_deletes_old_objects_without_a_row_and_no_others(post: Any, work_off: Any, buckets: Any) -> None:
    post()
    work_off()
    named = set(buckets["originals"].objects) | set(buckets["thumbnails"].objects)
    for bucket in buckets.values():
        bucket.write("aa/orphan.jpg", BytesIO(b"x"), "image/jpeg")
    assert objects_sweep() == 0, "younger than the grace"
    for bucket in buckets.values():
        _age(bucket)
    assert objects_sweep() == 2
    assert set(buckets["originals"].objects) | set(buckets["thumbnails"].objects) == named


def test_a_thumbnail_job_run_again_leaves_the_same_rows_and_objects(post: Any, work_off: Any, buckets: Any) -> None:
    post()
    work_off()
    before = (list(Rendition.objects.order_by("pk").values()), sorted(buckets["thumbnails"].objects))
    job = Job.objects.get(kind="thumbnail")
    for _ in range(4):
        Original.objects.update(state="processing")
        Job.objects.filter(pk=job.pk).update(state="queued", attempts=0)
        assert job_run(job.pk)
    work_off()
    assert (list(Rendition.objects.order_by("pk").values()), sorted(buckets["thumbnails"].objects)) == before


def test_a_photo_outlives_a_storage_that_is_away_for_longer_than_its_attempts(
    post: Any, work_off: Any, buckets: Any
) -> None:
    post()
    buckets["thumbnails"].broken = True
    for _ in range(5):
        Job.objects.update(not_before=None)
        assert job_run(Job.objects.get().pk)
    assert Original.objects.get().state == "processing"
    buckets["thumbnails"].broken = False
    work_off()
    assert Original.objects.get().state == "ready"


def test_a_storage_that_does_not_come_back_is_told(post: Any, work_off: Any, buckets: Any) -> None:
    post()
    buckets["thumbnails"].broken = True
    Job.objects.update(created=timezone.now() - OUTAGE_MAX)
    work_off()
    original = Original.objects.get()
    assert (original.state, original.failure_code) == ("failed", "storage_unavailable")
    assert Job.objects.get().attempts == 3
    buckets["thumbnails"].broken = False
    post()
    work_off()
    assert Original.objects.get().state == "ready", "posting again tries again"


def test_an_original_that_vanished_from_the_storage_fails_with_a_reason(post: Any, work_off: Any, buckets: Any) -> None:
    post()
    buckets["originals"].clear()
    work_off()
    assert Original.objects.get().failure_code == "original_missing"


def test_a_photo_deleted_before_its_job_leaves_nothing(post: Any, api: Any, work_off: Any, buckets: Any) -> None:
    photo = post().json()
    api.delete(f"/api/v1/photos/{photo['id']}/")
    Job.objects.filter(kind="purge").update(created=timezone.now())
    work_off()
    assert not Photo.objects.exists()
    assert not Original.objects.exists()
    assert (buckets["originals"].objects, buckets["thumbnails"].objects) == ({}, {})


def test_an_orientation_found_while_decoding_corrects_the_size(post: Any, work_off: Any) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    post(encoded(400, 300, image_format="PNG", exif=exif))
    work_off()
    original = Original.objects.get()
    assert (original.width, original.height) == (300, 400)


def test_an_upload_whose_commit_only_seemed_to_fail_keeps_its_object(post: Any, buckets: Any, work_off: Any) -> None:
    post()
    work_off()
    key = Original.objects.get().key
    job_create(kind=Job.Kind.PURGE, owner=None, subject=None, payload={"originals": [key], "thumbnails": []})
    work_off()
    assert Job.objects.filter(kind="purge", state="done").exists()
    assert list(buckets["originals"].objects) == [key]


def test_the_sweep_is_a_command_too(buckets: Any) -> None:
    buckets["thumbnails"].write("aa/orphan.jpg", BytesIO(b"x"), "image/jpeg")
    _age(buckets["thumbnails"])
    out = StringIO()
    call_command("sweep_objects", stdout=out)
    assert out.getvalue() == "1 objects without a row deleted\n"
    assert buckets["thumbnails"].objects == {}


def test_a_sweep_that_the_storage_refuses_ends_in_a_sentence(buckets: Any) -> None:
    buckets["originals"].broken = True
    with pytest.raises(CommandError, match="the storage is away"):
        call_command("sweep_objects")
