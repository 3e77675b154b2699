"""Comparisons: ``client.diffs`` and ``ht diff``, against the scripted server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ht.api_clients.diffs import Changes, Diff, DiffOptions, DiffPicture, DiffSide, Region
from ht.api_clients.photo import Failure
from ht.api_clients.photos import Photo, PhotosApiClient
from ht.errors import AnswerNotUnderstood, DiffFailed, DiffNotDone, Invalid, NoPicture, NotFound, TooLarge, Unsendable
from test_ht_cli import Ht
from test_ht_photos import form

if TYPE_CHECKING:
    from conftest import Api, FakeClock

ID = "0b8c3c0e-6f58-4d8e-9a54-6f4d5f3f9f10"
PHOTO = "5c1f6f0a-8f6e-4a55-9b0f-1d3f0f6f3a11"
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REGION = {"x": 1, "y": 2, "width": 3, "height": 4, "area": 5, "mean": 6.5, "peak": 7}
CHANGES = {
    "regions_found": 1, "pixels_changed": 5, "pixels_compared": 500, "share_changed": 0.01, "aligned": None,
    "shift": {"right": -1, "down": 2},
}  # fmt: skip
FAILURE = {"code": "image_sizes_differ", "message": "The two images differ in size."}


def diff_json(**changes: object) -> dict[str, object]:
    return {
        "id": ID,
        "state": "processing",
        "keep": False,
        "job": f"http://x/api/v1/jobs/{ID}/",
        "created": "2026-01-02T03:04:05Z",
        "finished": None,
        "before": {"photo": None, "name": "old.png", "width": 640, "height": 480},
        "after": {"photo": PHOTO, "name": "new", "width": None, "height": None},
        "failure": None,
        "changes": None,
        "picture": None,
        "options": {},
        "regions": [],
        **changes,
    }


def done_json(url: object = "http://x/p.png", **changes: object) -> dict[str, object]:
    picture = {"url": url, "bytes": 3, "width": 10, "height": 20}
    return diff_json(**{"state": "done", "changes": CHANGES, "regions": [REGION], "picture": picture, **changes})


def test_get_reads_every_field(api: Api, client: PhotosApiClient) -> None:
    api.script(api.answer(done_json(keep=True, finished="2026-01-02T03:04:05Z", brand_new=1)))
    diff = client.diffs.get(ID)
    assert diff == Diff(
        id=ID,
        state="done",
        keep=True,
        before=DiffSide(photo=None, name="old.png", width=640, height=480),
        after=DiffSide(photo=PHOTO, name="new", width=None, height=None),
        created=CREATED,
        finished=CREATED,
        changes=Changes(
            regions_found=1, pixels_changed=5, pixels_compared=500, share_changed=0.01, aligned=None, shift=(-1, 2)
        ),
        regions=(Region(x=1, y=2, width=3, height=4, area=5, mean=6.5, peak=7),),
        picture=DiffPicture(url="http://x/p.png", bytes=3, width=10, height=20),
    )
    assert diff.changed
    assert (api.received[0].method, api.received[0].path) == ("GET", f"/api/v1/diffs/{ID}/")


@pytest.mark.parametrize(
    "wrong",
    [{"id": 5}, {"keep": 1}, {"before": None}, {"regions": {}}, {"regions": [{}]}, {"changes": []}, {"picture": {}},
     {"changes": {**CHANGES, "share_changed": "all"}}],
)  # fmt: skip
def test_an_answer_with_a_field_of_another_type_is_not_understood(
    api: Api, client: PhotosApiClient, wrong: dict[str, object]
) -> None:
    api.script(api.answer(done_json(**wrong)))
    with pytest.raises(AnswerNotUnderstood):
        client.diffs.get(ID)


def test_two_files_go_up_in_one_form_with_what_was_asked(api: Api, client: PhotosApiClient, tmp_path: Path) -> None:
    old = tmp_path / "old.png"
    old.write_bytes(b"OLD" * 50_000)
    sent: list[tuple[int, int]] = []
    options = DiffOptions(threshold=3, ignore=[(1, 2, 3, 4), (5, 6, 7, 8)], noise="none", layout="blended")
    api.script(api.answer(diff_json(), status=202))
    diff = client.diffs.create(old, b"NEW", options, keep=True, progress=lambda done, total: sent.append((done, total)))
    assert diff.state == "processing"
    received = api.received[0]
    assert (received.method, received.path) == ("POST", "/api/v1/diffs/")
    fields = form(received)
    assert fields["before"] == b"OLD" * 50_000
    assert b'name="before"; filename="old.png"' in received.body
    assert fields["after"] == b"NEW"
    told = {name: value for name, value in fields.items() if name not in {"before", "after", "ignore"}}
    assert told == {
        "threshold": b"3",
        "noise": b"none",
        "layout": b"blended",
        "keep": b"true",
    }
    assert received.body.count(b'name="ignore"\r\n\r\n') == 2
    assert b"\r\n\r\n1,2,3,4\r\n" in received.body
    assert sent[-1] == (len(received.body), len(received.body))


def test_photos_are_named_by_their_ids(api: Api, client: PhotosApiClient) -> None:
    api.script(api.answer(diff_json(), status=202))
    client.diffs.create(Photo(name="a", id=PHOTO), b"NEW")
    fields = form(api.received[0])
    assert fields["before"] == PHOTO.encode()
    assert fields["after"] == b"NEW"


def test_with_a_key_a_broken_connection_is_tried_again(api: Api, client: PhotosApiClient) -> None:
    api.script(api.error(503, "unavailable"), api.answer(diff_json(), status=202))
    assert client.diffs.create(b"OLD", b"NEW", key="mine").id == ID
    assert [each.headers["Idempotency-Key"] for each in api.received] == ["mine", "mine"]
    assert api.received[0].body == api.received[1].body


def test_what_cannot_be_sent_is_refused_before_anything_is(api: Api, client: PhotosApiClient, tmp_path: Path) -> None:
    with pytest.raises(Unsendable):
        client.diffs.create(b"OLD", tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match="no id"):
        client.diffs.get("")
    assert api.received == []


@pytest.mark.parametrize(("status", "error"), [(400, Invalid), (404, NotFound), (413, TooLarge)])
def test_a_refusal_is_its_error(api: Api, client: PhotosApiClient, status: int, error: type[Exception]) -> None:
    api.script(api.error(status, "no"))
    with pytest.raises(error):
        client.diffs.create(b"OLD", b"NEW")


def test_list_follows_all_pages_and_sends_the_filters(api: Api, client: PhotosApiClient) -> None:
    summary = {name: value for name, value in done_json().items() if name not in {"regions", "options"}}
    following = f"{api.url}/api/v1/diffs/?cursor=a%3D&state=done"
    api.script(
        api.answer({"next": following, "previous": None, "results": [summary]}),
        api.answer({"next": None, "previous": None, "results": [{**summary, "id": "b"}]}),
    )
    found = client.diffs.list(state="done", changed=True, photo=Photo(name="", id=PHOTO), created_after=CREATED)
    assert [(diff.id, diff.regions) for diff in found] == [(ID, ()), ("b", ())]
    moment = "2026-01-02T03:04:05+00:00"
    assert api.received[0].query == {"state": "done", "changed": "true", "photo": PHOTO, "created_after": moment}
    assert api.received[1].query == {"cursor": "a=", "state": "done"}


def test_delete_asks_for_just_that(api: Api, client: PhotosApiClient) -> None:
    api.script(api.answer(status=204), api.error(404, "not_found"))
    client.diffs.delete(ID)
    assert (api.received[0].method, api.received[0].path) == ("DELETE", f"/api/v1/diffs/{ID}/")
    with pytest.raises(NotFound):
        client.diffs.delete(ID)


def test_waiting_ends_with_what_it_came_to(api: Api, client: PhotosApiClient, clock: FakeClock) -> None:
    api.script(api.answer(diff_json()), api.answer(done_json()))
    assert client.diffs.wait_until_done(ID).state == "done"
    api.script(api.answer(diff_json(state="failed", failure=FAILURE)))
    with pytest.raises(DiffFailed, match="differ in size") as failed:
        client.diffs.wait_until_done(ID)
    assert failed.value.diff.failure == Failure(code="image_sizes_differ", message="The two images differ in size.")
    api.script(*[api.answer(diff_json())] * 60)
    with pytest.raises(DiffNotDone, match="still processing after 5 s"):
        client.diffs.wait_until_done(ID, timeout_s=5)
    api.steps.clear()


def test_the_picture_is_fetched_without_the_token_and_an_expired_url_renewed(
    api: Api, client: PhotosApiClient, elsewhere: Api
) -> None:
    diff = Diff.from_json(done_json(f"{elsewhere.url}/old.png?signature=1"))  # type: ignore[arg-type]
    elsewhere.script(elsewhere.error(403, ""), elsewhere.raw(b"PNG"))
    api.script(api.answer(done_json(f"{elsewhere.url}/new.png?signature=2")))
    assert client.diffs.download(diff) == b"PNG"
    assert [each.path for each in elsewhere.received] == ["/old.png", "/new.png"]
    assert all("Authorization" not in each.headers for each in elsewhere.received)
    api.script(api.answer(diff_json()))
    with pytest.raises(NoPicture, match="it is processing"):
        client.diffs.download(ID)


@pytest.fixture
def ht(api: Api, tmp_path: Path) -> Ht:
    for name in ("old.png", "new.png"):
        (tmp_path / name).write_bytes(name.encode())
    return Ht(api.url, tmp_path)


Words = tuple[str, ...]
WORDS: Words = ("--password-file", "password", "diff", "old.png", "new.png")


def test_a_change_ends_with_one_prints_its_box_and_leaves_a_picture(api: Api, ht: Ht, elsewhere: Api) -> None:
    url = f"{elsewhere.url}/p.png?signature=1"
    api.script(api.answer(diff_json(), status=202), api.answer(done_json(url)))
    elsewhere.script(elsewhere.raw(b"PNG"))
    ran = ht(*WORDS, "--ignore", "1,2,3,4", "--alignment", "pad", check=None)
    assert (ran.status, ran.out) == (1, "1\t2\t3\t4\t5\t6\t7\n")
    assert "1 region, 1.000% of the pixels; the second stands -1 right and 2 down of the first" in ran.err
    assert (ht.folder / "old-new.diff.png").read_bytes() == b"PNG"
    fields = form(api.received[0])
    assert {name: fields[name] for name in ("ignore", "alignment")} == {"ignore": b"1,2,3,4", "alignment": b"pad"}
    assert "keep" not in fields


def test_no_change_ends_with_zero_and_leaves_no_picture(api: Api, ht: Ht) -> None:
    same = done_json(changes={**CHANGES, "regions_found": 0}, regions=[])
    api.script(api.answer(diff_json(), status=202), api.answer(same))
    ran = ht(*WORDS, check=0)
    assert ran.out == ""
    assert list(ht.folder.glob("*.diff.png")) == []


def test_json_tells_all_but_the_pictures_url(api: Api, ht: Ht, elsewhere: Api) -> None:
    url = f"{elsewhere.url}/p.png?signature=1"
    api.script(api.answer(diff_json(), status=202), api.answer(done_json(url)))
    elsewhere.script(elsewhere.raw(b"PNG"))
    ran = ht(*WORDS, "--json", "--picture", "where.png", check=1)
    told = json.loads(ran.out)
    assert (told["regions"], told["file"]) == ([REGION], "where.png")
    assert told["picture"] == {"bytes": 3, "width": 10, "height": 20}
    assert "signature" not in ran.out
    assert (ht.folder / "where.png").read_bytes() == b"PNG"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("diff", "old.png", "nowhere.png"), "cannot be read"),
        (("diff", "old.png", "new.png", "--ignore", "1,2"), "is not X,Y,W,H"),
        (("diff", "old.png"), "AFTER"),
        (("diff", "old.png", "new.png", "--noise", "some"), "some"),
    ],
)
def test_trouble_of_ones_own_ends_with_two(ht: Ht, words: Words, told: str) -> None:
    ran = ht("--password-file", "password", *words, check=2)
    assert told in ran.err
    assert ran.out == ""


def test_trouble_there_ends_with_two_and_one_line(api: Api, ht: Ht) -> None:
    steps: list[Callable[..., None]] = [api.answer(diff_json(state="failed", failure=FAILURE))]
    api.script(api.answer(diff_json(), status=202), *steps, api.error(404, "not_found", "There is no such photo."))
    ran = ht(*WORDS, check=2)
    assert ran.err == f"error: Comparison {ID} failed: The two images differ in size.\n"
    ran = ht("--password-file", "password", "diff", f"photo:{PHOTO}", "new.png", check=2)
    assert "There is no such photo." in ran.err
    assert form(api.received[-1])["before"] == PHOTO.encode()
