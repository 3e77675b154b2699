"""A photo that is posted again with the same Idempotency-Key."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from gallery.models import Photo
from idempotency.models import KeyedRequest
from idempotency.services import KEPT, LEASE, keys_sweep
from rest_framework.test import APIClient

from tests.images import encoded

pytestmark = pytest.mark.django_db
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def test_sent_again_it_makes_no_second_photo_and_answers_the_same(post: Any) -> None:
    first = post(name="Dawn", headers=KEY)
    again = post(name="Dawn", headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Photo.objects.count() == 1


def test_the_answer_of_a_waiting_request_is_the_one_that_is_repeated(
    post: Any, monkeypatch: pytest.MonkeyPatch, work_off: Any
) -> None:
    monkeypatch.setattr("jobs.news.time.sleep", lambda _: work_off())
    headers = {**KEY, "Prefer": "wait=10"}
    first, again = post(name="Dawn", headers=headers), post(name="Dawn", headers=headers)
    assert first.json()["status"] == "ready"
    assert again.json() == first.json()
    assert again["Preference-Applied"] == "wait=10"


@pytest.mark.parametrize("other", [{"name": "Dusk"}, {"content": encoded(20, 20)}, {"draft": "true"}])
def test_another_request_under_the_same_key_is_refused(post: Any, other: dict[str, Any]) -> None:
    asked = {"name": "Dawn", "content": encoded()}
    post(headers=KEY, **asked)
    response = post(headers=KEY, **asked | other)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Photo.objects.count() == 1


def test_keys_are_the_owners_own(post: Any, strange_api: APIClient) -> None:
    assert post(name="Dawn", headers=KEY).status_code == 201
    assert post(name="Dusk", headers=KEY, client=strange_api).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_malformed_key_is_refused(post: Any, key: str) -> None:
    response = post(headers={"Idempotency-Key": key})
    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_malformed")


def test_a_refused_request_may_be_corrected_under_its_key(post: Any) -> None:
    assert post(name="", headers=KEY).status_code == 400
    assert post(name="Dawn", headers=KEY).status_code == 201


def test_while_the_first_is_worked_on_the_second_is_told_to_come_again(post: Any, monkeypatch: Any) -> None:
    answers = []

    def meanwhile(*args: Any) -> None:
        answers.append(post(name="Dawn", headers=KEY))

    monkeypatch.setattr("gallery.services._tags_write", lambda *_, **__: meanwhile())
    assert post(name="Dawn", headers=KEY).status_code == 201
    [busy] = answers
    assert (busy.status_code, busy.json()["code"], busy["Retry-After"]) == (409, "idempotency_key_busy", "1")
    assert Photo.objects.count() == 1


def test_what_a_killed_process_left_is_taken_over_when_its_lease_has_run_out(post: Any, monkeypatch: Any) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("gallery.services._tags_write", die)
        patched.setattr("idempotency.api.key_release", lambda _: None)
        with pytest.raises(Killed):
            post(name="Dawn", headers=KEY)
    assert not Photo.objects.exists()
    assert post(name="Dawn", headers=KEY).status_code == 409
    KeyedRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert post(name="Dawn", headers=KEY).status_code == 201
    assert Photo.objects.count() == 1


def test_one_who_was_too_slow_and_lost_the_claim_leaves_no_photo(post: Any, monkeypatch: Any) -> None:
    def taken_over(*_: Any, **__: Any) -> None:
        KeyedRequest.objects.update(attempt=2)

    monkeypatch.setattr("gallery.services._tags_write", taken_over)
    assert post(name="Dawn", headers=KEY).json()["code"] == "idempotency_key_busy"
    assert not Photo.objects.exists()


def test_a_bug_leaves_the_key_free(post: Any, monkeypatch: Any) -> None:
    def break_down(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr("gallery.services._tags_write", break_down)
        with pytest.raises(RuntimeError):
            post(name="Dawn", headers=KEY)
    assert post(name="Dawn", headers=KEY).status_code == 201


def test_keys_are_forgotten_after_a_day_and_not_before(post: Any) -> None:
    post(name="Dawn", headers=KEY)
    assert keys_sweep() == 0
    KeyedRequest.objects.update(created=timezone.now() - KEPT - timedelta(seconds=1))
    assert post(name="Dusk", headers=KEY).status_code == 201, "forgotten before it is swept"
    KeyedRequest.objects.update(created=timezone.now() - KEPT - timedelta(seconds=1))
    assert keys_sweep() == 1
    assert LEASE < KEPT


def test_a_request_without_a_key_asks_nothing_of_keys(post: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert post(name="Dawn").status_code == 201
    assert not [query for query in queries.captured_queries if "keyed" in json.dumps(query)]
