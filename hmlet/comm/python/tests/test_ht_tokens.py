from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import pytest
from ht.api_clients.photos import Photo, PhotosApiClient
from ht.errors import AnswerNotUnderstood, NotSignedIn, ServerError
from ht.tokens import KeptTokens, TokenPair, lifetime_s
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from conftest import Api, FakeClock

PhotoJson = Callable[..., dict[str, object]]


def bearers(api: Api) -> list[str]:
    return [received.headers["Authorization"] for received in api.received]


def test_signing_in_happens_on_first_need_and_once(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    assert api.connections == 0
    api.script(api.answer(photo_json()), api.answer(photo_json()))
    client.photos.get(1)
    client.photos.get(2)
    assert [request.json for request in api.token_requests] == [{"username": "ann", "password": "correct horse"}]
    assert len(set(bearers(api))) == 1
    assert bearers(api)[0].startswith("Bearer ey")


def test_the_token_is_renewed_shortly_before_it_expires_whatever_the_servers_clock(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson
) -> None:
    api.script(*[api.answer(photo_json())] * 3)
    client.photos.get(1)
    clock.now_s += api.token_life_s - 31
    client.photos.get(1)
    clock.now_s += 2
    client.photos.get(1)
    assert [request.path for request in api.token_requests] == ["/api/v1/token/", "/api/v1/token/refresh/"]
    first, second, third = bearers(api)
    assert first == second != third


def test_a_refresh_that_gives_no_new_refresh_token_keeps_the_old(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson
) -> None:
    pair = {"access": api.token(iat=1, exp=301), "refresh": "first"}
    api.token_steps.extend([api.answer(pair), api.answer({"access": api.token(iat=1, exp=301)}), api.answer(pair)])
    api.script(*[api.answer(photo_json())] * 3)
    for _ in range(3):
        client.photos.get(1)
        clock.now_s += 300
    assert [request.json for request in api.token_requests[1:]] == [{"refresh": "first"}, {"refresh": "first"}]


def test_a_refused_token_is_renewed_and_the_request_repeated(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    api.script(api.error(401, "token_not_valid"), api.answer(photo_json(), status=201))
    client.photos.create(Photo(name="Sunrise", image=b"x"))
    assert [request.path for request in api.token_requests] == ["/api/v1/token/", "/api/v1/token/refresh/"]
    first, second = bearers(api)
    assert first != second
    sizes = {received.headers["Content-Length"] for received in api.received}
    assert sizes == {str(len(received.body)) for received in api.received}


def test_a_refused_refresh_signs_in_again(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    pair = {"access": api.token(iat=1, exp=301), "refresh": "old"}
    api.token_steps.extend([api.answer(pair), api.error(401, "token_not_valid")])
    api.script(api.error(401, "token_not_valid"), api.answer(photo_json()))
    client.photos.get(1)
    assert [request.path.split("/")[-2] for request in api.token_requests] == ["token", "refresh", "token"]


def test_a_user_who_is_refused_with_a_fresh_token_is_told_after_one_repetition(
    api: Api, client: PhotosApiClient
) -> None:
    api.script(api.error(401, "user_inactive"), api.error(401, "user_inactive"))
    with pytest.raises(NotSignedIn, match="user_inactive"):
        client.photos.get(1)


def test_a_wrong_password_is_told_without_showing_it(api: Api, client: PhotosApiClient) -> None:
    api.token_steps.append(api.error(401, "no_active_account", message="No account ann with 'correct horse'"))
    with pytest.raises(NotSignedIn) as caught:
        client.photos.list()
    assert str(caught.value) == "No account ann with '***' (HTTP 401, no_active_account, request r-1)"
    assert "correct horse" not in repr(caught.value) + repr(vars(caught.value))
    assert not api.received


def test_no_repr_shows_a_secret(client: PhotosApiClient) -> None:
    pair = TokenPair(access="aaa", refresh="bbb", renew_at_s=None)
    assert repr(pair) == "TokenPair(renew_at_s=None)"
    assert "correct horse" not in repr(client)


@pytest.mark.parametrize(
    "answer", [{}, {"access": None}, {"access": "a\r\nX-Evil: 1"}, {"access": "tökén"}, {"access": ""}, []]
)
def test_an_answer_without_a_token_is_not_understood(api: Api, client: PhotosApiClient, answer: object) -> None:
    api.token_steps.append(api.answer(answer))
    with pytest.raises(AnswerNotUnderstood, match="token"):
        client.photos.list()


def test_threads_share_one_signing_in_and_one_renewal(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson
) -> None:
    api.script(*[api.answer(photo_json())] * 32)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client.photos.get, range(16)))
        clock.now_s += api.token_life_s
        list(pool.map(client.photos.get, range(16)))
    assert [request.path.split("/")[-2] for request in api.token_requests] == ["token", "refresh"]


def test_threads_whose_token_is_refused_renew_it_once(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json()))
    client.photos.get(1)
    stale = bearers(api)[0]

    def by_token(handler, received):  # type: ignore[no-untyped-def]
        refused = received.headers["Authorization"] == stale
        (api.error(401, "token_not_valid") if refused else api.answer(photo_json()))(handler, received)
        if refused:
            api.script(by_token)

    api.script(*[by_token] * 8)
    with ThreadPoolExecutor(8) as pool:
        photos = list(pool.map(client.photos.get, range(8)))
    assert len(photos) == 8
    assert [request.path.split("/")[-2] for request in api.token_requests] == ["token", "refresh"]


