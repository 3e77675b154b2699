"""What waits for the disk: all but a claim."""

from typing import Any

import pytest
from django.db import connection, transaction
from jobs.services import job_claim, job_create

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL: pl.test integration"),
]


def waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return bool(cursor.fetchone() == ("on",))


@pytest.mark.parametrize("kind", ["thumbnail", "renditions"])
def test_a_claim_does_not_wait_for_the_disk_and_what_follows_it_does(
    monkeypatch: pytest.MonkeyPatch, owner: Any, kind: str
) -> None:
    monkeypatch.setattr("jobs.services.job_publish", lambda _job_id: None)
    job_create(kind=kind, owner=owner, subject=None)
    with transaction.atomic():
        assert waits()
        assert job_claim() is not None
        assert not waits()
    assert waits()
