"""What became of each file that was uploaded, so that the same command after a broken run goes on where that ended.

A receipt stands under what was asked: to which platform, for whom, the file's content, name, caption and whether it is
a draft. It tells the Idempotency-Key that the upload goes under, by which even a photo whose answer was lost is made
once, and then the id of the upload to the storage or of the photo.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ht.cli import state

KEPT_S = 30 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Receipt:
    file: Path
    key: str
    upload: str | None = None
    photo: str | None = None

    def save(self) -> None:
        """Raises OSError."""
        state.write(self.file, {"key": self.key, "upload": self.upload, "photo": self.photo})


class Receipts:
    """Those of one user at one address. Raises OSError."""

    def __init__(self, address: str, username: str) -> None:
        self._user = [address, username]
        self._folder = state.state_folder("receipts")

    def of(self, *, sha256: str, name: str, caption: str, draft: bool) -> Receipt:
        asked = json.dumps([*self._user, sha256, name, caption, draft])
        key = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()
        file = self._folder / f"{key}.json"
        found = {name: value for name, value in state.read(file).items() if isinstance(value, str)}
        return Receipt(file=file, key=found.get("key", key), upload=found.get("upload"), photo=found.get("photo"))

    def sweep(self) -> None:
        """Forget those that are older than anyone goes on with an upload."""
        for file in self._folder.glob("*.json"):
            with suppress(FileNotFoundError):  # another process sweeps, too
                if file.stat().st_mtime < time.time() - KEPT_S:
                    file.unlink()


def renewed(receipt: Receipt) -> Receipt:
    """For a photo that was uploaded and is there no more: another key, or the server would answer with the old one."""
    key = hashlib.sha256(f"{receipt.key} {receipt.photo}".encode()).hexdigest()
    return Receipt(file=receipt.file, key=key)
