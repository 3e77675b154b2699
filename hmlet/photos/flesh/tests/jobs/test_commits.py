"""What a worker tells people of is on disk first, though its connection's commits do not wait."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from jobs.commits import commit_durably, commits_hasten
from jobs.services import job_claim, job_complete, job_create

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL: pl.test integration"),
]


def waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return bool(cursor.fetchone() == ("on",))


@pytest.fixture(autouse=True)
def hastened() -> Iterator[None]:
    commits_hasten(connection)
    yield
    connection.close()


def test_a_workers_commit_does_not_wait_unless_it_is_told_to() -> None:
    assert not waits()
    with transaction.atomic():
        commit_durably()
        assert waits()
    assert not waits()


def test_the_end_of_a_job_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch, owner: Any) -> None:
    monkeypatch.setattr("jobs.services.job_publish", lambda _job_id: None)
    job_create(kind="thumbnail", owner=owner, subject=uuid.uuid4())
    job = job_claim()
    assert job is not None
    seen: list[bool] = []
    assert job_complete(job, write=lambda: seen.append(waits()))
    assert seen == [True]