def test_the_lifetime_does_not_depend_on_the_clocks(api: Api) -> None:
    assert lifetime_s(api.token(iat=1_000, exp=1_300), now_s=9e9) == 300
    assert lifetime_s(api.token(exp=1_300), now_s=1_000) == 300
    assert lifetime_s(api.token(exp=1_300), now_s=2_000) == 0


@given(st.text() | st.from_regex(r"[a-zA-Z0-9_-]*\.[a-zA-Z0-9_-]*\.[a-zA-Z0-9_-]*", fullmatch=True))
def test_what_is_no_jwt_has_no_lifetime(token: str) -> None:
    assert lifetime_s(token, now_s=0.0) is None


@pytest.mark.parametrize("expires", [None, "soon", True, -5, 1e300, [1]])
def test_an_expiry_that_makes_no_sense_is_none(api: Api, expires: object) -> None:
    assert lifetime_s(api.token(iat=1, exp=expires), now_s=0.0) is None


def test_errors_survive_pickling(api: Api, client: PhotosApiClient) -> None:
    api.token_steps.append(api.error(401, "no_active_account"))
    with pytest.raises(NotSignedIn) as caught:
        client.photos.list()
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 our own bytes
    assert (str(again), again.code) == (str(caught.value), "no_active_account")


class Kept:
    """A TokenStore in memory."""

    def __init__(self, tokens: KeptTokens | None = None) -> None:
        self.tokens = tokens

    def load(self) -> KeptTokens | None:
        return self.tokens

    def save(self, tokens: KeptTokens) -> None:
        self.tokens = tokens

    def forget(self) -> None:
        self.tokens = None

    def locked(self) -> AbstractContextManager[None]:
        return nullcontext()


def test_kept_tokens_need_no_password(api: Api, clock: FakeClock, photo_json: PhotoJson) -> None:
    kept = Kept(KeptTokens(access="a.b.c", refresh="r", renew_at=clock.time() + 60))
    api.script(api.answer(photo_json()))
    with PhotosApiClient(api.url, clock=clock, tokens=kept) as client:
        client.photos.get(1)
    assert bearers(api) == ["Bearer a.b.c"]
    assert not api.token_requests


def test_tokens_that_another_process_renewed_meanwhile_are_taken(
    api: Api, clock: FakeClock, photo_json: PhotoJson
) -> None:
    kept = Kept(KeptTokens(access="a.b.old", refresh="r", renew_at=clock.time() + 60))
    api.script(api.answer(photo_json()), api.answer(photo_json()))
    with PhotosApiClient(api.url, clock=clock, tokens=kept) as client:
        client.photos.get(1)
        clock.sleep(61)
        kept.tokens = KeptTokens(access="a.b.new", refresh="r2", renew_at=clock.time() + 60)
        client.photos.get(1)
    assert bearers(api) == ["Bearer a.b.old", "Bearer a.b.new"]
    assert not api.token_requests


def test_kept_tokens_that_are_refused_are_renewed_and_kept(api: Api, clock: FakeClock, photo_json: PhotoJson) -> None:
    kept = Kept(KeptTokens(access="a.b.c", refresh="r", renew_at=None))
    api.script(api.error(401, "token_not_valid"), api.answer(photo_json()))
    with PhotosApiClient(api.url, clock=clock, tokens=kept) as client:
        client.photos.get(1)
    assert [request.json for request in api.token_requests] == [{"refresh": "r"}]
    assert kept.tokens is not None
    assert bearers(api)[1] == f"Bearer {kept.tokens.access}"
    assert kept.tokens.renew_at == pytest.approx(clock.time() + 270, abs=1)


def test_without_tokens_or_password_nobody_is_signed_in(api: Api, clock: FakeClock) -> None:
    with PhotosApiClient(api.url, clock=clock, tokens=Kept()) as client, pytest.raises(NotSignedIn):
        client.photos.get(1)
    assert api.connections == 0


