"""One migrates at a time."""

import threading
import time
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from ops.management.commands.migrate_alone import LOCK

pytestmark = pytest.mark.django_db(transaction=True)


def _migrate(out: StringIO) -> None:
    try:
        call_command("migrate_alone", stdout=out)
    finally:
        connection.close()


def test_a_migrated_database_is_left_as_it_is() -> None:
    out = StringIO()
    call_command("migrate_alone", stdout=out)
    assert "No migrations to apply." in out.getvalue()


@pytest.mark.postgresql
@pytest.mark.skipif(
    "sqlite" in str(connection.settings_dict["ENGINE"]), reason="needs PostgreSQL: set the DATABASE_* variables"
)
def test_whoever_comes_second_waits_for_the_first() -> None:
    out = StringIO()
    second = threading.Thread(target=_migrate, args=[out])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        second.start()
        deadline = time.monotonic() + 30
        while not _waiting():
            assert time.monotonic() < deadline, "nobody waits for the lock"
            time.sleep(0.05)
        assert out.getvalue() == ""
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    second.join(60)
    assert "No migrations to apply." in out.getvalue()


def _waiting() -> bool:
    with connection.cursor() as asking:
        asking.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(asking.fetchone()[0])
