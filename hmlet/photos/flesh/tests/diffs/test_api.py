"""Comparisons through HTTP, jobs worked off in between."""

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import numpy as np
import pytest
from diffs.models import Diff, Side
from diffs.services import diffs_sweep
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.utils import timezone
from gallery.integrity import integrity_check
from gallery.models import Photo
from gallery.named import named_forget, named_of
from gallery.originals import ORPHAN_GRACE, objects_sweep
from gallery.services import photo_delete, photo_unpublish
from imaging import confined_diff
from imaging.diff import diff
from imaging.diff_options import DiffOptions
from jobs.models import Job
from PIL import Image
from rest_framework.test import APIClient

from tests.images import encoded, png_bomb

pytestmark = pytest.mark.django_db
URL = "/api/v1/diffs/"


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    yield
    confined_diff._server.close()


def marked(width: int = 320, height: int = 240, *boxes: tuple[int, int, int, int]) -> bytes:
    """The gradient of ``encoded`` with red boxes (x, y, width, height)."""
    with Image.open(BytesIO(encoded(width, height))) as image:
        for x, y, across, down in boxes:
            image.paste((250, 10, 10), (x, y, x + across, y + down))
        out = BytesIO()
        image.save(out, "PNG")
    return out.getvalue()


BEFORE, AFTER = marked(), marked(320, 240, (30, 40, 30, 20), (200, 100, 4, 4))


