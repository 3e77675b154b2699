from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from ht.api_clients.jobs import Job, JobEvent, JobFailure, JobPicture
from ht.api_clients.photos import PhotosApiClient
from ht.errors import AnswerNotUnderstood, Conflict, Invalid, JobFailed, JobNotDone, NotFound, NoThumbnail
from test_ht_photos import form

if TYPE_CHECKING:
    from conftest import Api, FakeClock, Handler, Received

JobJson = Callable[..., dict[str, object]]
ID = "0b8c3c0e-6f58-4d8e-9a54-6f4d5f3f9f10"
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def job_json(**changes: object) -> dict[str, object]:
    return {
        "id": ID,
        "kind": "file_thumbnail",
        "state": "queued",
        "username": "ann",
        "name": "cat.png",
        "attempts": 0,
        "created": "2026-01-02T03:04:05Z",
        "started": None,
        "finished": None,
        "failure": None,
        "timeline": [{"event": "queued", "at": "2026-01-02T03:04:05Z", "attempt": 1, "code": "", "message": ""}],
        "original": {"path": "cat.png", "bytes": 9, "width": 640, "height": 480},
        "thumbnail": None,
        **changes,
    }


FAILURE = {"code": "image_truncated", "message": "The file ends early.", "retryable": False}


def redirect(location: str) -> Callable[[Handler, Received], None]:
    def step(handler: Handler, received: Received) -> None:
        handler.read_body(received)
        handler.send(303, b"", {"Location": location})

    return step


def test_get_reads_every_field(api: Api, client: PhotosApiClient) -> None:
    thumbnail = {"path": "http://x/thumbnail/", "bytes": 5, "width": 100, "height": 75}
    api.script(api.answer(job_json(state="failed", attempts=1, failure=FAILURE, thumbnail=thumbnail, brand_new=1)))
    assert client.jobs.get(ID) == Job(
        id=ID,
        kind="file_thumbnail",
        state="failed",
        name="cat.png",
        username="ann",
        attempts=1,
        created=CREATED,
        failure=JobFailure(code="image_truncated", message="The file ends early.", retryable=False),
        timeline=(JobEvent(event="queued", at=CREATED, attempt=1),),
        original=JobPicture(path="cat.png", bytes=9, width=640, height=480),
        thumbnail=JobPicture(path="http://x/thumbnail/", bytes=5, width=100, height=75),
    )
    assert api.received[0].path == f"/api/v1/jobs/{ID}/"


@pytest.mark.parametrize("wrong", [{"id": 5}, {"state": None}, {"timeline": {}}, {"attempts": "1"}, {"original": []}])
def test_an_answer_with_a_field_of_another_type_is_not_understood(
    api: Api, client: PhotosApiClient, wrong: dict[str, object]
) -> None:
    api.script(api.answer(job_json(**wrong)))
    with pytest.raises(AnswerNotUnderstood):
        client.jobs.get(ID)


def test_list_follows_all_pages_and_sends_the_filters(api: Api, client: PhotosApiClient) -> None:
    following = f"{api.url}/api/v1/jobs/?cursor=a%3D&state=failed"
    api.script(
        api.answer({"next": following, "previous": None, "results": [job_json(id="a"), job_json(id="b")]}),
        api.answer({"next": None, "previous": None, "results": [job_json(id="c")]}),
    )
    jobs = client.jobs.list(state="failed", kind="thumbnail", owner="me", created_after=CREATED, created_before=CREATED)
    assert [job.id for job in jobs] == ["a", "b", "c"]
    moment = "2026-01-02T03:04:05+00:00"
    assert api.received[0].query == {
        "state": "failed",
        "kind": "thumbnail",
        "owner": "me",
        "created_after": moment,
        "created_before": moment,
    }
    assert api.received[1].query == {"cursor": "a=", "state": "failed"}


def test_iterate_asks_for_a_page_when_it_is_needed(api: Api, client: PhotosApiClient) -> None:
    following = f"{api.url}/api/v1/jobs/?cursor=a"
    api.script(api.answer({"next": following, "previous": None, "results": [job_json()]}))
    assert next(client.jobs.iterate()).id == ID
    assert len(api.received) == 1


