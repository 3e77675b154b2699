"""In which order photos are listed."""

from dataclasses import replace

from django.db.models import Q, QuerySet
from ops import page_requests
from ops.errors import InvalidInput
from ops.pages import Order, Page
from rest_framework.request import Request

from gallery.models import Photo

ORDERINGS = {
    "publish_date": Order(field="publish_date", descending=False, nullable=True),
    "-publish_date": Order(field="publish_date", descending=True, nullable=True),
}


def page_requested(photos: QuerySet[Photo], request: Request) -> Page[Photo]:
    """The page that the query parameters ask for. Raises InvalidInput for those that make no sense."""
    ordering = request.query_params.get("ordering", "-publish_date")
    if ordering not in ORDERINGS:
        message = "Order by publish_date or -publish_date."
        raise InvalidInput(message, errors={"ordering": [message]})
    # Drafts have no date, and nobody sees those of others.
    order = replace(ORDERINGS[ordering], dateless=Q(owner_id=request.user.pk))
    return page_requests.page_requested(photos, request, order=order)
