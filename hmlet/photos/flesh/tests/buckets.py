"""A bucket in memory, for tests of what is stored and not of how."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import IO
from urllib.parse import urlencode

from django.utils import timezone
from gallery.buckets import StoredObject
from uploads.staging import Sink, StoredPart


class MemoryBucket:
    """Knows the calls of gallery.buckets.Bucket and uploads.staging.Staging, and no others."""

    def __init__(self, bucket_name: str) -> None:
        self.bucket_name = bucket_name
        self.objects: dict[str, tuple[bytes, str, datetime]] = {}
        self.in_parts: dict[tuple[str, str], dict[int, bytes]] = {}
        self.broken = False

    def write(self, key: str, content: IO[bytes], content_type: str) -> None:
        self._answer()
        content.seek(0)
        self.objects[key] = (content.read(), content_type, timezone.now())

    def read(self, key: str, into: Sink) -> None:
        self._answer()
        try:
            into.write(self.objects[key][0])
        except KeyError:
            raise FileNotFoundError(key) from None

    def discard(self, key: str) -> None:
        self._answer()
        self.objects.pop(key, None)

    def keys(self, *, older_than: datetime) -> Iterator[str]:
        self._answer()
        return iter([key for key, (_, _, written) in self.objects.items() if written < older_than])

    def listed(self, prefix: str = "") -> Iterator[StoredObject]:
        self._answer()
        for key, (content, _, written) in list(self.objects.items()):
            if key.startswith(prefix):
                yield StoredObject(key=key, bytes=len(content), written=written)

    def folders(self) -> Iterator[str]:
        self._answer()
        return iter({"".join(key.partition("/")[:2]) for key in self.objects})

    def signed_url(self, key: str, content_type: str, *, save_as: str | None = None) -> str:
        return f"https://s3.invalid/{self.bucket_name}/{key}?signed" + (f"&as={save_as}" if save_as else "")

    def encryption_headers(self) -> dict[str, str]:
        return {}

    def signed_put(self, key: str, *, headers: Mapping[str, str], query: Mapping[str, str], life: timedelta) -> str:
        return (
            f"https://s3.invalid/{self.bucket_name}/{key}?{urlencode({**query, 'signed': ';'.join(sorted(headers))})}"
        )

    def parts_begin(self, key: str, content_type: str) -> str:
        self._answer()
        multipart = uuid.uuid4().hex
        self.in_parts[key, multipart] = {}
        return multipart

    def parts_list(self, key: str, multipart: str) -> list[StoredPart]:
        return [
            StoredPart(number=number, bytes=len(part), etag=hashlib.sha256(part).hexdigest(), sha256=None)
            for number, part in sorted(self._parts(key, multipart).items())
        ]

    def parts_join(self, key: str, multipart: str, parts: Sequence[StoredPart]) -> None:
        there = self._parts(key, multipart)
        self.objects[key] = (b"".join(there[part.number] for part in parts), "", timezone.now())
        del self.in_parts[key, multipart]

    def parts_abort(self, key: str, multipart: str) -> None:
        self._parts(key, multipart)
        del self.in_parts[key, multipart]

    def _parts(self, key: str, multipart: str) -> dict[int, bytes]:
        self._answer()
        try:
            return self.in_parts[key, multipart]
        except KeyError:
            raise FileNotFoundError(key) from None

    def ensure(self) -> bool:
        return False

    def check(self) -> None:
        self._answer()

    def clear(self) -> None:
        """As new."""
        self.__init__(self.bucket_name)  # type: ignore[misc]

    def _answer(self) -> None:
        if self.broken:
            raise OSError("the storage is away")
