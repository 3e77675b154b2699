"""Signing in, going on and signing out by tokens."""

import base64
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from access.errors import TokenRefused
from access.models import SignIn
from access.retention import access_sweep
from access.services import sign_in_begin, sign_in_refresh
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

URL = "/api/v1/token/"
PHOTOS = "/api/v1/photos/"
CREDENTIALS = {"username": "maker", "password": "makers-password-1"}


@pytest.fixture
def anonymous() -> APIClient:
    return APIClient()


def signed_in(client: APIClient) -> dict[str, str]:
    answer = client.post(URL, CREDENTIALS)
    assert answer.status_code == 200
    return dict(answer.json())


def refreshed(client: APIClient, refresh: str, *, key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else None
    return client.post(f"{URL}refresh/", {"refresh": refresh}, headers=headers)


def decoded(kind: type[Token], text: Any) -> Token:
    return kind(text)


def listed(client: APIClient, access: str) -> int:
    return int(client.get(PHOTOS, headers={"Authorization": f"Bearer {access}"}).status_code)


def told(answer: Any) -> tuple[int, str]:
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert set(answer.json()) == {"code", "message", "errors", "request_id"}
    return answer.status_code, answer.json()["code"]


def test_a_password_gives_tokens_and_a_wrong_one_does_not(owner: User, anonymous: APIClient) -> None:
    assert listed(anonymous, signed_in(anonymous)["access"]) == 200
    for wrong in ({**CREDENTIALS, "password": "no"}, {"username": "nobody", "password": "no"}):
        assert told(anonymous.post(URL, wrong)) == (401, "no_active_account")
    assert anonymous.post(URL, {"username": "maker"}).json()["errors"].keys() == {"password"}


def test_no_token_is_kept_on_the_way(owner: User, anonymous: APIClient) -> None:
    answer = anonymous.post(URL, CREDENTIALS)
    assert answer["Cache-Control"] == "no-store"
    assert refreshed(anonymous, answer.json()["refresh"])["Cache-Control"] == "no-store"


def test_a_refresh_gives_two_new_tokens_and_the_old_refresh_token_is_refused(owner: User, anonymous: APIClient) -> None:
    first = signed_in(anonymous)
    second = refreshed(anonymous, first["refresh"]).json()
    assert second["access"] != first["access"]
    assert second["refresh"] != first["refresh"]
    assert listed(anonymous, second["access"]) == 200
    assert told(refreshed(anonymous, first["refresh"])) == (401, "token_reused")


def test_a_token_that_is_used_twice_ends_all_that_came_of_it_and_nothing_else(
    owner: User, anonymous: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    stolen, other = signed_in(anonymous), signed_in(anonymous)
    thiefs = refreshed(anonymous, stolen["refresh"]).json()
    with caplog.at_level(logging.WARNING, "access.services"):
        refreshed(anonymous, stolen["refresh"])
    assert "used twice" in caplog.text
    assert str(owner.pk) in caplog.text
    assert listed(anonymous, thiefs["access"]) == 401
    assert told(refreshed(anonymous, thiefs["refresh"])) == (401, "token_not_valid")
    assert listed(anonymous, other["access"]) == 200
    assert refreshed(anonymous, other["refresh"]).status_code == 200


def test_a_refresh_whose_answer_was_lost_may_be_sent_again_under_its_key(owner: User, anonymous: APIClient) -> None:
    first = signed_in(anonymous)
    lost = refreshed(anonymous, first["refresh"], key="a-key-of-mine").json()
    again = refreshed(anonymous, first["refresh"], key="a-key-of-mine").json()
    assert decoded(RefreshToken, again["refresh"])["jti"] == decoded(RefreshToken, lost["refresh"])["jti"]
    assert listed(anonymous, again["access"]) == 200
    assert refreshed(anonymous, again["refresh"], key="another").status_code == 200


@pytest.mark.parametrize("key", [None, "another"])
def test_a_used_token_without_the_key_it_was_used_with_is_a_theft(
    owner: User, anonymous: APIClient, key: str | None
) -> None:
    first = signed_in(anonymous)
    refreshed(anonymous, first["refresh"], key="a-key-of-mine")
    assert told(refreshed(anonymous, first["refresh"], key=key)) == (401, "token_reused")


def test_a_key_does_not_bring_back_an_older_token(owner: User, anonymous: APIClient) -> None:
    first = signed_in(anonymous)
    second = refreshed(anonymous, first["refresh"], key="same").json()
    refreshed(anonymous, second["refresh"], key="same")
    assert told(refreshed(anonymous, first["refresh"], key="same")) == (401, "token_reused")


@pytest.mark.parametrize("which", [0, 1])
def test_signing_out_ends_all_tokens_of_the_sign_in_by_whichever_of_them(
    owner: User, anonymous: APIClient, which: int
) -> None:
    first = signed_in(anonymous)
    second = refreshed(anonymous, first["refresh"]).json()
    elsewhere = signed_in(anonymous)
    for _ in range(2):
        answer = anonymous.post(f"{URL}revoke/", {"refresh": (first, second)[which]["refresh"]})
        assert (answer.status_code, answer.content) == (204, b"")
    for pair in (first, second):
        answer = anonymous.get(PHOTOS, headers={"Authorization": f"Bearer {pair['access']}"})
        assert told(answer) == (401, "token_not_valid")
    assert told(refreshed(anonymous, second["refresh"])) == (401, "token_not_valid")
    assert listed(anonymous, elsewhere["access"]) == 200


def test_another_password_ends_all_tokens(owner: User, anonymous: APIClient) -> None:
    pair = signed_in(anonymous)
    owner.set_password("another-password-2")
    owner.save()
    assert listed(anonymous, pair["access"]) == 401
    assert told(refreshed(anonymous, pair["refresh"])) == (401, "token_not_valid")


def test_a_deactivated_user_has_no_good_tokens(owner: User, anonymous: APIClient) -> None:
    pair = signed_in(anonymous)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert listed(anonymous, pair["access"]) == 401
    assert told(refreshed(anonymous, pair["refresh"])) == (401, "token_not_valid")
    assert told(anonymous.post(URL, CREDENTIALS)) == (401, "no_active_account")


def test_a_removed_user_has_no_good_tokens(owner: User, anonymous: APIClient) -> None:
    pair = signed_in(anonymous)
    owner.delete()
    assert listed(anonymous, pair["access"]) == 401
    assert told(refreshed(anonymous, pair["refresh"])) == (401, "token_not_valid")


def _expired(token: Any) -> str:
    token.set_exp(lifetime=-timedelta(seconds=1))
    return str(token)


def _signature(text: str) -> str:
    return text[:-4] + ("AAAA" if not text.endswith("AAAA") else "BBBB")


def _claim(text: str) -> str:
    head, body, signature = text.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "user_id": "1"}).encode()).decode().rstrip("=")
    return f"{head}.{forged}.{signature}"


