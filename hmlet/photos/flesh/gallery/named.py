"""Which objects of the two buckets a row names, whoever's the row is. The sweep deletes all others."""

from collections.abc import Callable
from typing import Literal

Named = Callable[[list[str]], set[str]]
"""Those of the keys that one's rows name."""
Alias = Literal["originals", "thumbnails"]
ALIASES: tuple[Alias, ...] = ("originals", "thumbnails")

_named: dict[Alias, list[Named]] = {alias: [] for alias in ALIASES}


def named_register(bucket: Alias, named: Named) -> None:
    """Have ``named`` asked about the keys in ``bucket``."""
    _named[bucket].append(named)


def named_of(bucket: Alias, keys: list[str]) -> set[str]:
    """Those of the keys that any row names."""
    return set[str]().union(*(named(keys) for named in _named[bucket]))
