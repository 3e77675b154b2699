"""The bucket of archives: one is there when it is whole, and goes when it is old and enough newer ones are there."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, cast

from django.core.files.storage import storages
from gallery.buckets import PrivateBucket
from uploads.staging import STORAGE_ERRORS

from backups.archive import Source

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 16 * 1024 * 1024
PARTS_MAX = 9000
"""S3 takes 10 000; the size of what is to come is an estimate."""
_NAME = re.compile(r"(?P<of>.*)-(?P<taken>\d{8}T\d{6}Z)\.tar\.age")
_TAKEN = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArchive:
    """One that is in the bucket; ``taken`` is when, to the second, by its name."""

    key: str
    bytes: int
    taken: datetime


class Archives(Protocol):
    """What backups ask of their bucket."""

    bucket_name: str

    def put_whole(self, key: str, content: Source, *, expected_bytes: int) -> None: ...

    def archives(self, of: str) -> list[StoredArchive]: ...

    def discard(self, key: str) -> None: ...


class BackupsBucket(PrivateBucket):
    """Nothing in here can be read without a private key that the platform does not have."""

    def put_whole(self, key: str, content: Source, *, expected_bytes: int) -> None:
        """Store what comes, in parts; there is an object when all have come. Of these, one is in memory."""
        part_bytes = max(PART_BYTES, expected_bytes // PARTS_MAX)
        place = {"Bucket": self.bucket_name, "Key": key}
        upload = self.client.create_multipart_upload(**place, **self._encrypted())["UploadId"]
        try:
            parts: list[CompletedPartTypeDef] = []
            while part := content.read(part_bytes):
                number = len(parts) + 1
                stored = self.client.upload_part(**place, UploadId=upload, PartNumber=number, Body=part)
                parts.append({"PartNumber": number, "ETag": stored["ETag"]})
            self.client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            # What it was given up for is what is told.
            with contextlib.suppress(*STORAGE_ERRORS):
                self.client.abort_multipart_upload(**place, UploadId=upload)
            raise

    def archives(self, of: str) -> list[StoredArchive]:
        """Those of a stage, oldest first. What is not called so is somebody else's."""
        found = (
            StoredArchive(key=stored.key, bytes=stored.bytes, taken=taken)
            for stored in self.listed(f"{of}-")
            if (taken := _taken(of, stored.key)) is not None
        )
        return sorted(found, key=lambda archive: archive.taken)


def archives_bucket() -> Archives:
    """Where archives are kept."""
    return cast(Archives, storages["backups"])


def archive_key(of: str, taken: datetime) -> str:
    """What an archive is called: of which stage, and when."""
    return f"{of}-{taken.astimezone(UTC):{_TAKEN}}.tar.age"


def outlived(found: Sequence[StoredArchive], *, now: datetime, keep_days: int, keep_count: int) -> list[str]:
    """Keys of archives older than ``keep_days``, the ``keep_count`` newest always left out: one of them at least."""
    before = now - timedelta(days=keep_days)
    newest_first = sorted(found, key=lambda archive: archive.taken, reverse=True)
    return [archive.key for archive in reversed(newest_first[max(1, keep_count) :]) if archive.taken < before]


def _taken(of: str, key: str) -> datetime | None:
    said = _NAME.fullmatch(key)
    if said is None or said["of"] != of:
        return None
    try:
        return datetime.strptime(said["taken"], _TAKEN).replace(tzinfo=UTC)
    except ValueError:
        return None