def _unsigned(text: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{text.split('.')[1]}."


WAYS: dict[str, Callable[[Any], str]] = {
    "expired": _expired,
    "signature": lambda token: _signature(str(token)),
    "claim": lambda token: _claim(str(token)),
    "no algorithm": lambda token: _unsigned(str(token)),
    "nonsense": lambda _: "nonsense",
}


@pytest.mark.parametrize("way", WAYS)
def test_an_access_token_that_is_expired_or_tampered_with_is_refused(
    owner: User, anonymous: APIClient, way: str
) -> None:
    bad = WAYS[way](decoded(AccessToken, sign_in_begin(user=owner).access))
    answer = anonymous.get(PHOTOS, headers={"Authorization": f"Bearer {bad}"})
    assert told(answer) == (401, "token_not_valid")


@pytest.mark.parametrize("address", ["refresh/", "revoke/"])
@pytest.mark.parametrize("way", WAYS)
def test_a_refresh_token_that_is_expired_or_tampered_with_is_refused(
    owner: User, anonymous: APIClient, way: str, address: str
) -> None:
    pair = sign_in_begin(user=owner)
    bad = WAYS[way](decoded(RefreshToken, pair.refresh))
    assert told(anonymous.post(URL + address, {"refresh": bad})) == (401, "token_not_valid")
    assert listed(anonymous, pair.access) == 200


def test_neither_kind_of_token_does_for_the_other(owner: User, anonymous: APIClient) -> None:
    pair = sign_in_begin(user=owner)
    assert listed(anonymous, pair.refresh) == 401
    assert told(refreshed(anonymous, pair.access)) == (401, "token_not_valid")


def test_a_refresh_token_without_a_sign_in_is_refused(owner: User, anonymous: APIClient) -> None:
    assert told(refreshed(anonymous, str(RefreshToken.for_user(owner)))) == (401, "token_not_valid")


def test_refreshing_does_not_prolong_a_sign_in_for_ever(owner: User, anonymous: APIClient, settings: Any) -> None:
    settings.SIGN_IN_LIFETIME = timedelta(hours=1)
    pair = signed_in(anonymous)
    ends = decoded(RefreshToken, pair["refresh"])["exp"]
    SignIn.objects.update(created=timezone.now() - timedelta(minutes=50))
    assert decoded(RefreshToken, refreshed(anonymous, pair["refresh"]).json()["refresh"])["exp"] <= ends - 45 * 60


def test_no_token_is_stored(owner: User, anonymous: APIClient) -> None:
    pair = refreshed(anonymous, signed_in(anonymous)["refresh"], key="a-key-of-mine").json()
    stored = json.dumps(list(SignIn.objects.values()), default=str)
    assert pair["refresh"].split(".")[2] not in stored
    assert "a-key-of-mine" not in stored


def test_an_access_token_costs_one_query(owner: User, django_assert_num_queries: Any) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign_in_begin(user=owner).access}")
    with django_assert_num_queries(1):
        assert client.patch("/api/v1/tags/").status_code == 405


