"""A file that is still arriving: one process writes it, another reads it at the same time and waits where it must."""

import contextlib
import io
import os
import struct
import tempfile
from typing import Any, BinaryIO

ORDER_BYTES_MAX = 2048
READ_BYTES = 128 * 1024
_BEGINNING = struct.Struct("!QQ")
_NUMBER = struct.Struct("!Q")


class Arrival:
    """The sender's end. What the receiver needs are two descriptors, which go to it once."""

    def __init__(self) -> None:
        self._file = _memory_file()
        self._hear, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        self._sent = 0

    def for_receiver(self) -> tuple[int, int]:
        """The descriptors for ``receive``, to be sent to another process."""
        return self._file, self._hear

    def send_only(self) -> None:
        """The receiver has its descriptors."""
        os.close(self._hear)
        self._hear = -1

    def begin(self, size: int, order: bytes = b"") -> None:
        """Say how many bytes will come, and what is to be done with them (in at most ORDER_BYTES_MAX)."""
        if len(order) > ORDER_BYTES_MAX:
            raise ValueError(f"an order of {len(order)} bytes")
        self._tell_all(_BEGINNING.pack(size, len(order)) + order)

    def write(self, content: bytes, /) -> int:
        """The next bytes."""
        view = memoryview(content)
        while view:
            written = os.pwrite(self._file, view, self._sent)
            self._sent += written
            view = view[written:]
        self._notify(self._sent)
        return len(content)

    def end(self) -> None:
        """No more will come. May be called again."""
        if self._tell >= 0:
            os.close(self._tell)
            self._tell = -1

    def close(self) -> None:
        """Let go of the memory, as far as this process holds it. May be called again."""
        self.end()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _notify(self, number: int) -> None:
        # A full pipe means that the reader has news enough.
        with contextlib.suppress(BlockingIOError):
            self._tell_all(_NUMBER.pack(number))

    def _tell_all(self, told: bytes) -> None:
        # A broken pipe means that the reader died, which its end will tell.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._tell, told)


def receive(file: int, hear: int) -> "tuple[ArrivingFile, bytes] | None":
    """The receiver's part: wait for ``begin``, for the file and the order. None when the sender ended without one."""
    # A pipe takes and gives as little as this in one piece.
    begun = os.read(hear, _BEGINNING.size)
    if not begun:
        return None
    size, order_length = _BEGINNING.unpack(begun)
    order = os.read(hear, order_length) if order_length else b""
    return ArrivingFile(file, hear, size), order


class _Sized(io.RawIOBase):
    """A file to be read of which the size is known: where one stands in it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError("before the start of the file")
        self._position = start + offset
        return self._position


class ArrivingFile(_Sized):
    """What has arrived can be read; reading past it waits. Reading past what ever came raises EOFError. ``size``: in
    bytes, once all of it has arrived."""

    def __init__(self, file: int, hear: int, size: int) -> None:
        super().__init__(size)
        self._file, self._hear = file, hear
        self._arrived = 0

    def readall(self) -> bytes:
        """In one piece; the parent's way goes by 8 KB."""
        return self.read(max(0, self.size - self._position))

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self.size - self._position))
        self._await(self._position + wanted)
        count = os.preadv(self._file, [memoryview(buffer)[:wanted]], self._position) if wanted else 0
        self._position += count
        return count

    def _await(self, end: int) -> None:
        while self._arrived < end:
            news = os.read(self._hear, 512 * _NUMBER.size)
            if news:
                self._arrived = _NUMBER.unpack(news[-_NUMBER.size :])[0]
                continue
            self._arrived = os.fstat(self._file).st_size
            if self._arrived < end:
                raise EOFError("the file did not arrive completely")


class ArrivingPart(_Sized):
    """``size`` bytes of such a file from ``start`` on, as a file of their own."""

    def __init__(self, whole: BinaryIO, start: int, size: int) -> None:
        super().__init__(size)
        self._whole, self._start = whole, start

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self.size - self._position))
        self._whole.seek(self._start + self._position)
        content = self._whole.read(wanted)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class ArrivingReader(io.BufferedReader):
    """The same, READ_BYTES at a time, and with no more memory than the file fills: a codec reads as many bytes as some
    length in the file says, and all of those would be allocated before the first is read."""

    def __init__(self, file: ArrivingFile | ArrivingPart) -> None:
        super().__init__(file, READ_BYTES)
        self._size = file.size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > READ_BYTES:
            size = min(size, max(0, self._size - self.tell()))
        return super().read(size)


def _memory_file() -> int:
    """A descriptor of a file that has no name, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("image")
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108 - a string from mkstemp
    return descriptor
