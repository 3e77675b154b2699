"""Files that are there whole or as before, whenever a process is killed or the power fails."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file, readable by the user alone, so that it is there whole or as before, whenever the power fails."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
