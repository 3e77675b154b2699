"""A bucket in memory, for tests of what is stored and not of how."""

from collections.abc import Iterator
from datetime import datetime
from typing import IO

from django.utils import timezone
from gallery.buckets import Sink


class MemoryBucket:
    """Knows the calls of gallery.buckets.Bucket and no others."""

    def __init__(self, bucket_name: str) -> None:
        self.bucket_name = bucket_name
        self.objects: dict[str, tuple[bytes, str, datetime]] = {}
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

    def signed_url(self, key: str, content_type: str) -> str:
        return f"https://s3.invalid/{self.bucket_name}/{key}?signed"

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
