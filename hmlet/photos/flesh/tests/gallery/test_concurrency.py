"""Two at once, on a database that can do that."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection, transaction
from gallery.models import Original, Photo
from gallery.renditions import SIZES_BY_KIND
from jobs.models import Job
from jobs.runner import job_run
from quotas.services import usage_refund

from tests.conftest import client_of
from tests.images import encoded

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.skipif(
        "sqlite" in str(connection.settings_dict["ENGINE"]), reason="needs PostgreSQL: set the DATABASE_* variables"
    ),
]


def _at_once(count: int, act: Any) -> list[Any]:
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            start.wait()
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def _post(owner: User, content: bytes, name: str) -> int:
    image = SimpleUploadedFile("x.png", content)
    form = {"name": name, "image": image}
    return int(client_of(owner).post("/api/v1/photos/", form, format="multipart").status_code)


def test_of_many_posts_of_one_name_at_once_one_wins(owner: User, buckets: Any, work_off: Any) -> None:
    statuses = _at_once(8, lambda number: _post(owner, encoded(40 + number, 40), "Same"))
    assert sorted(statuses) == [201] + [409] * 7
    work_off()
    assert set(buckets["originals"].objects) == set(Original.objects.values_list("key", flat=True))


def test_the_same_bytes_posted_many_times_at_once_are_stored_once(owner: User, buckets: Any, work_off: Any) -> None:
    content = encoded()
    assert _at_once(8, lambda number: _post(owner, content, f"photo {number}")) == [201] * 8
    work_off()
    assert list(buckets["originals"].objects) == [Original.objects.get().key]
    assert Photo.objects.count() == 8
    assert Job.objects.filter(kind="thumbnail").count() == 1


def test_a_job_delivered_many_times_at_once_runs_once(owner: User, buckets: Any) -> None:
    _post(owner, encoded(), "photo")
    job = Job.objects.get()
    _at_once(5, lambda _: job_run(job.pk))
    assert Job.objects.get(kind="thumbnail").attempts == 1
    # Whoever came late may have done the job that followed from it.
    assert Job.objects.get(kind="renditions").attempts in {0, 1}
    assert len(buckets["thumbnails"].objects) in {1, len(SIZES_BY_KIND)}


def test_deleting_and_posting_the_same_bytes_at_once_loses_no_object(owner: User, buckets: Any) -> None:
    content = encoded()
    for round_ in range(5):
        _post(owner, content, f"round {round_}")
        photo = Photo.objects.get()

        def act(number: int, round_: int = round_, photo: Photo = photo) -> Any:
            if number == 0:
                return client_of(owner).delete(f"/api/v1/photos/{photo.pk}/").status_code
            if number == 1:
                return _post(owner, content, f"again {round_}")
            return [job_run(job.pk) for job in Job.objects.filter(kind="purge", state="queued")]

        deleted, posted, _ = _at_once(3, act)
        assert (deleted, posted) == (204, 201)
        while job := Job.objects.filter(state="queued").first():
            job_run(job.pk)
        assert list(buckets["originals"].objects) == [Original.objects.get().key]
        Photo.objects.all().delete()
        Original.objects.all().delete()
        buckets["originals"].clear()


def test_of_many_uploads_at_once_no_more_pass_than_the_quota_holds(
    owner: User, buckets: Any, settings: Any, work_off: Any
) -> None:
    contents = [encoded(400 + number, 300, image_format="BMP") for number in range(8)]
    settings.PHOTO_QUOTA_BYTES = 3 * len(contents[-1]) + 100
    statuses = _at_once(8, lambda number: _post(owner, contents[number], f"photo {number}"))
    assert sorted(statuses) == [201] * 3 + [413] * 5
    work_off()
    assert len(buckets["originals"].objects) == Original.objects.count() == 3


def test_one_request_sent_many_times_at_once_under_a_key_makes_one_photo(owner: User, buckets: Any) -> None:
    content = encoded()

    def act(_: int) -> int:
        form = {"name": "Dawn", "image": SimpleUploadedFile("x.png", content)}
        headers = {"Idempotency-Key": "k-1"}
        client = client_of(owner)
        return int(client.post("/api/v1/photos/", form, format="multipart", headers=headers).status_code)

    statuses = _at_once(8, act)
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert Photo.objects.count() == 1
    assert act(0) == 201


def test_a_user_is_removed_while_a_worker_lets_go_of_what_was_theirs(
    owner: User, buckets: Any, work_off: Any, settings: Any
) -> None:
    settings.PHOTO_QUOTA_BYTES = 1024**3
    _post(owner, encoded(), "photo")
    work_off()
    Photo.objects.all().delete()
    held = threading.Event()

    def act(number: int) -> None:
        if number:
            assert held.wait(60)
            call_command("remove_users", owner.username)
            return
        # What original_delete_unused locks, in its order; a user's rows are deleted in another one.
        with transaction.atomic():
            original = Original.objects.select_for_update().get(owner=owner)
            held.set()
            _until_somebody_waits()
            usage_refund(owner_id=owner.pk, bytes=original.bytes)

    _at_once(2, act)
    assert not User.objects.filter(pk=owner.pk).exists()
    assert not Original.objects.exists()


def _until_somebody_waits() -> None:
    deadline = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            # Unlike pg_stat_activity, it is read anew within a transaction.
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits for the row")
