"""Lists that come in pages ``{next, previous, results}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from ht.answers import Fields, Json
from ht.connection import Connection
from ht.errors import AnswerNotUnderstood


def iterate_pages(connection: Connection, path: str, query: Mapping[str, str], *, what: str) -> Iterator[Json]:
    """The results of all pages, each page asked for when it is needed. ``what`` names a page in messages.

    Of the link to the next page only the query is followed, at ``base_url``: the token must not go elsewhere.
    """
    seen: set[str] = set()
    while True:
        page = Fields(connection.request("GET", path, query=query), what=what)
        yield from page.items("results")
        next_url = page.text_or_none("next")
        if not next_url:
            return
        if next_url in seen:
            raise AnswerNotUnderstood(f"{what}: the next page is one that was already given")
        seen.add(next_url)
        query = _query_of(next_url, what)


def _query_of(next_url: str, what: str) -> dict[str, str]:
    try:
        query = dict(parse_qsl(urlsplit(next_url).query, keep_blank_values=True))
    except ValueError:
        query = {}
    if not query:
        raise AnswerNotUnderstood(f"{what}: the link to the next page has no query")
    return query
