"""What the command line remembers, below ``$XDG_STATE_HOME/ht``: private, a file for each thing, written whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ht.answers import Json


def state_folder(name: str) -> Path:
    configured = os.environ.get("XDG_STATE_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path("~/.local/state").expanduser()
    return base / "ht" / name


def file_name_of(address: str) -> str:
    """A readable name that two addresses never share.

    >>> file_name_of("http://127.0.0.1:28720")
    'http-127.0.0.1-28720-76ff8c39'
    """
    import hashlib
    import re

    return re.sub(r"[^A-Za-z0-9.]+", "-", address)[:60] + "-" + hashlib.sha256(address.encode()).hexdigest()[:8]


def read(file: Path) -> dict[str, Json]:
    """The object in a file; empty where there is none to be read: what is remembered can be had again."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write(file: Path, value: dict[str, Json]) -> None:
    """Readable by its owner alone from its first byte on. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = file.with_name(f".{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(value, stream)
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)
