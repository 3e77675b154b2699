"""Which objects of the two buckets a row names, whoever's the row is. The sweep deletes all others."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An object that has to be there, because a row says so.

    ``sha256`` is hexadecimal, None where it is not known. ``made_of`` is the Original that a job can make it of again.
    """

    key: str
    bytes: int
    sha256: str | None = None
    made_of: uuid.UUID | None = None


Named = Callable[[list[str]], set[str]]
"""Those of the keys that one's rows name."""
KeptIn = Callable[[str], Iterator[Kept]]
"""What one's rows say is in a folder of two hexadecimal digits, named with its slash."""
Alias = Literal["originals", "thumbnails"]
ALIASES: tuple[Alias, ...] = ("originals", "thumbnails")

Forget = Callable[[list[str]], object]
"""Deletes those of one's rows that cannot be without an object of these keys; the others no longer name it."""

_registered: dict[Alias, list[tuple[Named, KeptIn, Forget]]] = {alias: [] for alias in ALIASES}


def named_register(bucket: Alias, named: Named, kept_in: KeptIn, forget: Forget) -> None:
    """Have ``named`` asked about the keys in ``bucket``, ``kept_in`` about what has to be there, and ``forget`` told
    what has been deleted."""
    _registered[bucket].append((named, kept_in, forget))


def named_of(bucket: Alias, keys: list[str]) -> set[str]:
    """Those of the keys that any row names."""
    return set[str]().union(*(named(keys) for named, _, _ in _registered[bucket]))


def kept_in(bucket: Alias, folder: str) -> Iterator[Kept]:
    """What rows say is in a folder of a bucket."""
    for _, kept, _ in _registered[bucket]:
        yield from kept(folder)


def named_forget(bucket: Alias, keys: list[str]) -> None:
    """Have nobody's rows name these objects any more."""
    for _, _, forget in _registered[bucket]:
        forget(keys)
