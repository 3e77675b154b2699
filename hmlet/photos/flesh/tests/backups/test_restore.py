"""Rows and objects into an archive and back, on PostgreSQL: what changes meanwhile, what is older, what is refused."""

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from backups.archive import ArchiveInvalid, ArchiveReader, ArchiveWriter
from backups.database import DatabaseRefused
from backups.models import Backup
from backups.restoring import holdings, jobs_release, left_to_make, restore
from backups.services import Taken, backup_record, backup_write
from diffs.models import Diff, Side
from diffs.services import diff_delete, diffs_sweep
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone
from gallery.integrity import finding_repair, integrity_check
from gallery.models import Original, Photo
from gallery.named import ALIASES, named_of
from gallery.services import photo_delete
from imaging import confined_diff
from jobs.models import Job
from jobs.reconciling import jobs_reconcile
from jobs.runner import job_run
from ops.metrics import all_metrics
from rest_framework.test import APIClient

from tests.buckets import MemoryBucket
from tests.images import encoded

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
Buckets = dict[str, MemoryBucket]
Post = Callable[..., Any]


def taken(tell: Callable[[int, int], None] = lambda done, total: None) -> tuple[bytes, Taken]:
    target = io.BytesIO()
    found = backup_write(target=target, about={"project": "p", "stage": "s", "instance": "i"}, tell=tell)
    return target.getvalue(), found


def brought_back(content: bytes) -> None:
    restore(archive=ArchiveReader(io.BytesIO(content)), tell=lambda _: None)


def wrong() -> list[tuple[str, str]]:
    return [(finding.problem, finding.key) for finding in integrity_check()]


def lose_everything(buckets: Buckets) -> None:
    Photo.objects.all().delete()
    Original.objects.all().delete()
    Job.objects.all().delete()
    User.objects.all().delete()
    for bucket in buckets.values():
        bucket.clear()


@pytest.fixture(autouse=True)
def _no_child_left() -> Iterator[None]:
    yield
    confined_diff._server.close()


@pytest.fixture
def photos(post: Post, work_off: Callable[[], int], buckets: Buckets) -> list[str]:
    """Three, with all their renditions."""
    ids = [post(encoded(40 + number, 30)).json()["id"] for number in range(3)]
    work_off()
    return ids


def test_what_was_lost_is_there_again(photos: list[str], buckets: Buckets, work_off: Callable[[], int]) -> None:
    content, found = taken()
    assert (found.objects, found.missing, found.gone, found.damaged) == (3, [], [], [])
    before = dict(buckets["originals"].objects)
    lose_everything(buckets)
    assert holdings() == 0
    brought_back(content)
    assert sorted(str(photo) for photo in Photo.objects.values_list("id", flat=True)) == sorted(photos)
    assert {key: stored[0] for key, stored in buckets["originals"].objects.items()} == {
        key: stored[0] for key, stored in before.items()
    }
    for finding in integrity_check():
        assert finding_repair(finding) == "being made again"
    assert left_to_make() == 3
    work_off()
    assert (left_to_make(), wrong()) == (0, [])
    assert User.objects.create_user("after").pk > User.objects.get(username="maker").pk


def test_it_may_be_done_twice_and_over_what_a_killed_one_left(photos: list[str], buckets: Buckets) -> None:
    content, _ = taken()
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA restored")
        cursor.execute("CREATE TABLE restored.left_behind (id int)")
        cursor.execute("CREATE SCHEMA replaced")
    brought_back(content)
    brought_back(content)
    assert Photo.objects.count() == 3
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname IN ('restored', 'replaced')")
        assert cursor.fetchall() == []


def test_a_photo_that_is_posted_meanwhile_is_not_in_it(photos: list[str], post: Post, buckets: Buckets) -> None:
    content, found = taken(lambda done, total: None if done else post(encoded(77, 33)))
    assert found.objects == 3
    brought_back(content)
    assert sorted(str(photo) for photo in Photo.objects.values_list("id", flat=True)) == sorted(photos)


def test_a_photo_that_is_deleted_meanwhile_does_not_come_back_without_its_object(
    photos: list[str], work_off: Callable[[], int], buckets: Buckets
) -> None:
    def delete(done: int, _total: int) -> None:
        if done == 0:
            photo_delete(photo=Photo.objects.get(pk=photos[1]))
            work_off()

    content, found = taken(delete)
    assert (found.objects, len(found.gone), found.missing) == (2, 1, [])
    lose_everything(buckets)
    brought_back(content)
    assert sorted(str(photo) for photo in Photo.objects.values_list("id", flat=True)) == sorted([photos[0], photos[2]])
    assert [key for problem, key in wrong() if problem == "missing" and key in buckets["originals"].objects] == []
    assert not [key for _, key in wrong() if key in found.gone]


def deleted(diff: Diff) -> None:
    diff_delete(diff=diff)


def outlived(diff: Diff) -> None:
    Diff.objects.update(created=diff.created - timedelta(days=400))
    diffs_sweep()


