"""Streams form fields and one file as multipart/form-data (RFC 7578), in memory that does not grow with the file."""

from __future__ import annotations

import io
import mimetypes
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias

from ht.errors import Unsendable

Image: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes]
#: Called with the bytes handed to the connection so far, and their total; from 0 again when the request is repeated.
Progress: TypeAlias = Callable[[int, int], None]

CHUNK_BYTES = 64 * 1024
#: A source that cannot be rewound is spooled: in memory up to this size, in a temporary file beyond.
SPOOL_IN_MEMORY_BYTES = 1024 * 1024
UNNAMED = "image"


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """``size`` bytes of ``stream`` from the position ``start`` on, which can be sought."""

    filename: str
    stream: IO[bytes] = field(repr=False)
    start: int
    size: int


@contextmanager
def opened_image(image: Image | None) -> Iterator[FilePart]:
    """Opens ``image`` for sending, and closes what it opened.

    A file object is sent from its present position and stays open, read to its end. One that cannot seek (a pipe) is
    first copied to a temporary file.
    Raises Unsendable when there is no image or it cannot be read.
    """
    if image is None:
        raise Unsendable("The photo has no image: give a path, bytes or a file opened in binary mode")
    if isinstance(image, bytes | bytearray | memoryview):
        yield FilePart(filename=UNNAMED, stream=io.BytesIO(image), start=0, size=memoryview(image).nbytes)
        return
    if isinstance(image, str | os.PathLike):
        with _opened_path(Path(image)) as stream:
            yield _measured(stream, Path(image).name)
        return
    if _is_text(image):
        raise Unsendable("The image is a file opened in text mode: open it in binary mode ('rb')")
    with _seekable(image) as stream:
        yield _measured(stream, _name_of(image))


class MultipartBody:
    """A body for requests: it has a length, is read piecewise, and can be rewound to be sent again.

    ``fields`` come first, so that a server knows them before the file arrives. Raises Unsendable for text that is not
    Unicode (lone surrogates, as in the name of a file that is not UTF-8).
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        *,
        file_field: str,
        file: FilePart,
        boundary: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._boundary = boundary or secrets.token_hex(16)
        self._file = file
        self._progress = progress
        self._head = io.BytesIO(self._encoded_head(fields, file_field))
        self._tail = io.BytesIO(f"\r\n--{self._boundary}--\r\n".encode())
        self._length = len(self._head.getbuffer()) + file.size + len(self._tail.getbuffer())
        self.rewind()

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(CHUNK_BYTES):
            yield chunk

    def rewind(self) -> None:
        """Makes the next read start from the beginning; raises Unsendable when the file has become unreadable."""
        self._head.seek(0)
        self._tail.seek(0)
        self._file_left = self._file.size
        self._sent = 0
        with readable():
            self._file.stream.seek(self._file.start)

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, all that is left when negative; raises Unsendable when the file is cut meanwhile."""
        wanted = self._length - self._sent if size < 0 else size
        chunks: list[bytes] = []
        while wanted > 0 and (chunk := self._next_chunk(wanted)):
            chunks.append(chunk)
            wanted -= len(chunk)
            self._sent += len(chunk)
        if self._progress is not None and chunks:
            self._progress(self._sent, self._length)
        return b"".join(chunks)

    def _next_chunk(self, size: int) -> bytes:
        if chunk := self._head.read(size):
            return chunk
        if self._file_left == 0:
            return self._tail.read(size)
        with readable():
            chunk = self._file.stream.read(min(size, self._file_left))
        if not isinstance(chunk, bytes):
            raise Unsendable("The image is a file opened in text mode: open it in binary mode ('rb')")
        if not chunk:
            raise Unsendable(f"{self._file.filename!r} lost {self._file_left} bytes while it was being sent")
        self._file_left -= len(chunk)
        return chunk

    def _encoded_head(self, fields: Mapping[str, str], file_field: str) -> bytes:
        content_type = mimetypes.guess_type(self._file.filename)[0] or "application/octet-stream"
        parts = [
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{quoted(name)}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{quoted(file_field)}"; '
            f'filename="{quoted(self._file.filename)}"\r\nContent-Type: {content_type}\r\n\r\n'
        )
        try:
            return "".join(parts).encode()
        except UnicodeEncodeError:
            raise Unsendable("A field of the photo holds text that is not Unicode (a lone surrogate)") from None


def quoted(name: str) -> str:
    """``name`` for a quoted parameter of Content-Disposition.

    UTF-8 as it is, and percent-encoded what would end the string or the line: what RFC 7578 (4.2, 5.1) and browsers do
    (https://html.spec.whatwg.org/#multipart-form-data), and the backslash too, because servers unescape it.

    >>> quoted('Zoë "1".png')
    'Zoë %221%22.png'
    """
    name = name.encode(errors="replace").decode()
    return "".join(
        f"%{ord(char):02X}" if char in '"\\' or ord(char) < 0x20 or ord(char) == 0x7F else char for char in name
    )


def _is_text(source: object) -> bool:
    return isinstance(source, io.TextIOBase)


@contextmanager
def readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unsendable(f"The image cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise Unsendable("The image cannot be read: the file is closed") from None


@contextmanager
def _opened_path(path: Path) -> Iterator[IO[bytes]]:
    try:
        if path.exists() and not path.is_file():
            raise Unsendable(f"{path} is no file")
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Unsendable(f"{path} cannot be read: {reason}") from None
    with stream:
        yield stream


@contextmanager
def _seekable(source: IO[bytes]) -> Iterator[IO[bytes]]:
    with readable():
        can_seek = source.seekable()
    if can_seek:
        yield source
        return
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_IN_MEMORY_BYTES) as spool:
        with readable():
            while chunk := source.read(CHUNK_BYTES):
                if not isinstance(chunk, bytes):
                    raise Unsendable("The image is a stream of text: open it in binary mode")
                spool.write(chunk)
            spool.seek(0)
        yield spool


def _measured(stream: IO[bytes], filename: str) -> FilePart:
    with readable():
        start = stream.tell()
        end = stream.seek(0, os.SEEK_END)
        stream.seek(start)
    return FilePart(filename=filename, stream=stream, start=start, size=max(0, end - start))


def _name_of(source: IO[bytes]) -> str:
    name = getattr(source, "name", None)
    return Path(name).name or UNNAMED if isinstance(name, str) else UNNAMED
