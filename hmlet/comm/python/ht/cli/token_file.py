"""The tokens of an address's user, in a file: ``ht login`` writes it, and each command after it reads and renews."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ht.cli import state
from ht.tokens import KeptTokens


class TokenFile:
    """A ``ht.tokens.TokenStore``. Kept tokens of another user than ``username`` are as good as none."""

    def __init__(self, address: str, username: str) -> None:
        self._file = file_of(address)
        self._username = username

    def load(self) -> KeptTokens | None:
        kept = state.read(self._file)
        access, refresh, renew_at = kept.get("access"), kept.get("refresh"), kept.get("renew_at")
        refresh_key = kept.get("refresh_key")
        if kept.get("username") != self._username or not isinstance(access, str):
            return None
        return KeptTokens(
            access=access,
            refresh=refresh if isinstance(refresh, str) else None,
            renew_at=renew_at if isinstance(renew_at, float) else None,
            refresh_key=refresh_key if isinstance(refresh_key, str) else "",
        )

    def save(self, tokens: KeptTokens) -> None:
        state.write(self._file, {"username": self._username, **asdict(tokens)})

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def file_of(address: str) -> Path:
    return state.state_folder("tokens") / f"{state.file_name_of(address)}.json"


def kept_username(address: str) -> str | None:
    """Who signed in there last."""
    username = state.read(file_of(address)).get("username")
    return username if isinstance(username, str) else None
