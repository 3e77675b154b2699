"""Tags with counts of the photos that one may see, by name, in pages.

One statement for a page. It goes from name to name in the index of tags rather than through their photos, and counts no
tag's photos further than COUNT_MAX, so that neither many photos nor a tag that is on all of them makes it slow.
"""

from dataclasses import dataclass

from django.db import connection
from ops.pages import cursor_refused, place_decoded, place_encoded

from gallery.models import Original
from gallery.selectors import Viewer

COUNT_MAX = 1000

_SHOWN = """
    FROM gallery_phototag t
    JOIN gallery_photo p ON p.id = t.photo_id
    JOIN gallery_original o ON o.id = p.original_id
    WHERE (p.owner_id = %(viewer)s OR (NOT p.draft AND o.state = %(ready)s))
"""
_PAGE = """
WITH RECURSIVE names(name) AS (
    SELECT (SELECT t.name {shown} {start} ORDER BY t.name {order} LIMIT 1)
    UNION ALL
    SELECT (SELECT t.name {shown} AND t.name {beyond} names.name ORDER BY t.name {order} LIMIT 1)
    FROM names WHERE names.name IS NOT NULL
)
SELECT page.name, (SELECT COUNT(*) FROM (SELECT 1 AS one {shown} AND t.name = page.name LIMIT %(count)s) AS counted)
FROM (SELECT name FROM names WHERE name IS NOT NULL LIMIT %(size)s) AS page
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagView:
    """A tag, folded. ``count`` goes up to COUNT_MAX; ``more`` says that there are more than that."""

    name: str
    count: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TagCursor:
    """A place beside a tag; ``backward`` reads towards the list's start."""

    name: str
    backward: bool = False

    def encoded(self) -> str:
        return place_encoded(self.name, self.backward)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPage:
    """Tags by name, and where the neighbouring pages start, if there are any."""

    tags: list[TagView]
    next: TagCursor | None
    previous: TagCursor | None


def tag_cursor_decode(text: str) -> TagCursor:
    """Raises InvalidInput for anything that ``encoded`` did not make."""
    try:
        name, backward = place_decoded(text)
    except (ValueError, TypeError):
        name, backward = None, None
    if not isinstance(name, str) or not isinstance(backward, bool) or "\0" in name or not name.isprintable():
        raise cursor_refused()
    return TagCursor(name=name, backward=backward)


def tags_page(*, viewer: Viewer, cursor: TagCursor | None, size: int) -> TagPage:
    """``size`` tags beside ``cursor``, or from the start."""
    backward = cursor is not None and cursor.backward
    found = _read(viewer, cursor, backward=backward, size=size + 1)
    more, tags = len(found) > size, found[:size]
    if backward:
        tags.reverse()
    if not tags:
        return TagPage(tags=[], next=None, previous=None)
    return TagPage(
        tags=tags,
        next=TagCursor(name=tags[-1].name) if backward or more else None,
        previous=TagCursor(name=tags[0].name, backward=True) if (more if backward else cursor is not None) else None,
    )


def _read(viewer: Viewer, cursor: TagCursor | None, *, backward: bool, size: int) -> list[TagView]:
    beyond, order = ("<", "DESC") if backward else (">", "ASC")
    start = f"AND t.name {beyond} %(start)s" if cursor else ""
    statement = _PAGE.format(shown=_SHOWN, start=start, beyond=beyond, order=order)
    values = {
        # No user has the number 0.
        "viewer": viewer.pk or 0,
        "ready": Original.State.READY.value,
        "start": cursor.name if cursor else "",
        "count": COUNT_MAX + 1,
        "size": size,
    }
    with connection.cursor() as database:
        database.execute(statement, values)
        rows = database.fetchall()
    return [TagView(name=name, count=min(count, COUNT_MAX), more=count > COUNT_MAX) for name, count in rows]
