"""The comparisons API: from requests to services and selectors, and back."""

import uuid
from functools import partial
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import QueryDict
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from gallery.api.body import BoundedBody
from gallery.api.limits import photo_limits
from gallery.selectors import photo_get
from idempotency.api import PARAMETER as IDEMPOTENCY_KEY
from idempotency.api import once
from idempotency.services import Claim, key_complete
from imaging.confined_diff import IGNORED_MAX
from imaging.diff_options import CHOICES, DiffOptions
from ops.api import ErrorSerializer
from ops.errors import NotFound
from ops.metadata import LimitsMetadata
from ops.page_requests import PAGE_SIZE_MAX, PARAMETERS, page_body, page_requested
from ops.pages import Order
from ops.parsers import BoundedJSONParser
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import GenericViewSet

from diffs import selectors, services
from diffs.api.filters import DiffFilter
from diffs.api.serializers import (
    LIMITS,
    USUAL,
    DiffCreateFormSerializer,
    DiffCreateSerializer,
    DiffPageSerializer,
    DiffSerializer,
    DiffSummarySerializer,
)
from diffs.models import Diff, Side

NEWEST_FIRST = Order(field="created", descending=True, nullable=False)

READ_ERRORS: dict[int, Any] = {401: ErrorSerializer, 404: ErrorSerializer}
CREATE_ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 409, 413, 415, 422), ErrorSerializer)


@extend_schema_view(
    list=extend_schema(
        summary="Comparisons that were kept, newest first",
        description="The caller's own. Regions are told by each one's own address.",
        parameters=[*PARAMETERS],
        responses={200: DiffPageSerializer, 400: ErrorSerializer, 401: ErrorSerializer},
    ),
    retrieve=extend_schema(summary="One comparison", responses={200: DiffSerializer, **READ_ERRORS}),
    create=extend_schema(
        summary="Have two images compared",
        description=(
            "Two files, two photos by their ids, or one of each. Of another's photo the 1440 rendition takes part. "
            "Answers when it is sure to be done; it is as soon as its state says so. What is not kept is forgotten "
            "after a set time; so are files, in any case."
        ),
        parameters=[
            IDEMPOTENCY_KEY,
            OpenApiParameter(
                "Location", OpenApiTypes.URI, OpenApiParameter.HEADER, response=[202], description="The comparison."
            ),
        ],
        request={"multipart/form-data": DiffCreateFormSerializer, "application/json": DiffCreateSerializer},
        responses={202: DiffSerializer, **CREATE_ERRORS},
    ),
    destroy=extend_schema(
        summary="Delete a comparison",
        description="One that is not done yet is cancelled.",
        responses={204: None, 403: ErrorSerializer, **READ_ERRORS},
    ),
)
class DiffViewSet(BoundedBody, GenericViewSet[Diff]):
    """Comparisons."""

    queryset = Diff.objects.none()
    serializer_class = DiffSerializer
    parser_classes = (MultiPartParser, BoundedJSONParser)
    metadata_class = LimitsMetadata
    filter_backends = (DjangoFilterBackend,)
    filterset_class = DiffFilter
    lookup_value_converter = "uuid"
    pagination_class = None

    def limits(self) -> dict[str, Any]:
        numbers = {
            name: {"min": low, "max": high, "default": getattr(USUAL, name)} for name, (low, high) in LIMITS.items()
        }
        words = {name: {"choices": list(words), "default": getattr(USUAL, name)} for name, words in CHOICES.items()}
        return {
            "image": photo_limits(self.request.user)["image"],
            "files_together": {"bytes": settings.PHOTO_MAX_BYTES},
            "options": {**numbers, **words, "ignore": {"count": IGNORED_MAX}, "keep": {"default": settings.DIFFS_KEEP}},
            "count": services.DIFFS_MAX,
            "kept_hours": settings.DIFFS_KEPT_HOURS,
            "page_size": PAGE_SIZE_MAX,
        }

    def list(self, request: Request) -> Response:
        diffs = self.filter_queryset(selectors.diffs_kept(viewer=request.user))
        page = page_requested(diffs, request, order=NEWEST_FIRST)
        shown = DiffSummarySerializer(page.rows, many=True, context={"request": request}).data
        return Response(page_body(request, page, cast(list[Any], shown)))

    def retrieve(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(self._shown(pk))

    def create(self, request: Request) -> Response:
        return once(request, partial(self._create, request))

    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        services.diff_delete(diff=selectors.diff_get(viewer=request.user, diff_id=pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _create(self, request: Request, claim: Claim | None) -> Response:
        is_form = isinstance(request.data, QueryDict)
        given = (DiffCreateFormSerializer if is_form else DiffCreateSerializer)(data=request.data)
        given.is_valid(raise_exception=True)
        asked = dict(given.validated_data)
        images = {place: self._image(place, asked.pop(place)) for place in ("before", "after")}
        keep = asked.pop("keep", None)
        if "ignore" in asked:
            asked["ignore"] = tuple(asked["ignore"])
        answers: list[tuple[dict[str, str], Any]] = []

        def answer(diff: Diff) -> None:
            headers = {"Location": reverse("diff-detail", args=[diff.pk], request=request)}
            answers.append((headers, self._shown(diff.pk)))
            if claim:
                key_complete(claim, status=status.HTTP_202_ACCEPTED, headers=headers, body=answers[-1][1])

        owner = cast(AbstractBaseUser, request.user)
        services.diff_request(owner=owner, **images, options=DiffOptions(**asked), keep=keep, along=answer)
        [(headers, body)] = answers
        return Response(body, status=status.HTTP_202_ACCEPTED, headers=headers)

    def _image(self, place: str, given: Any) -> services.Image:
        """The file, or the photo that is named. Raises NotFound that names the field for one that is not to be seen."""
        if not isinstance(given, uuid.UUID):
            return cast(services.Image, given)
        try:
            return photo_get(viewer=self.request.user, photo_id=given)
        except NotFound as error:
            message = f"The {services.WHICH[Side.Place(place)]} image: {error.message}"
            raise NotFound(message, errors={place: [message]}) from error

    def _shown(self, diff_id: uuid.UUID) -> Any:
        diff = selectors.diff_get(viewer=self.request.user, diff_id=diff_id)
        return DiffSerializer(diff, context={"request": self.request}).data
