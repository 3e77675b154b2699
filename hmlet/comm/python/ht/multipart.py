"""Streams form fields and one file as multipart/form-data (RFC 7578), in memory that does not grow with the file."""

from __future__ import annotations

import io
import mimetypes
import os
import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
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

    ``fields``, which may come several times, are first, so that a server knows them before the ``files`` arrive. Raises
    Unsendable for text that is not Unicode (lone surrogates, as in the name of a file that is not UTF-8).
    """

    def __init__(
        self,
        fields: Iterable[tuple[str, str]],
        *,
        files: Mapping[str, FilePart],
        boundary: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._boundary = boundary or secrets.token_hex(16)
        self._progress = progress
        self._pieces: list[_Text | _File] = []
        text = "".join(
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{quoted(name)}"\r\n\r\n{value}\r\n'
            for name, value in fields
        )
        for name, file in files.items():
            self._pieces += [_Text(text + self._head_of(name, file)), _File(file)]
            text = "\r\n"
        self._pieces.append(_Text(f"{text}--{self._boundary}--\r\n"))
        self._length = sum(piece.size for piece in self._pieces)
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
        """Makes the next read start from the beginning; raises Unsendable when a file has become unreadable."""
        self._left = deque(self._pieces)
        self._sent = 0
        for piece in self._pieces:
            piece.rewind()

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, all that is left when negative; raises Unsendable when a file is cut meanwhile."""
        wanted = self._length - self._sent if size < 0 else size
        chunks: list[bytes] = []
        while wanted > 0 and self._left:
            chunk = self._left[0].read(wanted)
            if not chunk:
                self._left.popleft()
                continue
            chunks.append(chunk)
            wanted -= len(chunk)
            self._sent += len(chunk)
        if self._progress is not None and chunks:
            self._progress(self._sent, self._length)
        return b"".join(chunks)

    def _head_of(self, name: str, file: FilePart) -> str:
        content_type = mimetypes.guess_type(file.filename)[0] or "application/octet-stream"
        return (
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{quoted(name)}"; '
            f'filename="{quoted(file.filename)}"\r\nContent-Type: {content_type}\r\n\r\n'
        )


class _Text:
    """What stands between files."""

    def __init__(self, text: str) -> None:
        try:
            self._stream = io.BytesIO(text.encode())
        except UnicodeEncodeError:
            raise Unsendable("A field of the form holds text that is not Unicode (a lone surrogate)") from None
        self.size = len(self._stream.getbuffer())

    def rewind(self) -> None:
        self._stream.seek(0)

    def read(self, size: int) -> bytes:
        return self._stream.read(size)


class _File:
    """As many bytes of a file as it had when it was opened."""

    def __init__(self, part: FilePart) -> None:
        self._part = part
        self._left = self.size = part.size

    def rewind(self) -> None:
        self._left = self.size
        with readable():
            self._part.stream.seek(self._part.start)

    def read(self, size: int) -> bytes:
        if self._left == 0:
            return b""
        with readable():
            chunk = self._part.stream.read(min(size, self._left))
        if not isinstance(chunk, bytes):
            raise Unsendable("The image is a file opened in text mode: open it in binary mode ('rb')")
        if not chunk:
            raise Unsendable(f"{self._part.filename!r} lost {self._left} bytes while it was being sent")
        self._left -= len(chunk)
        return chunk


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