def test_signing_in_leaves_kept_tokens_aside_and_replaces_them(api: Api, clock: FakeClock) -> None:
    kept = Kept(KeptTokens(access="a.b.c", refresh="r", renew_at=clock.time() + 60))
    with PhotosApiClient(api.url, "ann", "correct horse", clock=clock, tokens=kept) as client:
        client.sign_in()
    assert [request.path for request in api.token_requests] == ["/api/v1/token/"]
    assert kept.tokens is not None
    assert kept.tokens.access != "a.b.c"


def paths(api: Api) -> list[str]:
    return [request.path.removeprefix("/api/v1/token/") for request in api.token_requests]


def test_each_refresh_uses_the_token_that_the_one_before_gave(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson
) -> None:
    pairs = [{"access": api.token(iat=1, exp=301), "refresh": f"refresh-{n}"} for n in range(3)]
    api.token_steps.extend([api.answer(pair) for pair in pairs])
    api.script(*[api.answer(photo_json())] * 3)
    for _ in range(3):
        client.photos.get(1)
        clock.now_s += 300
    assert [request.json for request in api.token_requests[1:]] == [{"refresh": "refresh-0"}, {"refresh": "refresh-1"}]
    keys = [request.headers["Idempotency-Key"] for request in api.token_requests[1:]]
    assert len(set(keys)) == 2


def test_a_refresh_whose_answer_is_lost_is_sent_again_under_its_key(
    api: Api, client: PhotosApiClient, clock: FakeClock, photo_json: PhotoJson
) -> None:
    api.script(api.answer(photo_json()), api.answer(photo_json()))
    client.photos.get(1)
    clock.now_s += api.token_life_s
    api.token_steps.append(api.drop_after_body)
    client.photos.get(1)
    assert paths(api) == ["", "refresh/", "refresh/"]
    first, second = api.token_requests[1:]
    assert first.json == second.json
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_a_process_that_died_before_it_kept_its_tokens_has_the_next_repeat_the_same_refresh(
    api: Api, clock: FakeClock, photo_json: PhotoJson
) -> None:
    kept = Kept(KeptTokens(access="a.b.c", refresh="r", renew_at=0.0, refresh_key="the-key"))
    api.script(api.answer(photo_json()))
    with PhotosApiClient(api.url, clock=clock, tokens=kept) as client:
        client.photos.get(1)
    assert api.token_requests[0].headers["Idempotency-Key"] == "the-key"
    assert kept.tokens is not None
    assert kept.tokens.refresh_key not in {"", "the-key"}


def test_an_old_token_is_not_used_where_another_process_has_used_it(
    api: Api, clock: FakeClock, photo_json: PhotoJson
) -> None:
    kept = Kept(KeptTokens(access="a.b.old", refresh="used", renew_at=clock.time() + 60))
    api.script(api.answer(photo_json()), api.answer(photo_json()))
    with PhotosApiClient(api.url, clock=clock, tokens=kept) as client:
        client.photos.get(1)
        clock.sleep(200)
        kept.tokens = KeptTokens(access="a.b.older", refresh="unused", renew_at=clock.time() - 60)
        client.photos.get(1)
    assert [request.json for request in api.token_requests] == [{"refresh": "unused"}]


def test_logout_ends_the_sign_in_and_what_is_asked_later_signs_in_anew(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    client.logout()
    assert not api.connections
    pair = {"access": api.token(iat=1, exp=301), "refresh": "mine"}
    api.token_steps.extend([api.answer(pair), api.answer(None, status=204)])
    api.script(api.answer(photo_json()), api.answer(photo_json()))
    client.photos.get(1)
    client.logout()
    client.photos.get(1)
    assert paths(api) == ["", "revoke/", ""]
    assert api.token_requests[1].json == {"refresh": "mine"}


def test_logout_forgets_kept_tokens_even_those_that_have_ended(api: Api, clock: FakeClock) -> None:
    kept = Kept(KeptTokens(access="a.b.c", refresh="r", renew_at=None))
    api.token_steps.append(api.error(401, "token_not_valid"))
    with PhotosApiClient(api.url, clock=clock, tokens=kept) as client:
        client.logout()
        with pytest.raises(NotSignedIn):
            client.photos.get(1)
    assert kept.tokens is None


def test_logout_that_the_server_does_not_hear_of_keeps_the_tokens(api: Api, clock: FakeClock) -> None:
    kept = Kept(KeptTokens(access="a.b.c", refresh="r", renew_at=None))
    api.token_steps.extend([api.error(503, "unavailable")] * 4)
    with PhotosApiClient(api.url, clock=clock, tokens=kept) as client, pytest.raises(ServerError):
        client.logout()
    assert kept.tokens is not None
