"""The bucket in which announced bytes arrive, as uploads see it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.storage import storages

from uploads.errors import StorageUnavailable

STORAGE_ERRORS = (BotoCoreError, ClientError, OSError)
log = logging.getLogger(__name__)


@contextmanager
def storage_takes() -> Iterator[None]:
    """Raises StorageUnavailable where the storage does not take an image, and has the log say why."""
    try:
        yield
    except STORAGE_ERRORS as error:
        log.warning("the object storage does not take an image: %s", error)
        raise StorageUnavailable from error


class Sink(Protocol):
    """Where bytes can be written."""

    def write(self, content: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """A part that the storage has. ``sha256`` is base64, None where the storage does not remember it."""

    number: int
    bytes: int
    etag: str
    sha256: str | None


class Staging(Protocol):
    """``parts_list``, ``_join`` and ``_abort`` raise FileNotFoundError for an upload in parts that is over."""

    def signed_put(self, key: str, *, headers: Mapping[str, str], query: Mapping[str, str], life: timedelta) -> str:
        """A URL under which anyone may put, once or more, a body with exactly these headers."""

    def encryption_headers(self) -> dict[str, str]:
        """What a put of a whole object must say, so that it is stored encrypted."""

    def read(self, key: str, into: Sink) -> None:
        """Raises FileNotFoundError."""

    def discard(self, key: str) -> None: ...

    def parts_begin(self, key: str, content_type: str) -> str:
        """The id of a new upload in parts."""

    def parts_list(self, key: str, multipart: str) -> Sequence[StoredPart]: ...

    def parts_join(self, key: str, multipart: str, parts: Sequence[StoredPart]) -> None: ...

    def parts_abort(self, key: str, multipart: str) -> None: ...


def staging() -> Staging:
    """The originals' bucket: what arrives is as private as they are."""
    return cast(Staging, storages["originals"])
