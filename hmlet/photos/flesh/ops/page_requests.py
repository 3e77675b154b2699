"""Which page a request asks for, and the answer ``{next, previous, results}``."""

from collections.abc import Sequence
from typing import Any, Protocol

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request

from ops.errors import InvalidInput
from ops.pages import Order, Page, Row, cursor_decode, page_read

PAGE_SIZE = 20
PAGE_SIZE_MAX = 100
PARAMETERS = (
    OpenApiParameter("cursor", OpenApiTypes.STR, description="From `next` or `previous`."),
    OpenApiParameter("page_size", OpenApiTypes.INT, description=f"1 to {PAGE_SIZE_MAX}, default {PAGE_SIZE}."),
)
"""What every list takes, for the schema."""


def page_requested(rows: QuerySet[Row], request: Request, *, order: Order) -> Page[Row]:
    """The page that the query parameters ask for. Raises InvalidInput for those that make no sense."""
    query = request.query_params
    text = query.get("cursor")
    return page_read(rows, order=order, cursor=cursor_decode(text) if text else None, size=page_size(request))


@extend_schema_serializer(many=False)
class PageSerializer(serializers.Serializer[Any]):
    """A page on the wire; subclasses add ``results``. The schema would take what a list answers for a bare array."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class Place(Protocol):
    """Where a page starts."""

    def encoded(self) -> str: ...


class Neighbours(Protocol):
    """Where the pages beside one start, if there are any."""

    @property
    def next(self) -> Place | None: ...
    @property
    def previous(self) -> Place | None: ...


def page_body(request: Request, page: Neighbours, results: Sequence[Any]) -> dict[str, Any]:
    """A page as it is answered."""
    return {"next": _url(request, page.next), "previous": _url(request, page.previous), "results": results}


def _url(request: Request, place: Place | None) -> str | None:
    """The address of a neighbouring page: this one's, with another cursor."""
    if place is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = place.encoded()
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def page_size(request: Request) -> int:
    """How many entries a page is to have. Raises InvalidInput for a number that makes no sense."""
    text = request.query_params.get("page_size")
    if text is None:
        return PAGE_SIZE
    try:
        size = int(text)
    except ValueError:
        size = 0
    if not 1 <= size <= PAGE_SIZE_MAX:
        message = f"A page has from 1 to {PAGE_SIZE_MAX} entries."
        raise InvalidInput(message, errors={"page_size": [message]})
    return size