def test_refreshing_makes_no_rows_and_what_expired_is_swept(owner: User, anonymous: APIClient) -> None:
    refresh = signed_in(anonymous)["refresh"]
    for _ in range(3):
        refresh = refreshed(anonymous, refresh).json()["refresh"]
    assert SignIn.objects.count() == 1
    old = SignIn.objects.create(user=owner, expires=timezone.now() - timedelta(seconds=1), current="x")
    expired, going_on = SessionStore(), SessionStore()
    expired.set_expiry(-1)
    expired.create()
    going_on.create()
    assert access_sweep() == 2
    assert not SignIn.objects.filter(pk=old.pk).exists()
    assert SignIn.objects.count() == 1
    assert [session.session_key for session in Session.objects.all()] == [going_on.session_key]
    assert refreshed(anonymous, refresh).status_code == 200


def test_staff_end_sign_ins_in_the_admin_and_see_no_ids_of_tokens(
    owner: User, anonymous: APIClient, admin_client: Client
) -> None:
    pair = signed_in(anonymous)
    sign_in = SignIn.objects.get()
    page = admin_client.get("/admin/access/signin/")
    assert sign_in.current not in page.content.decode()
    assert sign_in.current not in admin_client.get(f"/admin/access/signin/{sign_in.pk}/change/").content.decode()
    asked = {"action": "revoke", "_selected_action": [str(sign_in.pk)]}
    admin_client.post("/admin/access/signin/", asked)
    assert listed(anonymous, pair["access"]) == 401
    assert told(refreshed(anonymous, pair["refresh"])) == (401, "token_not_valid")


def test_staff_may_delete_a_user_who_is_signed_in(owner: User, anonymous: APIClient, admin_client: Client) -> None:
    signed_in(anonymous)
    admin_client.post(f"/admin/auth/user/{owner.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=owner.pk).exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["", "a-key-of-mine"])
def test_of_many_who_come_with_the_same_token_at_once_one_gets_on_unless_they_are_one(owner: User, key: str) -> None:
    refresh = sign_in_begin(user=owner).refresh

    def attempt(_: int) -> str:
        try:
            return sign_in_refresh(refresh=refresh, key=key).refresh
        except TokenRefused:
            return ""
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        given = [token for token in pool.map(attempt, range(8)) if token]
    assert len({decoded(RefreshToken, token)["jti"] for token in given}) == 1
    assert len(given) == (8 if key else 1)
    assert SignIn.objects.filter(ended=None).exists() is bool(key)
