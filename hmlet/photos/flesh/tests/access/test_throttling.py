"""Failed logins, and who is kept waiting for whose."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from access.errors import LoginThrottled
from access.models import FailureTally, KnownAddress
from access.retention import access_sweep
from access.throttling import attempt_begin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

PASSWORD = "makers-password-1"
WRONG = "wrong"
OWNERS, THIEFS = "192.0.2.1", "198.51.100.7"

Login = Callable[..., Any]


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> None:
    settings.LOGIN_WINDOW_S = 600
    settings.LOGIN_FAILURES_MAX = 3
    settings.LOGIN_FAILURES_OF_ADDRESS_MAX = 6
    settings.LOGIN_FAILURES_OF_ACCOUNT_MAX = 6


@pytest.fixture
def login(owner: User) -> Login:
    def send(password: str = WRONG, *, username: str = "maker", address: str = THIEFS) -> Any:
        credentials = {"username": username, "password": password}
        return APIClient(REMOTE_ADDR=address).post("/api/v1/token/", credentials)

    return send


@pytest.fixture
def form(owner: User) -> Login:
    """The admin's."""
    User.objects.filter(pk=owner.pk).update(is_staff=True)

    def send(password: str = WRONG, *, address: str = THIEFS) -> Any:
        return Client(REMOTE_ADDR=address).post("/admin/login/", {"username": "maker", "password": password})

    return send


def later(minutes: int) -> None:
    """As if that much of every window had passed."""
    for tally in FailureTally.objects.all():
        FailureTally.objects.filter(pk=tally.pk).update(until=tally.until - timedelta(minutes=minutes))


def test_too_many_wrong_passwords_are_refused_with_a_time_to_wait(login: Login) -> None:
    assert [login().status_code for _ in range(4)] == [401, 401, 401, 429]
    refused = login(PASSWORD)
    assert refused.status_code == 429
    assert set(refused.json()) == {"code", "message", "errors", "request_id"}
    assert refused.json()["code"] == "throttled"
    assert 590 <= int(refused["Retry-After"]) <= 600


def test_when_the_window_is_over_the_owner_comes_in(login: Login) -> None:
    for _ in range(8):
        login()
    later(minutes=9)
    assert login(PASSWORD).status_code == 429
    later(minutes=1)
    assert login(PASSWORD).status_code == 200


def test_refused_attempts_do_not_make_the_wait_longer(login: Login) -> None:
    for _ in range(3):
        login()
    later(minutes=5)
    for _ in range(5):
        assert int(login()["Retry-After"]) <= 300


def test_right_passwords_are_not_counted_however_many(login: Login) -> None:
    for _ in range(10):
        assert login(PASSWORD).status_code == 200
    assert not FailureTally.objects.filter(failures__gt=0).exists()


def test_a_right_password_forgives_what_was_mistyped_before(login: Login) -> None:
    for _ in range(3):
        assert [login().status_code for _ in range(2)] == [401, 401]
        assert login(PASSWORD).status_code == 200


def test_a_stranger_does_not_lock_the_owner_out_of_a_place_where_they_came_in_before(login: Login) -> None:
    assert login(PASSWORD, address=OWNERS).status_code == 200
    for number in range(10):
        login(address=f"203.0.113.{number}")
    assert login(PASSWORD, address="203.0.113.99").status_code == 429
    assert login(PASSWORD, address=OWNERS).status_code == 200


def test_a_neighbour_who_guesses_does_not_keep_those_out_who_came_in_from_there_before(
    login: Login, stranger: User
) -> None:
    assert login(PASSWORD, address=THIEFS).status_code == 200
    for number in range(7):
        login(username=f"guessed-{number}")
    assert login("visitors-password-1", username="visitor").status_code == 429
    assert login(PASSWORD).status_code == 200


def test_one_password_on_many_accounts_is_counted_by_address(login: Login) -> None:
    codes = [login("spring2026", username=f"user-{number}").status_code for number in range(8)]
    assert codes == [401] * 6 + [429] * 2
    assert login(PASSWORD, address=OWNERS).status_code == 200


def test_many_addresses_that_guess_one_account_are_counted_together(login: Login) -> None:
    codes = [login(address=f"203.0.113.{number}").status_code for number in range(8)]
    assert codes == [401] * 6 + [429] * 2


def test_addresses_of_one_network_of_ipv6_are_one(login: Login) -> None:
    assert [login(address=f"2001:db8::{number:x}").status_code for number in range(1, 5)] == [401, 401, 401, 429]
    assert login(address="2001:db8:0:1::1").status_code == 401


def test_an_account_that_is_not_there_is_throttled_like_one_that_is(login: Login) -> None:
    assert [login(username="nobody").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_no_limit_is_none(login: Login, settings: Any) -> None:
    settings.LOGIN_FAILURES_MAX = settings.LOGIN_FAILURES_OF_ADDRESS_MAX = settings.LOGIN_FAILURES_OF_ACCOUNT_MAX = 0
    assert {login().status_code for _ in range(12)} == {401}
    assert not FailureTally.objects.exists()


def test_the_admins_form_counts_the_same_and_says_so_on_a_page(form: Login, login: Login) -> None:
    assert [form().status_code for _ in range(3)] == [200, 200, 200]
    page = form(PASSWORD)
    assert page.status_code == 429
    assert 590 <= int(page["Retry-After"]) <= 600
    assert "Too many logins have failed" in page.content.decode()
    assert login(PASSWORD).status_code == 429
    assert form(PASSWORD, address=OWNERS).status_code == 302


def test_tokens_go_on_while_logins_are_throttled(login: Login) -> None:
    pair = login(PASSWORD, address=OWNERS).json()
    for _ in range(4):
        login(address=OWNERS)
    assert login(PASSWORD, address=OWNERS).status_code == 429
    client = APIClient(REMOTE_ADDR=OWNERS)
    fresh = client.post("/api/v1/token/refresh/", {"refresh": pair["refresh"]}).json()
    assert client.get("/api/v1/photos/", headers={"Authorization": f"Bearer {fresh['access']}"}).status_code == 200


def test_no_name_that_was_typed_is_stored(login: Login) -> None:
    login(username="my-own-password")
    assert not any("my-own-password" in tally.key for tally in FailureTally.objects.all())


def test_counts_that_are_over_and_addresses_of_long_ago_are_swept(login: Login, owner: User) -> None:
    login(PASSWORD, address=OWNERS)
    login(username="nobody")
    kept = FailureTally.objects.filter(failures=1).count()
    KnownAddress.objects.create(user=owner, address=THIEFS, seen=timezone.now() - timedelta(days=91))
    access_sweep()
    assert FailureTally.objects.filter(failures=1).count() == kept == 3
    later(minutes=10)
    access_sweep()
    assert not FailureTally.objects.exists()
    assert [known.address for known in KnownAddress.objects.all()] == [OWNERS]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_counted_each(settings: Any) -> None:
    settings.LOGIN_FAILURES_MAX = settings.LOGIN_FAILURES_OF_ADDRESS_MAX = settings.LOGIN_FAILURES_OF_ACCOUNT_MAX = 5

    def guess(_: int) -> bool:
        try:
            attempt_begin(username="maker", address=THIEFS)
        except LoginThrottled:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(guess, range(24))) == 5
