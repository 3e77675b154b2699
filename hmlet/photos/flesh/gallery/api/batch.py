"""Many changes of photos in one request: each atomic, each with a result of its own, in the order of their items."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from idempotency.api import PARAMETER as IDEMPOTENCY_KEY
from idempotency.api import once
from idempotency.errors import KeyBusy
from idempotency.services import Claim, key_complete, key_step
from ops.api import ErrorSerializer, error_body, exception_handler
from ops.errors import InvalidInput, PlatformError
from ops.metadata import LimitsMetadata
from ops.parsers import BoundedJSONParser
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gallery import selectors
from gallery.api.batch_items import BatchResultsSerializer, BatchSerializer, change_asked
from gallery.api.limits import photo_limits
from gallery.api.serializers import PhotoSerializer
from gallery.models import Photo

log = logging.getLogger(__name__)

ITEMS_MAX = 1000
WORK_S = 45.0
"""Less than the edge waits for an answer."""
ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 409, 413, 422), ErrorSerializer)


class BatchParser(BoundedJSONParser):
    """Room for a thousand long captions."""

    bytes_max = 16 * 1024 * 1024


class OutOfTime(PlatformError):
    """The item's turn did not come."""

    code = "batch_out_of_time"
    status = 503
    retryable = True

    def __init__(self) -> None:
        super().__init__("There was no time left for this one; nothing was done. Send it again in another batch.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an item: an HTTP status, and the photo's id or the error's body."""

    status: int
    photo: uuid.UUID | None = None
    error: Any = None


class BatchView(APIView):
    """Creates, edits, publishes, unpublishes and deletes."""

    parser_classes = (BatchParser,)
    metadata_class = LimitsMetadata

    def limits(self) -> dict[str, Any]:
        return {"items": ITEMS_MAX, "bytes": BatchParser.bytes_max, "work_s": WORK_S, **photo_limits(self.request.user)}

    @extend_schema(
        summary="Change many photos at once",
        description=(
            f"Up to {ITEMS_MAX} items, done in their order, each of them whole or not at all. A photo is created from "
            f"an upload. After {WORK_S:g} seconds what is left is answered with `batch_out_of_time`. With an "
            "Idempotency-Key, a batch that broke off is gone on with where it was, and no item is done twice."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=BatchSerializer,
        responses={207: BatchResultsSerializer, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        return once(request, partial(self._run, request))

    def _run(self, request: Request, claim: Claim | None) -> Response:
        items = _items(request.data)
        deadline = time.monotonic() + WORK_S
        outcomes = [self._outcome(position, item, claim, deadline) for position, item in enumerate(items)]
        body = {"results": self._results(outcomes)}
        if claim:
            key_complete(claim, status=status.HTTP_207_MULTI_STATUS, headers={}, body=body)
        return Response(body, status=status.HTTP_207_MULTI_STATUS)

    def _outcome(self, position: int, item: Any, claim: Claim | None, deadline: float) -> Outcome:
        if claim and position in claim.steps:
            code, photo = claim.steps[position]
            return Outcome(status=code, photo=uuid.UUID(photo) if photo else None)
        try:
            if time.monotonic() > deadline:
                raise OutOfTime  # noqa: TRY301 - an item's error like any other
            change = change_asked(self.request, item)
            photo = change.make(_record(claim, position, change.status))
        except KeyBusy:
            # Another has taken the batch over: it answers for all of it.
            raise
        except Exception as error:
            if (answer := exception_handler(error, {})) is not None:
                return Outcome(status=answer.status_code, error=answer.data)
            log.exception("item %s of a batch broke", position)
            body = error_body("internal", "Something broke on our side. Try again; if it stays, report the request_id.")
            return Outcome(status=status.HTTP_500_INTERNAL_SERVER_ERROR, error=body)
        return Outcome(status=change.status, photo=photo.pk if photo else None)

    def _results(self, outcomes: list[Outcome]) -> list[dict[str, Any]]:
        """As they are at the end: a photo that a later item deleted is not shown."""
        ids = {outcome.photo for outcome in outcomes if outcome.photo}
        photos = selectors.photos_visible(viewer=self.request.user).filter(pk__in=ids) if ids else []
        shown = {
            photo.pk: PhotoSerializer(selectors.photo_view(photo, viewer=self.request.user)).data for photo in photos
        }
        return [
            {
                "status": outcome.status,
                "photo": shown.get(outcome.photo) if outcome.photo else None,
                "error": outcome.error,
            }
            for outcome in outcomes
        ]


def _record(claim: Claim | None, position: int, code: int) -> Callable[[Photo], None] | None:
    """Writes an item's outcome in the item's transaction."""
    if claim is None:
        return None
    left = code != status.HTTP_204_NO_CONTENT
    return lambda photo: key_step(claim, position=position, outcome=[code, str(photo.pk) if left else None])


def _items(body: Any) -> list[Any]:
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= ITEMS_MAX:
        message = f"Send a list of 1 to {ITEMS_MAX} items."
        raise InvalidInput(message, errors={"items": [message]})
    return items