def file(content: bytes, name: str = "page.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


@pytest.fixture
def send(api: APIClient) -> Any:
    """Asks for a comparison; answers with the response."""

    def post(
        before: Any = BEFORE, after: Any = AFTER, *, client: APIClient = api, headers: Any = None, **more: Any
    ) -> Any:
        given = {"before": before, "after": after, **more}
        form = {name: file(value) if isinstance(value, bytes) else value for name, value in given.items()}
        return client.post(URL, form, format="multipart", headers=headers)

    return post


def picture_of(buckets: Any, told: Any) -> bytes:
    key = told["picture"]["url"].split("/thumbnails/")[1].split("?")[0]
    content: bytes = buckets["thumbnails"].objects[key][0]
    return content


def test_two_files_get_boxes_and_the_very_picture_that_was_drawn(
    send: Any, api: APIClient, work_off: Any, buckets: Any
) -> None:
    answer = send(file(BEFORE, "old.png"), file(AFTER, "new.png"))
    assert answer.status_code == 202
    told = answer.json()
    assert answer["Location"] == f"http://testserver{URL}{told['id']}/"
    assert (told["state"], told["keep"], told["changes"], told["picture"]) == ("processing", False, None, None)
    assert told["before"] == {"photo": None, "name": "old.png", "width": 320, "height": 240}
    work_off()
    told = api.get(answer["Location"]).json()
    assert (told["state"], told["failure"]) == ("done", None)
    assert [(box["x"], box["y"], box["width"], box["height"]) for box in told["regions"]] == [
        (30, 40, 30, 20),
        (200, 100, 4, 4),
    ]
    assert told["regions"][0]["area"] == 600
    assert (told["changes"]["regions_found"], told["changes"]["pixels_changed"]) == (2, 616)
    assert told["changes"]["share_changed"] == 616 / (320 * 240)
    drawn = diff(BytesIO(BEFORE), BytesIO(AFTER)).picture
    with Image.open(BytesIO(picture_of(buckets, told))) as stored:
        assert stored.format == "PNG"
        assert (np.asarray(stored) == np.asarray(drawn)).all()
        assert (told["picture"]["width"], told["picture"]["height"]) == stored.size
    assert told["picture"]["bytes"] == len(picture_of(buckets, told))
    job = api.get(told["job"]).json()
    assert (job["kind"], job["state"], job["name"]) == ("diff", "done", "old.png → new.png")


def test_every_option_is_taken_and_told(send: Any, api: APIClient, work_off: Any) -> None:
    options = {
        "threshold": 20, "area_min": 17, "merge_distance": 3, "shift_max": 2, "picture_side_max": 256,
        "noise": "none", "alignment": "pad", "layout": "blended", "ignore": ["0,0,20,20", "300,0,10,10"],
    }  # fmt: skip
    answer = send(**options)
    assert answer.status_code == 202, answer.json()
    work_off()
    told = api.get(answer["Location"]).json()
    assert told["options"] == {**options, "keep": False}
    assert [box["area"] for box in told["regions"]] == [600]
    assert (told["picture"]["width"], told["picture"]["height"]) == (256, 192)


@pytest.mark.parametrize(
    ("field", "value"),
    [("threshold", "255"), ("threshold", "-1"), ("area_min", "0"), ("merge_distance", "1001"), ("shift_max", "9"),
     ("picture_side_max", "4097"), ("picture_side_max", "x"), ("noise", "some"), ("alignment", "crop"),
     ("layout", "flicker"), ("ignore", "1,2,3"), ("ignore", "1,2,0,4"), ("ignore", "65000,0,1000,1"),
     ("ignore", ["1,1,1,1"] * 51), ("keep", "perhaps"), ("before", "no-uuid"), ("after", "")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(send: Any, buckets: Any, field: str, value: Any) -> None:
    answer = send(**{field: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert {name.partition(".")[0] for name in answer.json()["errors"]} == {field}
    assert buckets["originals"].objects == {}
    assert not Diff.objects.exists()


def test_the_limits_are_told_and_are_the_ones_that_hold(api: APIClient, send: Any) -> None:
    limits = api.options(URL).json()["limits"]
    for name in ("threshold", "area_min", "merge_distance", "shift_max", "picture_side_max"):
        told = limits["options"][name]
        for value, status in ((told["min"], 202), (told["max"], 202), (told["max"] + 1, 400), (told["min"] - 1, 400)):
            assert send(**{name: value}).status_code == status, (name, value)
    assert limits["options"]["noise"] == {"choices": ["measure", "none", "tolerate"], "default": "measure"}
    assert (limits["options"]["ignore"]["count"], limits["kept_hours"]) == (50, 24)


def test_two_photos_are_compared_by_their_ids_in_json_and_in_a_form(
    api: APIClient, post: Any, work_off: Any, send: Any
) -> None:
    one, other = (post(content, name=name).json() for name, content in (("old", BEFORE), ("new", AFTER)))
    for answer in (
        api.post(URL, {"before": one["id"], "after": other["id"], "ignore": ["0,0,9,9"]}, format="json"),
        send(one["id"], other["id"]),
        send(one["id"], AFTER),
    ):
        assert answer.status_code == 202, answer.json()
        work_off()
        told = api.get(answer["Location"]).json()
        assert told["before"] == {"photo": one["id"], "name": "old", "width": 320, "height": 240}
        # Who looks at jobs is not thereby told what people call their photos.
        assert api.get(told["job"]).json()["name"].startswith("photo → ")
        assert [box["area"] for box in told["regions"]] == [600, 16]


def test_anothers_photo_takes_part_as_its_1440_rendition(
    post: Any, work_off: Any, api: APIClient, strange_api: APIClient, send: Any
) -> None:
    photo = post(marked(2000, 1500, (300, 300, 300, 300))).json()["id"]
    work_off()
    answer = send(photo, marked(1440, 1080), client=strange_api)
    work_off()
    told = strange_api.get(answer["Location"]).json()
    assert told["state"] == "done", told
    assert (told["before"]["width"], told["before"]["height"]) == (1440, 1080)
    assert told["changes"]["regions_found"] == 1
    own = send(photo, marked(2000, 1500))
    work_off()
    assert api.get(own["Location"]).json()["before"]["width"] == 2000


def test_while_the_rendition_is_not_made_the_job_tries_again(
    post: Any, work_off: Any, strange_api: APIClient, send: Any
) -> None:
    photo = post(BEFORE).json()["id"]
    work_off()
    Photo.objects.get().original.renditions.filter(kind="1440").delete()
    answer = send(photo, BEFORE, client=strange_api)
    work_off()
    told = strange_api.get(answer["Location"]).json()
    assert (told["state"], told["failure"]["code"]) == ("failed", "rendition_not_ready")
    assert Job.objects.get(kind="diff").attempts == 3


def test_what_one_may_not_know_of_is_not_there(
    api: APIClient, strange_api: APIClient, post: Any, send: Any, work_off: Any, buckets: Any
) -> None:
    draft = post(BEFORE, draft=True).json()["id"]
    work_off()
    stored = dict(buckets["originals"].objects)
    for photo in (draft, str(uuid.uuid4())):
        answer = send(BEFORE, photo, client=strange_api)
        assert (answer.status_code, answer.json()["code"], list(answer.json()["errors"])) == (
            404,
            "not_found",
            ["after"],
        )
        assert answer.json()["message"].startswith("The second image: There is no such photo.")
    assert buckets["originals"].objects == stored
    location = send(draft, BEFORE)["Location"]
    for answer in (strange_api.get(location), strange_api.delete(location), api.get(f"{URL}{uuid.uuid4()}/")):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert api.get(location).status_code == 200


def test_nobody_compares_or_sees_any(send: Any) -> None:
    location = send()["Location"]
    nobody = APIClient()
    assert send(client=nobody).status_code == 401
    assert [nobody.get(location).status_code, nobody.get(URL).status_code, nobody.delete(location).status_code] == [
        401
    ] * 3


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "image_empty"), (b"no image", "image_unreadable"), (b"%PDF-1.7 ..", "image_format_refused"),
     (png_bomb(), "image_too_large"), (png_bomb(9000, 6000), "image_too_large")],
)  # fmt: skip
def test_what_is_no_image_is_refused_and_names_its_field(send: Any, buckets: Any, content: bytes, code: str) -> None:
    for place, which, images in (("before", "first", (content, BEFORE)), ("after", "second", (BEFORE, content))):
        answer = send(*images)
        assert (answer.status_code, answer.json()["code"], list(answer.json()["errors"])) == (400, code, [place])
        assert answer.json()["message"].startswith(f"The {which} image: ")
        assert answer.json()["errors"][place] == [answer.json()["message"]], "told once by whoever prints both"
    assert buckets["originals"].objects == {}
    assert not Job.objects.exists()


def test_two_files_over_the_limit_together_are_refused(send: Any, settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = len(BEFORE) + len(AFTER) - 1
    answer = send()
    assert (answer.status_code, answer.json()["code"]) == (413, "diff_bytes_limit")
    assert send(AFTER, file(b"x" * 70_000 + AFTER)).json()["code"] == "image_bytes_limit", "by the body's length"


def test_whose_storage_is_full_sends_no_files(send: Any, settings: Any, post: Any) -> None:
    photo = post(BEFORE).json()["id"]
    settings.PHOTO_QUOTA_BYTES = len(BEFORE)
    answer = send()
    assert (answer.status_code, answer.json()["code"]) == (413, "quota_exceeded")
    assert send(photo, photo).status_code == 202


def test_one_has_so_many_comparisons_and_no_more(send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffs.services.DIFFS_MAX", 1)
    assert send().status_code == 202
    answer = send()
    assert (answer.status_code, answer.json()["code"]) == (409, "diffs_limit")


def test_a_storage_that_is_away_keeps_nothing(send: Any, buckets: Any) -> None:
    buckets["originals"].broken = True
    answer = send()
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert not Job.objects.exists()
    assert not Diff.objects.exists()


def test_the_same_key_compares_once(send: Any) -> None:
    key = {"Idempotency-Key": "once"}
    first, second = (send(headers=key) for _ in range(2))
    assert (second.status_code, second.json(), second["Location"]) == (202, first.json(), first["Location"])
    assert second["Idempotency-Replayed"] == "true"
    assert Diff.objects.count() == 1
    assert send(threshold=3, headers=key).status_code == 422


def test_sizes_that_differ_fail_with_the_reason_and_what_to_do(send: Any, api: APIClient, work_off: Any) -> None:
    location = send(BEFORE, marked(300, 240))["Location"]
    work_off()
    told = api.get(location).json()
    assert (told["state"], told["failure"]["code"]) == ("failed", "image_sizes_differ")
    assert "scaled or padded" in told["failure"]["message"]
    location = send(BEFORE, marked(300, 240), alignment="scale")["Location"]
    work_off()
    assert api.get(location).json()["changes"]["aligned"] == "scale"


def test_a_file_that_breaks_off_fails_and_says_which(send: Any, api: APIClient, work_off: Any) -> None:
    location = send(BEFORE, encoded(900, 700, image_format="JPEG")[:6000])["Location"]
    work_off()
    told = api.get(location).json()
    assert told["failure"]["code"] == "image_truncated"
    assert told["failure"]["message"].startswith("The second image")
    assert api.post(f"{told['job']}retry/").status_code == 200
    assert api.get(location).json()["state"] == "processing"
    work_off()
    assert api.get(location).json()["state"] == "failed"


def test_the_same_job_run_five_times_leaves_the_same_rows_and_objects(send: Any, work_off: Any, buckets: Any) -> None:
    send()
    work_off()

    def left() -> Any:
        return (
            Diff.objects.values().get(),
            list(Side.objects.order_by("place").values()),
            {name: {key: value[0] for key, value in bucket.objects.items()} for name, bucket in buckets.items()},
        )

    before = left()
    for _ in range(4):
        Job.objects.update(state="queued")
        work_off()
    assert left() == before
    Job.objects.update(state="queued")
    Diff.objects.update(state="processing")
    work_off()
    finished = Diff.objects.get().finished
    again = left()
    again[0]["finished"] = before[0]["finished"]
    assert finished is not None
    assert again == before


def test_only_what_is_kept_is_listed_newest_first_in_pages_and_filtered(
    send: Any, api: APIClient, strange_api: APIClient, work_off: Any, post: Any
) -> None:
    photo = post(BEFORE).json()["id"]
    kept = [send(keep=True).json()["id"], send(BEFORE, BEFORE, keep=True).json()["id"]]
    kept.append(send(photo, b"%", keep=True).json().get("id") or send(photo, photo, keep=True).json()["id"])
    send(keep=False)
    send()
    work_off()

    def ids(query: str = "", client: APIClient = api) -> list[str]:
        return [each["id"] for each in client.get(URL + query).json()["results"]]

    assert ids() == kept[::-1]
    assert ids(client=strange_api) == []
    assert ids("?changed=true") == kept[:1]
    assert ids("?changed=false") == kept[:0:-1]
    assert ids(f"?photo={photo}") == kept[2:]
    assert ids("?state=failed") == []
    assert ids(f"?created_after={(timezone.now() + timedelta(minutes=1)).isoformat().replace('+', '%2B')}") == []
    assert "regions" not in api.get(URL).json()["results"][0]
    page = api.get(f"{URL}?page_size=2").json()
    assert [each["id"] for each in page["results"]] == kept[:0:-1]
    assert [each["id"] for each in api.get(page["next"]).json()["results"]] == kept[:1]
    for wrong in ("?state=lost", "?changed=maybe", "?photo=x", "?cursor=x", "?page_size=0"):
        assert api.get(URL + wrong).status_code == 400, wrong


def test_a_list_costs_as_many_queries_for_many_as_for_one(
    send: Any, api: APIClient, work_off: Any, django_assert_num_queries: Any
) -> None:
    send(keep=True)
    api.get(URL)
    with django_assert_num_queries(3):
        api.get(URL)
    for _ in range(3):
        send(keep=True)
    work_off()
    with django_assert_num_queries(3):
        assert len(api.get(URL).json()["results"]) == 4


def test_the_stage_says_whether_what_says_nothing_is_kept(send: Any, settings: Any) -> None:
    settings.DIFFS_KEEP = True
    assert send().json()["keep"] is True
    assert send(keep=False).json()["keep"] is False


def _later(buckets: Any, **ago: float) -> None:
    then = timezone.now() - timedelta(**ago)
    Diff.objects.update(created=then)
    for bucket in buckets.values():
        bucket.objects = {key: (content, kind, then) for key, (content, kind, _) in bucket.objects.items()}


def test_what_is_not_kept_is_forgotten_after_a_set_time_and_files_in_any_case(
    send: Any, api: APIClient, work_off: Any, buckets: Any, settings: Any
) -> None:
    settings.DIFFS_KEPT_HOURS = 5
    passing, kept = send()["Location"], send(keep=True)["Location"]
    work_off()
    _later(buckets, hours=4)
    call_command("sweep_diffs", stdout=StringIO())
    assert (Diff.objects.count(), objects_sweep()) == (2, 0)
    _later(buckets, hours=6)
    out = StringIO()
    call_command("sweep_diffs", stdout=out)
    assert out.getvalue() == "1 comparisons forgotten whose time is over\n"
    assert objects_sweep() == 5, "four files and a picture"
    assert api.get(passing).status_code == 404
    told = api.get(kept).json()
    assert picture_of(buckets, told)
    assert told["before"]["name"] == "page.png"
    assert list(integrity_check()) == []
    assert diffs_sweep() == 0


def test_one_whose_job_still_waits_is_not_forgotten(send: Any, work_off: Any, buckets: Any, api: APIClient) -> None:
    location = send()["Location"]
    _later(buckets, hours=100)
    assert diffs_sweep() == 0
    work_off()
    assert api.get(location).json()["state"] == "done"


def test_deleting_takes_rows_and_objects_with_it(send: Any, api: APIClient, work_off: Any, buckets: Any) -> None:
    location = send(keep=True)["Location"]
    work_off()
    assert api.delete(location).status_code == 204
    assert api.get(location).status_code == 404
    assert api.delete(location).status_code == 404
    work_off()
    assert [bucket.objects for bucket in buckets.values()] == [{}, {}]
    assert not Side.objects.exists()


def test_deleting_one_that_waits_cancels_it(send: Any, api: APIClient, work_off: Any, buckets: Any) -> None:
    answer = send()
    assert api.delete(answer["Location"]).status_code == 204
    assert api.get(answer.json()["job"]).json()["state"] == "cancelled"
    work_off()
    assert [bucket.objects for bucket in buckets.values()] == [{}, {}]


def test_one_that_is_deleted_while_it_is_made_leaves_nothing(
    send: Any, work_off: Any, buckets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send()
    write = buckets["thumbnails"].write

    def delete_then_write(*stored: Any) -> None:
        Diff.objects.all().delete()
        write(*stored)

    monkeypatch.setattr(buckets["thumbnails"], "write", delete_then_write)
    work_off()
    assert buckets["thumbnails"].objects == {}


@pytest.mark.parametrize("gone", [photo_delete, photo_unpublish])
def test_a_photo_that_goes_meanwhile_ends_the_comparison_with_the_reason(
    post: Any, send: Any, strange_api: APIClient, work_off: Any, gone: Any
) -> None:
    photo = post(BEFORE).json()["id"]
    work_off()
    location = send(photo, AFTER, client=strange_api)["Location"]
    gone(photo=Photo.objects.get())
    work_off()
    told = strange_api.get(location).json()
    assert (told["state"], told["failure"]["code"]) == ("failed", "photo_gone")
    assert Job.objects.get(kind="diff").attempts == 1


def test_cancelling_the_job_ends_the_comparison(send: Any, api: APIClient) -> None:
    answer = send()
    assert api.post(f"{answer.json()['job']}cancel/").status_code == 200
    told = api.get(answer["Location"]).json()
    assert (told["state"], told["failure"]["code"]) == ("failed", "cancelled")


def test_integrity_knows_what_has_to_be_there_and_nothing_more(
    send: Any, work_off: Any, buckets: Any, api: APIClient
) -> None:
    location = send()["Location"]
    work_off()
    assert list(integrity_check()) == []
    for bucket in buckets.values():
        old = timezone.now() - ORPHAN_GRACE - timedelta(minutes=1)
        bucket.objects = {key: (content, kind, old) for key, (content, kind, _) in bucket.objects.items()}
    assert objects_sweep() == 0
    buckets["thumbnails"].objects.clear()
    (key, *_) = buckets["originals"].objects
    buckets["originals"].objects[key] = (b"cut", "image/png", timezone.now())
    assert sorted(finding.problem for finding in integrity_check()) == ["mismatched", "missing"]
    assert api.get(location).status_code == 200


def test_no_answer_names_the_key_of_a_file(send: Any, api: APIClient, work_off: Any, buckets: Any) -> None:
    answer = send(keep=True)
    work_off()
    texts = [json.dumps(each.json()) for each in (answer, api.get(answer["Location"]), api.get(URL))]
    texts.append(json.dumps(api.get(answer.json()["job"]).json()))
    for key in buckets["originals"].objects:
        assert all(key.partition("/")[2][:20] not in text for text in texts)


def test_a_comparison_is_sent_as_a_form_or_as_json(api: APIClient) -> None:
    assert api.post(URL, b"x", content_type="text/plain").status_code == 415
    assert api.post(URL, {}, format="json").json()["errors"].keys() == {"before", "after"}
    assert api.post(URL, {}, format="multipart").json()["errors"].keys() == {"before", "after"}
    assert api.post(URL, {"before": "x", "after": []}, format="json").json()["errors"].keys() == {"before", "after"}


def test_options_of_a_comparison_are_those_of_imaging_where_nothing_is_said(send: Any) -> None:
    assert Diff.objects.count() == 0
    send()
    assert confined_diff.options_of(Diff.objects.get().options) == DiffOptions()


def test_a_comparison_that_lost_its_objects_is_told_and_neither_deleted_nor_made_again(
    send: Any, work_off: Any, buckets: Any
) -> None:
    send(keep=True)
    work_off()
    for bucket in buckets.values():
        bucket.clear()
    out = StringIO()
    with pytest.raises(CommandError, match="3 missing, 0 mismatched, 0 orphaned"):
        call_command("integrity", "--repair", stdout=out)
    assert out.getvalue().count("missing originals/") == 2
    assert out.getvalue().count("missing thumbnails/") == 1
    assert Diff.objects.count() == 1
    assert not Job.objects.filter(state=Job.State.QUEUED).exists()


@pytest.mark.parametrize(
    ("keep", "done", "stays"), [(True, True, True), (True, False, False), (False, True, False), (False, False, False)]
)
def test_whose_file_is_forgotten_stays_only_if_it_is_kept_and_done(
    send: Any, work_off: Any, buckets: Any, keep: bool, done: bool, stays: bool
) -> None:
    send(keep=keep)
    if done:
        work_off()
    other = send(keep=True)
    gone, *_ = Side.objects.exclude(diff_id=other.json()["id"]).values_list("key", flat=True)
    assert gone is not None
    buckets["originals"].discard(gone)
    named_forget("originals", [gone])
    assert named_of("originals", [gone]) == set()
    assert Diff.objects.exclude(pk=other.json()["id"]).exists() == stays
    assert Side.objects.filter(diff_id=other.json()["id"]).exclude(key=None).count() == 2
    assert [finding for finding in integrity_check() if finding.problem == "missing"] == []


def test_whose_picture_is_forgotten_goes_with_it(send: Any, work_off: Any, buckets: Any) -> None:
    for _ in range(2):
        send(keep=True)
    work_off()
    gone, stays = Diff.objects.values_list("picture_key", flat=True)
    named_forget("thumbnails", [gone])
    assert [diff.picture_key for diff in Diff.objects.all()] == [stays]
    assert Side.objects.count() == 2
