"""Rows against objects, with something broken on purpose each time."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from gallery import integrity, named
from gallery.models import IntegrityRun, Original, Rendition
from gallery.named import Kept
from gallery.renditions import rendition_keys
from jobs.models import Job
from ops.metrics import all_metrics

from tests.buckets import MemoryBucket
from tests.images import encoded

pytestmark = pytest.mark.django_db
Buckets = dict[str, MemoryBucket]


@pytest.fixture
def original(post: Callable[..., Any], work_off: Callable[[], int], buckets: Buckets) -> Original:
    """Of a photo with all its renditions, stored long ago."""
    assert post().status_code == 201
    work_off()
    for bucket in buckets.values():
        age(bucket)
    return Original.objects.get()


def age(bucket: MemoryBucket) -> None:
    """Make all that is in it older than the grace."""
    then = timezone.now() - timedelta(days=1)
    bucket.objects = {key: (content, kind, then) for key, (content, kind, _) in bucket.objects.items()}


def replace(bucket: MemoryBucket, key: str, content: bytes) -> None:
    bucket.objects[key] = (content, *bucket.objects[key][1:])


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and what is told as JSON."""
    out = io.StringIO()
    try:
        call_command("integrity", "--json", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def counts(told: dict[str, Any]) -> tuple[int, int, int]:
    return told["missing"], told["mismatched"], told["orphaned"]


def test_what_is_whole_has_nothing_to_find(original: Original) -> None:
    assert run("--deep") == (0, {"findings": [], "missing": 0, "mismatched": 0, "orphaned": 0})


def test_a_missing_original_is_told_and_its_row_stays_whatever_is_repaired(
    original: Original, buckets: Buckets
) -> None:
    buckets["originals"].discard(original.key)
    for _ in range(2):
        status, told = run("--repair")
        assert (status, counts(told)) == (1, (1, 0, 0))
        [found] = told["findings"]
        assert (found["problem"], found["bucket"], found["key"]) == ("missing", "originals", original.key)
        assert found["repaired"] == ""
    assert Original.objects.filter(pk=original.pk, state=Original.State.READY).exists()


def test_missing_and_cut_renditions_are_made_again_by_one_job(
    original: Original, buckets: Buckets, work_off: Callable[[], int]
) -> None:
    whole = dict(buckets["thumbnails"].objects)
    gone, cut, *_ = rendition_keys(original.pk)
    buckets["thumbnails"].discard(gone)
    replace(buckets["thumbnails"], cut, b"cut")
    rows = sorted(Rendition.objects.values_list())
    status, told = run("--repair")
    assert (status, counts(told)) == (1, (1, 1, 0))
    assert {found["repaired"] for found in told["findings"]} == {"being made again"}
    assert Job.objects.filter(state=Job.State.QUEUED).count() == 1
    assert Original.objects.get().state == Original.State.READY
    assert work_off() == 1
    assert run("--deep")[0] == 0
    content = {key: stored[0] for key, stored in buckets["thumbnails"].objects.items()}
    assert content == {key: stored[0] for key, stored in whole.items()}
    assert sorted(row[1:] for row in Rendition.objects.values_list()) == sorted(row[1:] for row in rows)


def test_another_size_is_found_and_other_bytes_of_the_same_size_by_deep_alone(
    original: Original, buckets: Buckets
) -> None:
    content = buckets["originals"].objects[original.key][0]
    replace(buckets["originals"], original.key, content[:-1] + bytes([content[-1] ^ 1]))
    assert run()[0] == 0
    status, told = run("--deep")
    assert (status, counts(told)) == (1, (0, 1, 0))
    replace(buckets["originals"], original.key, content + b"!")
    assert counts(run()[1]) == (0, 1, 0)


@pytest.mark.parametrize("key", ["ab/nobody.jpg", "strange/folder/x", "in-no-folder", "uploads/forgotten"])
@pytest.mark.parametrize("bucket", ["originals", "thumbnails"])
def test_an_orphan_is_told_when_it_is_old_and_deleted_by_repair(
    original: Original, buckets: Buckets, bucket: str, key: str
) -> None:
    buckets[bucket].write(key, io.BytesIO(b"nobody's"), "image/jpeg")
    assert run()[0] == 0, "it may be about to get its row"
    age(buckets[bucket])
    for _ in range(2):
        status, told = run()
        assert (status, counts(told), told["findings"][0]["key"]) == (1, (0, 0, 1), key)
    assert run("--repair")[1]["findings"][0]["repaired"] == "deleted"
    assert key not in buckets[bucket].objects
    assert run()[0] == 0


def test_what_a_job_is_about_to_delete_is_no_orphan(original: Original, api: Any, buckets: Buckets) -> None:
    api.delete(f"/api/v1/photos/{original.photos.get().pk}/")
    Original.objects.all().delete()
    assert Job.objects.filter(kind=Job.Kind.PURGE, state=Job.State.QUEUED).exists()
    assert run()[0] == 0
    Job.objects.update(state=Job.State.FAILED)
    assert run()[1]["orphaned"] == 1 + len(rendition_keys(original.pk))


def test_a_loose_image_and_its_thumbnail_are_looked_after_too(
    api: Any, work_off: Callable[[], int], buckets: Buckets
) -> None:
    image = io.BytesIO(encoded())
    image.name = "image.jpg"
    assert api.post("/api/v1/thumbnails/", {"image": image}, format="multipart").status_code == 202
    work_off()
    assert run()[0] == 0
    for bucket in buckets.values():
        bucket.clear()
    assert counts(run("--repair")[1]) == (2, 0, 0)


def test_a_photo_that_is_deleted_while_one_looks_is_not_missing(
    original: Original, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_of = named.kept_in

    def kept_in(alias: Any, folder: str) -> Iterator[Kept]:
        rows = list(rows_of(alias, folder))
        if rows and alias == "originals":
            Original.objects.all().delete()
            buckets["originals"].clear()
        return iter(rows)

    buckets["originals"].objects.pop(original.key)
    monkeypatch.setattr(integrity, "kept_in", kept_in)
    assert run()[1]["missing"] == 0


def test_a_storage_that_is_away_is_another_status_than_something_wrong(original: Original, buckets: Buckets) -> None:
    buckets["thumbnails"].broken = True
    with pytest.raises(CommandError) as raised:
        call_command("integrity", stdout=io.StringIO())
    assert raised.value.returncode == 2


def test_the_lines_for_people_name_each_object(original: Original, buckets: Buckets) -> None:
    buckets["originals"].discard(original.key)
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 missing, 0 mismatched, 0 orphaned"):
        call_command("integrity", stdout=out)
    assert out.getvalue().startswith(f"missing originals/{original.key}: ")


def test_statements_and_listings_do_not_grow_with_what_is_whole(
    post: Callable[..., Any], work_off: Callable[[], int], django_assert_max_num_queries: Any
) -> None:
    for width in range(20, 26):
        post(encoded(width, 20))
    work_off()
    with django_assert_max_num_queries(2 * 3 * 256 + 11):
        assert run()[0] == 0


def told_by_metrics() -> dict[str, float]:
    lines = [line for line in all_metrics().decode().splitlines() if line.startswith("hmlet_integrity_")]
    return {line.partition(" ")[0].removeprefix("hmlet_integrity_"): float(line.partition(" ")[2]) for line in lines}


def test_what_the_last_run_found_is_a_metric_until_the_next_one(original: Original, buckets: Buckets) -> None:
    assert told_by_metrics() == {}
    buckets["originals"].discard(original.key)
    buckets["thumbnails"].discard(rendition_keys(original.pk)[0])
    run()
    told = told_by_metrics()
    assert 0 <= told.pop("age_seconds") < 600
    found = {f'objects{{problem="{problem}"}}': 0.0 for problem in integrity.PROBLEMS}
    assert told == {**found, 'objects{problem="missing"}': 2}
    Original.objects.all().delete()
    run("--repair")
    IntegrityRun.objects.update(finished=timezone.now() - timedelta(hours=30))
    assert told_by_metrics()["age_seconds"] >= 30 * 3600
    buckets["thumbnails"].clear()
    run("--deep")
    assert told_by_metrics().pop("age_seconds") < 600
    assert {name: value for name, value in told_by_metrics().items() if name != "age_seconds"} == found
    assert list(IntegrityRun.objects.values_list("deep", flat=True)) == [True, False, False]


def test_a_run_that_did_not_come_to_its_end_is_not_remembered(original: Original, buckets: Buckets) -> None:
    run()
    before = IntegrityRun.objects.get()
    buckets["thumbnails"].broken = True
    with pytest.raises(CommandError):
        call_command("integrity", stdout=io.StringIO())
    assert IntegrityRun.objects.get() == before
