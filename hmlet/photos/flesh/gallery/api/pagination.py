"""Cursor pages ``{next, previous, results}`` for DRF and its schema."""

from typing import Any

from django.db.models import QuerySet
from ops.errors import InvalidInput
from rest_framework.request import Request

from gallery.models import Photo
from gallery.pages import Cursor, Page, cursor_decode, page_read

PAGE_SIZE = 20
PAGE_SIZE_MAX = 100
ORDERINGS = {"publish_date": False, "-publish_date": True}


def page_requested(photos: QuerySet[Photo], request: Request) -> Page:
    """The page that the query parameters ask for. Raises InvalidInput for those that make no sense."""
    query = request.query_params
    ordering = query.get("ordering", "-publish_date")
    if ordering not in ORDERINGS:
        message = "Order by publish_date or -publish_date."
        raise InvalidInput(message, errors={"ordering": [message]})
    text = query.get("cursor")
    return page_read(
        photos,
        cursor=cursor_decode(text) if text else None,
        descending=ORDERINGS[ordering],
        size=_size(query.get("page_size")),
    )


def page_url(request: Request, cursor: Cursor | None) -> str | None:
    """The address of a neighbouring page: this one's, with another cursor."""
    if cursor is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = cursor.encoded()
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _size(text: Any) -> int:
    if text is None:
        return PAGE_SIZE
    try:
        size = int(text)
    except ValueError:
        size = 0
    if not 1 <= size <= PAGE_SIZE_MAX:
        message = f"A page has from 1 to {PAGE_SIZE_MAX} photos."
        raise InvalidInput(message, errors={"page_size": [message]})
    return size