@pytest.mark.parametrize("what", ["retry", "cancel"])
def test_retry_and_cancel_give_the_job_as_it_is_then(api: Api, client: PhotosApiClient, what: str) -> None:
    api.script(api.answer(job_json(state="cancelled")), api.error(409, f"job_not_{what}able"))
    act = getattr(client.jobs, what)
    assert act(Job(id=ID, kind="thumbnail", state="failed")).state == "cancelled"
    assert (api.received[0].method, api.received[0].path) == ("POST", f"/api/v1/jobs/{ID}/{what}/")
    with pytest.raises(Conflict):
        act(ID)


def test_a_job_without_an_id_is_refused_before_anything_is_sent(client: PhotosApiClient) -> None:
    with pytest.raises(ValueError, match="no id"):
        client.jobs.get("")


def test_the_thumbnail_is_fetched_where_the_api_points_without_the_token(
    api: Api, client: PhotosApiClient, elsewhere: Api
) -> None:
    api.script(redirect(f"{elsewhere.url}/bucket/small.jpg?signature=1"))
    elsewhere.script(elsewhere.raw(b"JPEG"))
    assert client.jobs.thumbnail(ID) == b"JPEG"
    assert api.received[0].path == f"/api/v1/jobs/{ID}/thumbnail/"
    assert "Authorization" in api.received[0].headers
    assert "Authorization" not in elsewhere.received[0].headers


def test_no_thumbnail_and_no_job_are_told_apart(api: Api, client: PhotosApiClient) -> None:
    api.script(api.error(404, "no_thumbnail", "None yet."), api.error(404, "not_found"), api.answer(job_json()))
    with pytest.raises(NoThumbnail, match="None yet"):
        client.jobs.thumbnail(ID)
    with pytest.raises(NotFound):
        client.jobs.thumbnail(ID)
    with pytest.raises(AnswerNotUnderstood, match="expected a redirect"):
        client.jobs.thumbnail(ID)


def test_wait_until_done_looks_again_with_growing_pauses(api: Api, client: PhotosApiClient, clock: FakeClock) -> None:
    api.script(*(api.answer(job_json(state=state)) for state in ("queued", "running", "done")))
    assert client.jobs.wait_until_done(ID).state == "done"
    assert clock.pauses_s == sorted(clock.pauses_s)
    assert len(clock.pauses_s) == 2


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_wait_until_done_raises_the_reason_of_one_that_ended_otherwise(
    api: Api, client: PhotosApiClient, state: str
) -> None:
    api.script(api.answer(job_json(state=state, failure=FAILURE)))
    with pytest.raises(JobFailed, match=f"{state}: The file ends early") as caught:
        client.jobs.wait_until_done(ID)
    assert caught.value.job.failure is not None


def test_wait_until_done_ends_after_its_time(api: Api, client: PhotosApiClient, clock: FakeClock) -> None:
    api.script(*[api.answer(job_json(state="running"))] * 4)
    with pytest.raises(JobNotDone, match=r"still running after 0\.3 s") as caught:
        client.jobs.wait_until_done(ID, timeout_s=0.3)
    assert caught.value.transient
    assert sum(clock.pauses_s) == pytest.approx(0.3)


def test_an_image_is_sent_for_a_thumbnail_alone(api: Api, client: PhotosApiClient) -> None:
    seen: list[tuple[int, int]] = []
    api.script(api.answer(job_json(), status=202), api.answer(job_json(), status=202))
    job = client.thumbnails.create(io.BytesIO(b"an image"), box=(320, 200), progress=lambda *sent: seen.append(sent))
    assert (job.id, job.state) == (ID, "queued")
    assert (api.received[0].method, api.received[0].path) == ("POST", "/api/v1/thumbnails/")
    assert form(api.received[0]) == {"box": b"320x200", "image": b"an image"}
    assert seen[-1][0] == seen[-1][1]
    client.thumbnails.create(b"an image")
    assert form(api.received[1]) == {"image": b"an image"}


def test_a_box_that_is_none_is_told_by_the_server(api: Api, client: PhotosApiClient) -> None:
    api.script(api.error(400, "invalid"))
    with pytest.raises(Invalid):
        client.thumbnails.create(b"an image", box=(0, 0))
