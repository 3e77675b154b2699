"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(file: Path, content: bytes) -> None:
    """Replace the file, or make it. Raises OSError."""
    half = file.with_name(f".{os.getpid()}.{os.urandom(8).hex()}.part")
    try:
        with half.open("xb") as stream:
            stream.write(content)
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)
