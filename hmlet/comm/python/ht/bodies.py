"""Bodies that are read piecewise and can be rewound to be sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Protocol

from ht.errors import Unsendable
from ht.multipart import CHUNK_BYTES, FilePart, readable


class Body(Protocol):
    """What requests streams: its length is known, and ``rewind`` makes the next read start from the beginning."""

    @property
    def content_type(self) -> str | None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...

    def read(self, size: int = -1, /) -> bytes: ...

    def rewind(self) -> None: ...


class SliceBody:
    """``size`` bytes of a file from ``offset`` on, as they are. ``sent`` is called with the bytes sent so far."""

    content_type = None

    def __init__(self, file: FilePart, *, offset: int, size: int, sent: Callable[[int], None] | None = None) -> None:
        self._file = file
        self._start = file.start + offset
        self._size = size
        self._sent = sent
        self._read = 0
        self.rewind()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(CHUNK_BYTES):
            yield chunk

    def rewind(self) -> None:
        """Raises Unsendable when the file has become unreadable."""
        self._read = 0
        with readable():
            self._file.stream.seek(self._start)

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, all that is left when negative; raises Unsendable when the file is cut meanwhile."""
        left = self._size - self._read
        with readable():
            chunk = self._file.stream.read(left if size < 0 else min(size, left))
        if not chunk and left and size:
            raise Unsendable(f"{self._file.filename!r} lost {left} bytes while it was being sent")
        self._read += len(chunk)
        if self._sent is not None and chunk:
            self._sent(self._read)
        return chunk

    def sha256(self) -> str:
        """Of these bytes, hexadecimal; read piecewise."""
        digest = hashlib.sha256()
        self.rewind()
        sent, self._sent = self._sent, None
        for chunk in self:
            digest.update(chunk)
        self._sent = sent
        self.rewind()
        return digest.hexdigest()


def content_type_of(start: bytes) -> str:
    """The type of an image by its first bytes. Raises Unsendable for what is no image that the platform takes.

    >>> content_type_of(b"\\x89PNG\\r\\n\\x1a\\n")
    'image/png'
    """
    signatures = {
        b"\xff\xd8\xff": "image/jpeg",
        b"\x89PNG\r\n\x1a\n": "image/png",
        b"GIF8": "image/gif",
        b"BM": "image/bmp",
        **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "image/tiff"),
    }
    for signature, content_type in signatures.items():
        if start.startswith(signature):
            return content_type
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if start[4:8] == b"ftyp":
        return "image/avif" if start[8:12] in {b"avif", b"avis"} else "image/heic"
    raise Unsendable("The file does not begin like an image")
