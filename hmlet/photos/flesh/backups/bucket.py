"""The bucket of archives: one is there when it is whole, and goes when it is old and enough newer ones are there."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, cast

from django.core.files.storage import storages
from gallery.buckets import PrivateBucket, StoredObject

from backups.archive import Source

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 16 * 1024 * 1024
PARTS_MAX = 9000
"""S3 takes 10 000; the size of what is to come is an estimate."""
_NAME = re.compile(r".*-(\d{8}T\d{6}Z)\.tar\.age")


class Archives(Protocol):
    """What backups ask of their bucket."""

    bucket_name: str

    def put_whole(self, key: str, content: Source, *, expected_bytes: int) -> None: ...

    def archives(self) -> list[StoredObject]: ...

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
            self.client.abort_multipart_upload(**place, UploadId=upload)
            raise

    def archives(self) -> list[StoredObject]:
        """Those that are there, oldest first. What has another name is somebody else's."""
        return sorted(
            (found for found in self.listed() if _NAME.fullmatch(found.key)), key=lambda found: _taken(found.key)
        )


def archives_bucket() -> Archives:
    """Where archives are kept."""
    return cast(Archives, storages["backups"])


def archive_key(prefix: str, taken: datetime) -> str:
    """What an archive is called: of whom, and when."""
    return f"{prefix}-{taken.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar.age"


def outlived(found: Sequence[StoredObject], *, now: datetime, keep_days: int, keep_count: int) -> list[str]:
    """Keys of archives older than ``keep_days``, the ``keep_count`` newest always left out."""
    before = now - timedelta(days=keep_days)
    newest_last = sorted((stored.key for stored in found), key=_taken)
    return [key for key in newest_last[: max(0, len(newest_last) - keep_count)] if _taken(key) < before]


def _taken(key: str) -> datetime:
    said = _NAME.fullmatch(key)
    assert said is not None  # noqa: S101 - archives() lists no other
    return datetime.strptime(said[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
