"""Pages by keyset: a page starts after the last row seen, so the thousandth costs what the first does.

Order is (moment, id), where the moment is a field of the rows. Rows without a moment come last in both directions. The
dated rows and the dateless ones are two runs, each in an index's own order; a page is read from one, and from the next
where the first ends.
"""

import base64
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

from ops.errors import InvalidInput

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place between two rows: beside that of this moment and id; ``backward`` reads towards the list's start."""

    moment: datetime | None
    id: uuid.UUID
    backward: bool = False

    def encoded(self) -> str:
        moment = self.moment.isoformat() if self.moment else None
        return place_encoded(moment, str(self.id), self.backward)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """Rows in order, and where the neighbouring pages start, if there are any."""

    rows: Sequence[Row]
    next: Cursor | None
    previous: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """``nullable``: whether there may be rows without a moment. ``dateless`` is what is true of those that the list can
    hold anyway, said again for the sake of an index."""

    field: str
    descending: bool
    nullable: bool
    dateless: Q | None = None


def cursor_decode(text: str) -> Cursor:
    """Raises InvalidInput for anything that ``encoded`` did not make."""
    try:
        moment, row_id, backward = place_decoded(text)
        aware = None if moment is None else datetime.fromisoformat(moment).astimezone(UTC)
        return Cursor(moment=aware, id=uuid.UUID(row_id), backward=backward is True)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise cursor_refused() from error


def place_encoded(*parts: str | bool | None) -> str:
    """What tells a place in a list, as a query holds it."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_decoded(text: str) -> Any:
    """What JSON holds: the parts, if it was ``place_encoded`` that made it. Raises ValueError for what is no JSON."""
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def cursor_refused() -> InvalidInput:
    """For a cursor that no list has given out."""
    message = "This cursor was not given out by the list. Start without one and follow `next`."
    return InvalidInput(message, errors={"cursor": [message]})


def page_read(rows: QuerySet[Row], *, order: Order, cursor: Cursor | None, size: int) -> Page[Row]:
    """``size`` rows beside ``cursor``, or from the start."""
    backward = cursor is not None and cursor.backward
    found = _read(rows, order, cursor, backward=backward, count=size + 1)
    more = len(found) > size
    found = found[:size]
    if backward:
        found.reverse()
    if not found:
        return Page(rows=[], next=None, previous=None)
    has_next = backward or more
    has_previous = more if backward else cursor is not None
    return Page(
        rows=found,
        next=_beside(found[-1], order, backward=False) if has_next else None,
        previous=_beside(found[0], order, backward=True) if has_previous else None,
    )


def _beside(row: Row, order: Order, *, backward: bool) -> Cursor:
    return Cursor(moment=getattr(row, order.field), id=row.pk, backward=backward)


def _read(rows: QuerySet[Row], order: Order, cursor: Cursor | None, *, backward: bool, count: int) -> list[Row]:
    """Up to ``count`` rows in reading order: away from the cursor, reversed when reading backward."""
    falling = order.descending != backward
    if not order.nullable:
        return list(_dated(rows, order, cursor, falling=falling)[:count])
    runs = [_dated(rows, order, cursor, falling=falling), _dateless(rows, order, cursor, falling=falling)]
    if backward:
        runs.reverse()
    # Of the run that the reading has left behind there is nothing more to come.
    if cursor is not None and (cursor.moment is None) != backward:
        runs = runs[1:]
    found: list[Row] = []
    for run in runs:
        if len(found) < count:
            found += run[: count - len(found)]
    return found


def _dated(rows: QuerySet[Row], order: Order, cursor: Cursor | None, *, falling: bool) -> QuerySet[Row]:
    sign, compare, field = ("-", "lt", order.field) if falling else ("", "gt", order.field)
    if order.nullable:
        rows = rows.filter(**{f"{field}__isnull": False})
    rows = rows.order_by(f"{sign}{field}", f"{sign}id")
    if cursor is None or cursor.moment is None:
        return rows
    beyond = Q(**{f"{field}__{compare}": cursor.moment}) | Q(**{field: cursor.moment, f"id__{compare}": cursor.id})
    # The first condition says nothing new, and lets the index start at the cursor.
    return rows.filter(Q(**{f"{field}__{compare}e": cursor.moment}), beyond)


def _dateless(rows: QuerySet[Row], order: Order, cursor: Cursor | None, *, falling: bool) -> QuerySet[Row]:
    sign, compare = ("-", "lt") if falling else ("", "gt")
    rows = rows.filter(order.dateless or Q(), **{order.field: None}).order_by(f"{sign}id")
    if cursor is None or cursor.moment is not None:
        return rows
    return rows.filter(**{f"id__{compare}": cursor.id})
