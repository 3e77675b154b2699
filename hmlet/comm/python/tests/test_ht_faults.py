"""Broken connections, slow servers, servers that are not the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests
from ht.api_clients.photos import Photo, PhotosApiClient
from ht.errors import (
    AnswerNotUnderstood,
    ApiError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    Throttled,
    TimedOut,
    TooLarge,
)
from ht.retry import backoff_delay_s, retry_after_s
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from conftest import Api, FakeClock

PhotoJson = Callable[..., dict[str, object]]
NEW = Photo(name="Sunrise", image=b"x" * 100_000)


@pytest.mark.parametrize("status", [502, 503, 504, 429])
def test_a_get_is_repeated_when_the_server_is_busy(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson, status: int
) -> None:
    api.script(api.raw(b"<html>", status=status), api.raw(b"<html>", status=status), api.answer(photo_json()))
    assert client.photos.get(7).id == 7
    first, second = clock.pauses_s
    assert 0.1 <= first <= 0.2 <= second <= 0.4


@pytest.mark.parametrize("fault", ["drop_before_body", "drop_after_body"])
def test_a_get_is_repeated_when_the_connection_breaks(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson, fault: str
) -> None:
    api.script(getattr(api, fault), api.answer(photo_json()))
    assert client.photos.get(7).id == 7


def test_a_get_is_repeated_when_the_answer_is_cut(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.raw(b'{"id": 7', claimed_size=500), api.answer(photo_json()))
    assert client.photos.get(7).id == 7


def test_repetitions_end(api: Api, client: PhotosApiClient, clock: FakeClock) -> None:
    api.script(*[api.drop_after_body] * 4)
    with pytest.raises(ConnectionFailed, match=r"GET http://127.*/api/v1/photos/7/: ") as caught:
        client.photos.get(7)
    assert caught.value.may_have_arrived
    assert caught.value.transient
    assert len(clock.pauses_s) == 3


def test_the_last_status_is_told_when_repetitions_end(api: Api, client: PhotosApiClient) -> None:
    api.script(*[api.error(503, "busy")] * 4)
    with pytest.raises(ServerError, match="busy") as caught:
        client.photos.get(7)
    assert caught.value.status == 503


def test_a_server_error_proper_is_not_repeated(api: Api, client: PhotosApiClient) -> None:
    api.script(api.error(500, "bug"))
    with pytest.raises(ServerError):
        client.photos.get(7)


@pytest.mark.parametrize("fault", ["drop_before_body", "drop_after_body"])
def test_a_create_whose_connection_broke_is_not_repeated(api: Api, client: PhotosApiClient, fault: str) -> None:
    api.script(getattr(api, fault))
    with pytest.raises(ConnectionFailed, match="may have done it") as caught:
        client.photos.create(NEW)
    assert caught.value.may_have_arrived
    assert len(api.received) == 1


def test_a_create_whose_answer_was_cut_is_not_repeated(api: Api, client: PhotosApiClient) -> None:
    api.script(api.raw(b'{"id": 7', status=201, claimed_size=500))
    with pytest.raises(ConnectionFailed, match="ended before its end"):
        client.photos.create(NEW)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_create_that_was_answered_is_not_repeated(api: Api, client: PhotosApiClient, status: int) -> None:
    api.script(api.error(status, "busy"))
    with pytest.raises(ApiError) as caught:
        client.photos.create(NEW)
    assert caught.value.status == status


class ConnectsToNobodyFirst(HTTPAdapter):
    """Sends the first uploads to a port where nobody listens, the rest where they should go."""

    def __init__(self, dead_port: int, times: int) -> None:
        super().__init__()
        self.dead_port = dead_port
        self.times = times

    def send(self, request: requests.PreparedRequest, *args: object, **kwargs: object) -> requests.Response:
        url = request.url
        if self.times and request.body is not None and request.url is not None and "photos" in request.url:
            self.times -= 1
            request.url = f"http://127.0.0.1:{self.dead_port}/"
        try:
            return super().send(request, *args, **kwargs)  # type: ignore[arg-type]
        finally:
            request.url = url


def test_a_create_is_repeated_whole_when_no_connection_was_made(
    api: Api, clock: FakeClock, free_port: int, photo_json: PhotoJson
) -> None:
    api.script(api.answer(photo_json(), status=201))
    transport = ConnectsToNobodyFirst(free_port, times=2)
    with PhotosApiClient(api.url, "ann", "correct horse", clock=clock, transport=transport) as client:
        client.photos.create(NEW)
    assert len(clock.pauses_s) == 2
    assert len(api.received[0].body) == int(api.received[0].headers["Content-Length"])


def test_nobody_listening_is_told(clock: FakeClock, free_port: int) -> None:
    with (
        PhotosApiClient(f"http://127.0.0.1:{free_port}", clock=clock) as client,
        pytest.raises(ConnectionFailed, match=r"Connection refused$") as caught,
    ):
        client.photos.create(NEW)
    assert not caught.value.may_have_arrived
    assert len(clock.pauses_s) == 3


def test_a_host_that_does_not_exist_is_told(clock: FakeClock) -> None:
    with (
        PhotosApiClient("http://nowhere.invalid", clock=clock, retries=0) as client,
        pytest.raises(ConnectionFailed, match=r"nowhere\.invalid") as caught,
    ):
        client.photos.get(1)
    assert not caught.value.may_have_arrived


def test_plain_http_behind_https_is_told_and_not_repeated(api: Api, clock: FakeClock) -> None:
    with (
        PhotosApiClient(api.url.replace("http", "https"), clock=clock) as client,
        pytest.raises(ConnectionFailed, match="TLS") as caught,
    ):
        client.photos.get(1)
    assert not caught.value.transient
    assert clock.pauses_s == []


@pytest.mark.parametrize("fault", ["fall_silent", "fall_silent_in_body"])
def test_a_silent_server_times_out(api: Api, hasty_client: PhotosApiClient, fault: str) -> None:
    api.script(getattr(api, fault), getattr(api, fault))
    with pytest.raises(TimedOut, match=r"waiting for the server$"):
        hasty_client.photos.get(7)


def test_a_create_that_times_out_is_not_repeated(api: Api, hasty_client: PhotosApiClient) -> None:
    api.script(api.fall_silent)
    with pytest.raises(TimedOut, match="look before you repeat it") as caught:
        hasty_client.photos.create(NEW)
    assert caught.value.may_have_arrived


def test_an_upload_that_the_server_does_not_take_times_out(api: Api, clock: FakeClock) -> None:
    api.script(api.read_nothing)
    with (
        PhotosApiClient(api.url, clock=clock, timeout_s=0.3) as client,
        pytest.raises(TimedOut, match="look before you repeat it"),
    ):
        client.photos.create(Photo(name="Sunrise", image=bytes(32 * 1024 * 1024)))


@pytest.mark.parametrize("lost", ["drop_after_body", "raw_503"])
def test_a_delete_done_by_a_lost_attempt_is_done(api: Api, client: PhotosApiClient, lost: str) -> None:
    api.script(api.raw(b"", status=503) if lost == "raw_503" else api.drop_after_body, api.error(404, "not_found"))
    client.photos.delete(7)


def test_a_delete_after_a_throttled_attempt_tells_that_there_is_none(api: Api, client: PhotosApiClient) -> None:
    api.script(api.error(429, "throttled"), api.error(404, "not_found"))
    with pytest.raises(NotFound):
        client.photos.delete(7)


def test_the_pause_that_the_server_asks_for_is_kept(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson
) -> None:
    api.script(api.error(429, "throttled", headers={"Retry-After": "7"}), api.answer(photo_json()))
    client.photos.get(7)
    assert clock.pauses_s == [7.0]


def test_a_longer_pause_is_left_to_the_caller(api: Api, client: PhotosApiClient, clock: FakeClock) -> None:
    api.script(api.error(429, "throttled", headers={"Retry-After": "3600"}))
    with pytest.raises(Throttled) as caught:
        client.photos.get(7)
    assert caught.value.retry_after_s == 3600
    assert clock.pauses_s == []


def test_signing_in_is_repeated_too(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.token_steps.extend([api.drop_after_body, api.error(503, "busy")])
    api.script(api.answer(photo_json()))
    assert client.photos.get(7).id == 7
    assert len(api.token_requests) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Invalid), (403, Forbidden), (404, NotFound), (409, Conflict), (413, TooLarge), (418, ApiError)],
)
@pytest.mark.parametrize("content", [b"<html>nginx</html>", b"", b"[1]", b'{"errors": {"name": "x"}, "code": 5}'])
def test_an_error_in_whatever_shape_is_an_api_error(
    api: Api, client: PhotosApiClient, status: int, kind: type[ApiError], content: bytes
) -> None:
    api.script(api.raw(content, status=status))
    with pytest.raises(ApiError, match=f"HTTP {status}") as caught:
        client.photos.get(7)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "content", [b"<html>", b"", b'{"id": ', b"\xff\xfe", b"[" * 100_000, b"null", b"[]", b'"text"', b"7"]
)
def test_an_answer_that_is_no_photo_is_not_understood(api: Api, client: PhotosApiClient, content: bytes) -> None:
    api.script(api.raw(content))
    with pytest.raises(AnswerNotUnderstood):
        client.photos.get(7)


def test_a_broken_compression_is_not_understood(api: Api, client: PhotosApiClient) -> None:
    api.script(api.raw(b"no gzip", headers={"Content-Encoding": "gzip"}))
    with pytest.raises(AnswerNotUnderstood, match="compression"):
        client.photos.get(7)


def test_a_redirect_is_not_followed_with_the_token(api: Api, elsewhere: Api, client: PhotosApiClient) -> None:
    api.script(api.answer(status=301, headers={"Location": f"{elsewhere.url}/api/v1/photos/7/?k=secret"}))
    with pytest.raises(AnswerNotUnderstood, match="make base_url say so") as caught:
        client.photos.get(7)
    assert elsewhere.connections == 0
    assert "secret" not in str(caught.value)


def test_no_cookie_is_kept(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json(), headers={"Set-Cookie": "sessionid=1"}), api.answer(photo_json()))
    client.photos.get(7)
    client.photos.get(7)
    assert "Cookie" not in api.received[1].headers


def test_a_failure_is_not_chained_to_one_that_holds_the_request(api: Api, hasty_client: PhotosApiClient) -> None:
    api.script(api.drop_after_body)
    with pytest.raises(ConnectionFailed) as caught:
        hasty_client.photos.create(NEW)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_backoff_doubles_up_to_a_ceiling() -> None:
    for attempt, ceiling_s in [(0, 0.2), (1, 0.4), (5, 6.4), (6, 10.0), (10_000, 10.0)]:
        assert ceiling_s / 2 <= backoff_delay_s(attempt) <= ceiling_s


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("12", 12.0),
        ("-1", None),
        ("soon", None),
        ("²", None),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 50.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
    ],
)
def test_retry_after_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, now_s=10.0) == seconds


def test_an_error_does_not_say_the_same_twice() -> None:
    message = "Choose another name."
    error = ApiError(409, code="name_taken", message=message, field_errors={"name": (message,), "draft": ("Must be.",)})
    assert str(error) == "Choose another name. draft: Must be. (HTTP 409, name_taken)"
