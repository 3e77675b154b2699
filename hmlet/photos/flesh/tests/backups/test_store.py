"""``backup --store`` on PostgreSQL and a real S3 server: what is good is remembered, what failed is nothing."""

import contextlib
import errno
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg2
import pyrage
import pytest
from backups import bucket as module
from backups.archive import archive_verify
from backups.bucket import BackupsBucket, archive_key
from backups.models import Backup
from backups.sealed import opened
from backups.selectors import backup_last
from botocore.exceptions import ClientError
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import connection

from tests.buckets import MemoryBucket
from tests.images import encoded
from tests.s3 import KEYS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
ABOUT = {"project": "p", "stage": "s", "instance": "i"}
Buckets = dict[str, MemoryBucket]
Store = Callable[..., str]
OLD = "p-s-20200101T000000Z.tar.age"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives come in several of them."""
    monkeypatch.setattr(module, "PART_BYTES", 16 * 1024)


@pytest.fixture
def identity() -> Any:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def store(identity: Any) -> Store:
    """Takes a backup into the bucket; answers with what was told."""

    def run(*words: str) -> str:
        out = io.StringIO()
        recipient = str(identity.to_public())
        argv = ["--about", json.dumps(ABOUT), "--recipient", recipient, *words]
        call_command("backup", "--store", *argv, stdout=out, stderr=out)
        return out.getvalue()

    return run


@pytest.fixture
def good(post: Callable[..., Any], buckets: Buckets, bucket: BackupsBucket, store: Store) -> str:
    """The key of a good one of an hour ago, of a stage with some photos, which has more of them since."""
    for number in range(3):
        post(encoded(90 + number, 80))
    store()
    post(encoded(99, 99))
    [stored] = bucket.listed()
    row, content = Backup.objects.get(), io.BytesIO()
    row.taken -= timedelta(hours=1)
    key = archive_key("p-s", row.taken)
    row.place = f"{bucket.bucket_name}/{key}"
    row.save()
    bucket.read(stored.key, content)
    bucket.write(key, content, "application/octet-stream")
    bucket.discard(stored.key)
    return key


def disk_full(operation: str) -> ClientError:
    said = {"Error": {"Code": "XMinioStorageFull"}, "ResponseMetadata": {"HTTPStatusCode": 507}}
    return ClientError(said, operation)  # type: ignore[arg-type]


def refuse(bucket: BackupsBucket, operation: str, *, from_call: int = 1) -> None:
    """Have the server's disk be full for an operation."""
    calls = 0

    def answer(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls >= from_call:
            raise disk_full(operation)

    bucket.client.meta.events.register(f"before-call.s3.{operation}", answer)


def failed(store: Store, good: str, bucket: BackupsBucket) -> str:
    """Take one that fails, and see that the good one is still the last one. What it said."""
    before = list(Backup.objects.values_list())
    taken = backup_last()
    with pytest.raises(CommandError) as raised:
        store()
    connection.close()  # a broken one is no test's
    assert raised.value.returncode == 1
    assert backup_last() == taken is not None
    assert list(Backup.objects.values_list()) == before
    assert [stored.key for stored in bucket.listed()] == [good]
    return str(raised.value)


def test_what_is_stored_is_whole_is_remembered_and_opens(
    good: str, bucket: BackupsBucket, store: Store, identity: Any
) -> None:
    content = io.BytesIO()
    bucket.read(good, content)
    [row] = Backup.objects.all()
    assert (row.bytes, row.objects_held, row.missing) == (len(content.getvalue()), 3, 0)
    assert row.place == f"{bucket.bucket_name}/{good}"
    content.seek(0)
    with opened(content, [identity]) as plain:
        header, end = archive_verify(plain)
    assert (header["stage"], end["sections"]["originals"]["members"]) == ("s", 3)


@pytest.mark.parametrize(
    ("operation", "from_call"),
    [("CreateMultipartUpload", 1), ("UploadPart", 1), ("UploadPart", 2), ("CompleteMultipartUpload", 1)],
)
def test_a_storage_that_refuses_leaves_the_last_good_one(
    good: str, bucket: BackupsBucket, store: Store, operation: str, from_call: int
) -> None:
    refuse(bucket, operation, from_call=from_call)
    said = failed(store, good, bucket)
    assert said.startswith("the object storage does not do it: ")
    assert operation in said


def test_a_bucket_that_is_not_there_is_told(
    good: str, bucket: BackupsBucket, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "bucket_name", "nowhere")
    with pytest.raises(CommandError, match="the object storage does not do it: "):
        store()
    assert Backup.objects.count() == 1


def test_originals_that_cannot_be_read_end_it(good: str, bucket: BackupsBucket, store: Store, buckets: Buckets) -> None:
    buckets["originals"].broken = True
    assert "the storage is away" in failed(store, good, bucket)


@contextlib.contextmanager
def another_connection() -> Iterator[Any]:
    """A cursor of somebody else in the same database."""
    said = connection.get_connection_params()
    words = {name: said[name] for name in ("dbname", "user", "password", "host", "port")}
    with contextlib.closing(psycopg2.connect(**words)) as other, other.cursor() as cursor:
        yield cursor


def disconnect() -> None:
    """End all other connections of this database, as a server that is restarted does."""
    with another_connection() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def while_reading(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Has something happen when the first object is read."""
    read, rest = buckets["originals"].read, []

    def arrange(happens: Callable[[], None]) -> None:
        rest.append(happens)

    def reading(key: str, into: Any) -> None:
        while rest:
            rest.pop()()
        read(key, into)

    monkeypatch.setattr(buckets["originals"], "read", reading)
    return arrange


def test_a_database_that_goes_away_while_it_is_needed_ends_it(
    good: str,
    bucket: BackupsBucket,
    store: Store,
    buckets: Buckets,
    while_reading: Callable[[Callable[[], None]], None],
) -> None:
    buckets["originals"].objects.pop(next(iter(buckets["originals"].objects)))  # whose row is asked for again
    while_reading(disconnect)
    assert failed(store, good, bucket).startswith("the database does not do it: ")


def test_rows_that_cannot_be_read_end_it(good: str, bucket: BackupsBucket, store: Store) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")
    with another_connection() as cursor:
        cursor.execute("LOCK TABLE jobs_job IN ACCESS EXCLUSIVE MODE")
        assert "lock timeout" in failed(store, good, bucket)


def test_a_server_that_was_restarted_while_objects_were_copied_is_asked_again(
    good: str,
    bucket: BackupsBucket,
    store: Store,
    while_reading: Callable[[Callable[[], None]], None],
) -> None:
    while_reading(disconnect)
    store()
    newest, _ = Backup.objects.all()
    assert (newest.objects_held, newest.taken) == (4, backup_last())


def test_a_disk_that_is_full_is_told_and_is_not_the_storage_s(
    good: str, bucket: BackupsBucket, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, content: Any, /) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda _: Full())
    assert failed(store, good, bucket).startswith("there is no room here for what is on its way")


def test_old_ones_that_cannot_be_deleted_do_not_make_a_good_one_bad(
    good: str, bucket: BackupsBucket, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: str) -> None:
        raise disk_full("DeleteObject")

    bucket.write(OLD, io.BytesIO(b"old"), "application/octet-stream")
    monkeypatch.setattr(bucket.objects, "delete", refused)
    with pytest.raises(CommandError, match="the backup is good, but old ones could not be deleted"):
        store("--keep-count", "2")
    assert Backup.objects.count() == 2
    assert len(list(bucket.listed())) == 3


def test_old_ones_are_deleted_after_a_good_one_alone(good: str, bucket: BackupsBucket, store: Store) -> None:
    bucket.write(OLD, io.BytesIO(b"old"), "application/octet-stream")
    bucket.write("of-others.txt", io.BytesIO(b"old"), "text/plain")
    refused = BackupsBucket(**KEYS, endpoint_url=bucket.endpoint_url, bucket_name=bucket.bucket_name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(storages._storages, "backups", refused)  # type: ignore[attr-defined]
        refuse(refused, "CompleteMultipartUpload")
        with pytest.raises(CommandError):
            store("--keep-days", "0", "--keep-count", "1")
    assert {stored.key for stored in bucket.listed()} == {good, OLD, "of-others.txt"}
    assert f"{OLD}: deleted, it was old" in store("--keep-count", "2")
    left = {stored.key for stored in bucket.listed()}
    assert len(left) == 3
    assert {good, "of-others.txt"} < left
