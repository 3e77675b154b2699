"""Tags with their counts."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass

from ht.answers import Fields, Json
from ht.connection import Connection
from ht.pages import iterate_pages

PATH = "/api/v1/tags/"


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A tag, folded, and how many photos that you may see have it; ``more`` than the server counts, perhaps."""

    name: str
    count: int
    more: bool = False

    @classmethod
    def from_json(cls, value: Json) -> Tag:
        fields = Fields(value, what="tag")
        return cls(name=fields.text("name"), count=fields.integer("count"), more=fields.flag("more"))


class Tags:
    """``client.tags``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def iterate(self) -> Iterator[Tag]:
        """Tags one by one, by name, a page asked for when it is needed."""
        return map(Tag.from_json, iterate_pages(self._connection, PATH, {}, what="page of tags"))

    def list(self) -> builtins.list[Tag]:
        """All tags of all pages."""
        return [*self.iterate()]
