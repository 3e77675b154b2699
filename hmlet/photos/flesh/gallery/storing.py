"""An object on its way to a bucket while the rows that name it are written, which takes as long.

Who writes the rows waits for it before they commit.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import IO

from gallery.buckets import Bucket
from gallery.objects import CONNECTIONS_MAX

_STORERS = ThreadPoolExecutor(max_workers=CONNECTIONS_MAX, thread_name_prefix="storing")


class Storing:
    """Begins at once. The content is read by another thread until ``wait`` has returned."""

    def __init__(self, bucket: Bucket, key: str, content: IO[bytes], content_type: str) -> None:
        self.key = key
        self._writing = _STORERS.submit(bucket.write, key, content, content_type)

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when it is there. Raises what the bucket raised, and TimeoutError."""
        self._writing.result(timeout_s)

    def is_there(self) -> bool:
        """Whether it came there, as soon as that is known."""
        return self._writing.exception() is None