@pytest.mark.parametrize(("meanwhile", "keep", "left"), [(deleted, True, 0), (outlived, True, 1), (outlived, False, 0)])
def test_a_comparison_whose_objects_go_meanwhile_comes_back_as_it_is_without_them(
    api: APIClient,
    work_off: Callable[[], int],
    buckets: Buckets,
    meanwhile: Callable[[Diff], None],
    keep: bool,
    left: int,
) -> None:
    files = {side: SimpleUploadedFile("page.png", encoded(40, 30)) for side in ("before", "after")}
    assert api.post("/api/v1/diffs/", {**files, "keep": keep}, format="multipart").status_code == 202
    work_off()

    def forget(done: int, _total: int) -> None:
        if done == 0 and Diff.objects.filter(sides__key__isnull=False).exists():
            meanwhile(Diff.objects.get())
            work_off()
            for bucket, alias in ((buckets[alias], alias) for alias in ALIASES):
                for key in set(bucket.objects) - named_of(alias, list(bucket.objects)):
                    bucket.discard(key)

    content, found = taken(forget)
    assert (found.missing, found.damaged) == ([], [])
    assert [name for name in found.gone if name.startswith("originals/")]
    lose_everything(buckets)
    brought_back(content)
    assert wrong() == []
    assert Diff.objects.count() == left
    assert set(Side.objects.values_list("key", flat=True)) <= {None}


def test_what_was_due_when_it_was_taken_waits_until_all_is_there(
    post: Post, buckets: Buckets, work_off: Callable[[], int]
) -> None:
    post()
    ours: dict[str, list[str]] = {"originals": [], "thumbnails": []}
    begun = Job.objects.create(kind="purge", state="running", attempts=1, lease_until=timezone.now(), payload=ours)
    content, _ = taken()
    lose_everything(buckets)
    brought_back(content)
    jobs_reconcile()
    assert not job_run(Job.objects.get(kind="thumbnail").pk), "a worker that comes now may find no object yet"
    assert Job.objects.get(pk=begun.pk).state == "running"
    jobs_release()
    jobs_reconcile()
    assert job_run(Job.objects.get(kind="thumbnail").pk)
    work_off()
    assert Original.objects.get().state == "ready"
    assert not Job.objects.exclude(state="done").exists()


def test_what_was_missing_before_is_told_and_keeps_its_row(photos: list[str], buckets: Buckets) -> None:
    key = Original.objects.order_by("key").values_list("key", flat=True)[0]
    buckets["originals"].objects.pop(key)
    content, found = taken()
    assert (found.objects, found.missing, found.gone) == (2, [f"originals/{key}"], [])
    brought_back(content)
    assert Photo.objects.count() == 3


def test_an_object_with_other_content_is_told_and_kept_as_it_is(photos: list[str], buckets: Buckets) -> None:
    key = Original.objects.order_by("key").values_list("key", flat=True)[0]
    stored = buckets["originals"].objects[key]
    buckets["originals"].objects[key] = (bytes(len(stored[0])), *stored[1:])
    _, found = taken()
    assert (found.objects, found.damaged) == (3, [f"originals/{key}"])


def rewritten(content: bytes, header: dict[str, Any], without: frozenset[str] = frozenset()) -> bytes:
    """The archive with another header, and without some tables' rows."""
    reader, target = ArchiveReader(io.BytesIO(content)), io.BytesIO()
    kept = {name: value for name, value in {**reader.header, **header}.items() if name != "format"}
    with ArchiveWriter(target, kept) as writer:
        for member in reader.members():
            if member.name.partition("/")[0] not in without:
                writer.add(member.section, member.name, member.bytes, member.content)
        writer.end({name: value for name, value in reader.end.items() if name != "sections"})
    return target.getvalue()


def test_an_older_version_s_rows_are_brought_into_this_one_s_tables(photos: list[str], buckets: Buckets) -> None:
    content, _ = taken()
    header = ArchiveReader(io.BytesIO(content)).header
    header["migrations"]["jobs"].remove("0004_request_id")
    del header["migrations"]["backups"]
    header["tables"]["jobs_job"].remove("request_id")
    del header["tables"]["backups_backup"]
    older = rewritten(content, header, frozenset({"jobs_job", "jobs_attempt", "jobs_outboxentry"}))
    brought_back(older)
    assert Photo.objects.count() == 3
    assert Job.objects.filter(request_id="x").count() == 0
    assert Backup.objects.count() == 0


def test_a_newer_version_s_is_refused_before_anything_is_touched(photos: list[str], buckets: Buckets) -> None:
    content, _ = taken()
    header = ArchiveReader(io.BytesIO(content)).header
    header["migrations"]["gallery"].append("0099_of_tomorrow")
    with pytest.raises(DatabaseRefused, match=r"does not know gallery\.0099_of_tomorrow"):
        brought_back(rewritten(content, header))
    assert Photo.objects.count() == 3


def test_rows_that_are_not_whole_never_become_the_live_ones(photos: list[str], buckets: Buckets) -> None:
    content, _ = taken()
    Photo.objects.filter(pk=photos[0]).update(caption="since then")
    place = content.index(b"database.manifest/") + 512 + 60
    broken = bytearray(content)
    broken[place] ^= 1
    with pytest.raises(ArchiveInvalid):
        brought_back(bytes(broken))
    assert Photo.objects.get(pk=photos[0]).caption == "since then"


def test_the_age_of_the_last_one_is_a_metric() -> None:
    assert b"\nhmlet_backup_age_seconds " not in all_metrics()
    _, found = taken()
    backup_record(taken=found.taken, place="somewhere", bytes=1, objects=0, missing=0)
    assert b"\nhmlet_backup_age_seconds " in all_metrics()
