"""Pages of photos by keyset: a page starts after the last row seen, so the thousandth costs what the first does.

Order is (publish_date, id), drafts without a date last in both directions. The dated rows and the dateless ones are two
runs, each in an index's own order; a page is read from one, and from the next where the first ends.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q, QuerySet
from ops.errors import InvalidInput

from gallery.models import Photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place between two rows: beside the photo of this date and id; ``backward`` reads towards the list's start."""

    publish_date: datetime | None
    id: uuid.UUID
    backward: bool = False

    def encoded(self) -> str:
        date = self.publish_date.isoformat() if self.publish_date else None
        text = json.dumps([date, str(self.id), self.backward], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Photos in order, and where the neighbouring pages start, if there are any."""

    photos: Sequence[Photo]
    next: Cursor | None
    previous: Cursor | None


def cursor_decode(text: str) -> Cursor:
    """Raises InvalidInput for anything that ``encoded`` did not make."""
    try:
        date, photo_id, backward = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        publish_date = None if date is None else datetime.fromisoformat(date).astimezone(UTC)
        return Cursor(publish_date=publish_date, id=uuid.UUID(photo_id), backward=backward is True)
    except (ValueError, TypeError, AttributeError, binascii.Error, OverflowError, RecursionError) as error:
        message = "This cursor was not given out by the list. Start without one and follow `next`."
        raise InvalidInput(message, errors={"cursor": [message]}) from error


def page_read(photos: QuerySet[Photo], *, cursor: Cursor | None, descending: bool, size: int) -> Page:
    """``size`` photos beside ``cursor``, or from the start."""
    backward = cursor is not None and cursor.backward
    rows = _rows(photos, cursor, descending=descending, backward=backward, count=size + 1)
    more = len(rows) > size
    rows = rows[:size]
    if backward:
        rows.reverse()
    if not rows:
        return Page(photos=[], next=None, previous=None)
    has_next = backward or more
    has_previous = more if backward else cursor is not None
    return Page(
        photos=rows,
        next=_beside(rows[-1], backward=False) if has_next else None,
        previous=_beside(rows[0], backward=True) if has_previous else None,
    )


def _beside(photo: Photo, *, backward: bool) -> Cursor:
    return Cursor(publish_date=photo.publish_date, id=photo.pk, backward=backward)


def _rows(
    photos: QuerySet[Photo], cursor: Cursor | None, *, descending: bool, backward: bool, count: int
) -> list[Photo]:
    """Up to ``count`` rows in reading order: away from the cursor, reversed when reading backward."""
    falling = descending != backward
    runs = [_dated(photos, cursor, falling=falling), _dateless(photos, cursor, falling=falling)]
    if backward:
        runs.reverse()
    # Of the run that the reading has left behind there is nothing more to come.
    if cursor is not None and (cursor.publish_date is None) != backward:
        runs = runs[1:]
    found: list[Photo] = []
    for run in runs:
        if len(found) < count:
            found += run[: count - len(found)]
    return found


def _dated(photos: QuerySet[Photo], cursor: Cursor | None, *, falling: bool) -> QuerySet[Photo]:
    sign, compare = ("-", "lt") if falling else ("", "gt")
    rows = photos.filter(publish_date__isnull=False).order_by(f"{sign}publish_date", f"{sign}id")
    if cursor is None or cursor.publish_date is None:
        return rows
    date = cursor.publish_date
    beyond = Q(**{f"publish_date__{compare}": date}) | Q(publish_date=date, **{f"id__{compare}": cursor.id})
    # The first condition says nothing new, and lets the index start at the cursor.
    return rows.filter(Q(**{f"publish_date__{compare}e": date}), beyond)


def _dateless(photos: QuerySet[Photo], cursor: Cursor | None, *, falling: bool) -> QuerySet[Photo]:
    sign, compare = ("-", "lt") if falling else ("", "gt")
    rows = photos.filter(publish_date=None).order_by(f"{sign}id")
    if cursor is None or cursor.publish_date is not None:
        return rows
    return rows.filter(**{f"id__{compare}": cursor.id})
