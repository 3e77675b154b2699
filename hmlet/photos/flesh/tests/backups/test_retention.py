"""Which archives go out of their bucket, and which never do."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from backups import bucket as module
from backups.bucket import BackupsBucket, StoredArchive, archive_key, outlived
from backups.storing import backups_prune
from django.utils import timezone

NOW = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
ABOUT = {"project": "hmlet", "stage": "prod", "instance": "anywhere"}
FOREIGN = [
    "notes.txt",
    "hmlet-prod.tar.age",
    "hmlet-prod-20200101T000000Z.tar",
    "hmlet-prod-20200101T000000Z.tar.age.part",
    "hmlet-prod-20201399T999999Z.tar.age",
    "hmlet-prod-by-hand-20200101T000000Z.tar.age",
    "hmlet-production-20200101T000000Z.tar.age",
    "hmlet-stage-20200101T000000Z.tar.age",
    "old/hmlet-prod-20200101T000000Z.tar.age",
]
"""Old all of them, and nothing that this stage's schedule has stored."""


def archives(*ages_days: float) -> list[StoredArchive]:
    taken = [NOW - timedelta(days=days) for days in ages_days]
    return [StoredArchive(key=f"{days:g}", bytes=1, taken=when) for days, when in zip(ages_days, taken, strict=True)]


@pytest.mark.parametrize(
    ("ages_days", "keep_days", "keep_count", "old"),
    [
        ((), 14, 3, []),
        ((1, 5, 13.9), 14, 3, []),
        ((1, 5, 13.9, 14.1), 14, 3, ["14.1"]),
        ((14.1, 1, 13.9, 20, 5), 14, 3, ["20", "14.1"]),
        ((30, 40, 50), 14, 3, []),
        ((30, 40, 50, 60, 70), 14, 3, ["70", "60"]),
        ((1, 30, 40, 50), 14, 3, ["50"]),
        ((0, 1, 2, 3), 0, 2, ["3", "2"]),
        ((30, 40), 14, 1, ["40"]),
        ((30, 40), 14, 0, ["40"]),
        ((30,), 14, 0, []),
        ((30, 40), 0, -5, ["40"]),
        ((-1, 30), 14, 1, ["30"]),
    ],
)
def test_what_is_old_goes_oldest_first_and_so_many_of_the_newest_stay(
    ages_days: Sequence[float], keep_days: int, keep_count: int, old: list[str]
) -> None:
    assert outlived(archives(*ages_days), now=NOW, keep_days=keep_days, keep_count=keep_count) == old


def keys(bucket: BackupsBucket) -> set[str]:
    return {stored.key for stored in bucket.listed()}


def test_only_this_stage_s_old_archives_are_deleted(bucket: BackupsBucket) -> None:
    days = (0, 1, 20, 30, 400)
    ours = [archive_key("hmlet-prod", timezone.now() - timedelta(days=age)) for age in days]
    for key in (*ours, *FOREIGN):
        bucket.write(key, io.BytesIO(b"an archive"), "application/octet-stream")
    assert [archive.key for archive in bucket.archives("hmlet-prod")] == ours[::-1]
    assert backups_prune(about=ABOUT, keep_days=14, keep_count=3) == [ours[4], ours[3]]
    assert keys(bucket) == {*ours[:3], *FOREIGN}
    assert backups_prune(about=ABOUT, keep_days=14, keep_count=3) == []
    assert backups_prune(about=ABOUT, keep_days=0, keep_count=0) == [ours[2], ours[1]]
    assert keys(bucket) == {ours[0], *FOREIGN}, "the last good one stays, whatever is asked for"


def test_a_bucket_with_nothing_of_ours_loses_nothing(bucket: BackupsBucket) -> None:
    for key in FOREIGN:
        bucket.write(key, io.BytesIO(b"theirs"), "text/plain")
    assert backups_prune(about=ABOUT, keep_days=0, keep_count=1) == []
    assert keys(bucket) == set(FOREIGN)


def test_what_comes_in_parts_is_there_whole_or_not_at_all(
    bucket: BackupsBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 64 * 1024)
    content = bytes(range(256)) * 1000
    bucket.put_whole("whole", io.BytesIO(content), expected_bytes=0)
    stored = io.BytesIO()
    bucket.read("whole", stored)
    assert stored.getvalue() == content

    class Cut(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > len(content) // 2:
                raise RuntimeError("cut")
            return super().read(size)

    with pytest.raises(RuntimeError, match="cut"):
        bucket.put_whole("cut", Cut(content), expected_bytes=0)
    assert keys(bucket) == {"whole"}
