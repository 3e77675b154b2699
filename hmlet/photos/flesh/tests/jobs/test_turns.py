"""Whose turn it is: first in, first out for each owner, and every other turn where two owners wait."""

import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from jobs import services
from jobs.models import Job
from jobs.runner import job_run
from jobs.services import job_claim

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "job_publish", lambda job_id: None)


def queue(owner: User | None, count: int, *, minutes_ago: int = 0) -> list[Job]:
    """Jobs of one owner, the first the oldest."""
    began = timezone.now() - timedelta(minutes=minutes_ago, seconds=1)
    made = Job.objects.bulk_create(Job(kind="thumbnail", owner=owner) for _ in range(count))
    for number, job in enumerate(made):
        job.created = began + timedelta(microseconds=number)
    Job.objects.bulk_update(made, ["created"])
    return made


def claimed(count: int) -> Sequence[Job]:
    found = [job_claim() for _ in range(count)]
    return [job for job in found if job is not None]


def test_one_owners_jobs_come_in_the_order_in_which_they_were_made(owner: User) -> None:
    made = queue(owner, 5)
    assert [job.pk for job in claimed(6)] == [job.pk for job in made]


def test_one_photo_does_not_wait_for_anothers_ten_thousand(owner: User, stranger: User) -> None:
    queue(owner, 10_000, minutes_ago=60)
    claimed(3)
    (single,) = queue(stranger, 1)
    assert job_claim() == single


def test_owners_take_turns_whatever_they_have_waiting(owner: User, stranger: User) -> None:
    third = User.objects.create_user("third")
    queue(owner, 50, minutes_ago=3)
    queue(stranger, 3, minutes_ago=2)
    queue(third, 2, minutes_ago=1)
    names = [job.owner.get_username() for job in claimed(8) if job.owner]
    assert [sorted(names[:3]), sorted(names[3:6])] == [["maker", "third", "visitor"]] * 2
    assert sorted(names[6:]) == ["maker", "visitor"]


def test_the_platforms_own_jobs_take_turns_as_one_more_owner(owner: User) -> None:
    queue(None, 20, minutes_ago=2)
    queue(owner, 20, minutes_ago=1)
    owners = [job.owner_id for job in claimed(6)]
    assert owners.count(None) == 3


def test_who_waits_for_a_second_attempt_holds_up_nobody(owner: User, stranger: User) -> None:
    queue(owner, 1)
    Job.objects.update(not_before=timezone.now() + timedelta(minutes=1))
    second = queue(owner, 1)
    other = queue(stranger, 1)
    assert {job.pk for job in claimed(3)} == {second[0].pk, other[0].pk}


def test_a_job_that_became_due_again_stands_behind_those_that_were_due_before(owner: User) -> None:
    first, second = queue(owner, 2, minutes_ago=1)
    Job.objects.filter(pk=first.pk).update(not_before=timezone.now())
    assert [job.pk for job in claimed(2)] == [second.pk, first.pk]


def test_a_message_spent_on_another_job_is_put_back(
    owner: User, stranger: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[object] = []
    monkeypatch.setattr(services, "job_publish", published.append)
    early, late = queue(owner, 2)
    Job.objects.update(kind="purge", payload={"originals": [], "thumbnails": []})
    assert job_run(late.pk)
    assert Job.objects.get(state="done") == early
    assert published == [late.pk]
    assert job_run(late.pk)
    assert not job_run(late.pk)
    assert published == [late.pk]


@pytest.mark.postgresql
@pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL: pl.test integration")
@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_get_different_jobs_and_none_comes_away_empty(owner: User, stranger: User) -> None:
    queue(owner, 12)
    queue(stranger, 4)
    start = threading.Barrier(8)

    def claim(_: int) -> list[Job | None]:
        try:
            start.wait()
            return [job_claim(), job_claim()]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        found = [job for pair in pool.map(claim, range(8)) for job in pair]
    assert None not in found
    assert len({job.pk for job in found if job}) == 16
    assert set(Job.objects.values_list("attempts", flat=True)) == {1}


def in_background(owner: User | None, count: int) -> list[Job]:
    return Job.objects.bulk_create(Job(kind="renditions", owner=owner, background=True) for _ in range(count))


def test_jobs_in_the_background_wait_for_all_others(owner: User, stranger: User) -> None:
    in_background(owner, 2)
    made = queue(owner, 2) + queue(stranger, 1)
    assert {job.pk for job in claimed(3)} == {job.pk for job in made}
    assert job_claim() is not None, "nothing else is left"


def test_no_more_of_the_background_runs_at_once_than_may(owner: User, stranger: User, settings: Any) -> None:
    settings.JOBS_BACKGROUND_AT_ONCE = 2
    in_background(owner, 3)
    in_background(stranger, 1)
    running = claimed(4)
    assert {job.owner for job in running} == {owner, stranger}, "two, and in turns"
    (single,) = queue(owner, 1)
    assert job_claim() == single, "others are not held up"
    Job.objects.filter(pk=running[0].pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert job_claim() is not None, "one that lost its worker does not count"


def test_the_next_of_the_background_is_published_when_one_ends(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[uuid.UUID] = []
    monkeypatch.setattr(services, "job_publish", published.append)
    first, second = in_background(owner, 2)
    running = claimed(1)
    assert not job_run(second.pk), "its message comes while the other is at work"
    Job.objects.filter(pk=running[0].pk).update(state="queued")
    assert job_run(first.pk)
    assert len(published) == 1
    assert job_run(published[0])
    assert not Job.objects.filter(state="queued").exists()
    assert len(published) == 1, "nothing follows the last"
