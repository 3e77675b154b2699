"""The photos API: from requests to services and selectors, and back."""

import uuid
from functools import partial
from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import QueryDict
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from idempotency.api import PARAMETER as IDEMPOTENCY_KEY
from idempotency.api import once
from idempotency.services import Claim, key_amend, key_complete
from ops.api import ErrorSerializer
from ops.metadata import LimitsMetadata
from ops.page_requests import PARAMETERS, page_body
from ops.parsers import BoundedJSONParser
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import GenericViewSet

from gallery import selectors, services
from gallery.api.body import BoundedBody
from gallery.api.filters import PhotoFilter
from gallery.api.limits import photo_limits
from gallery.api.pagination import ORDERINGS, page_requested
from gallery.api.prefer import WAIT_MAX_S, photo_await, wait_preferred
from gallery.api.serializers import (
    PhotoCreateFormSerializer,
    PhotoCreateSerializer,
    PhotoPageSerializer,
    PhotoPatchFormSerializer,
    PhotoPatchSerializer,
    PhotoReplaceFormSerializer,
    PhotoReplaceSerializer,
    PhotoSerializer,
    PhotoTextsSerializer,
)
from gallery.api.uploaded import upload_named
from gallery.models import Photo

PhotoInput = type[PhotoTextsSerializer]

READ_ERRORS: dict[int, Any] = {401: ErrorSerializer, 404: ErrorSerializer}
WRITE_ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 409, 413), ErrorSerializer)
CREATE_ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 409, 413, 422), ErrorSerializer)


def _parameter(name: str, kind: Any, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description, **more)


def _given(request: Request, form: PhotoInput, plain: PhotoInput) -> dict[str, Any]:
    """What the body holds, as the services take it: ``image`` a file of a form, or the upload that JSON names."""
    is_form = isinstance(request.data, QueryDict)
    given = (form if is_form else plain)(data=request.data, partial=request.method == "PATCH")
    given.is_valid(raise_exception=True)
    values = dict(given.validated_data)
    if not is_form and "image" in values:
        values["image"] = upload_named(request, values["image"])
    return values


@extend_schema_view(
    list=extend_schema(
        summary="Photos, newest first",
        description="Published photos of everyone and all of the caller's own.",
        parameters=[
            _parameter("ordering", OpenApiTypes.STR, "Drafts come last in both.", enum=list(ORDERINGS)),
            *PARAMETERS,
        ],
        responses={200: PhotoPageSerializer, 400: ErrorSerializer, 401: ErrorSerializer},
    ),
    retrieve=extend_schema(summary="One photo", responses={200: PhotoSerializer, **READ_ERRORS}),
    create=extend_schema(
        summary="Post a photo",
        description="Answers when the original and the photo are durable; the thumbnail follows.",
        parameters=[
            OpenApiParameter(
                "Prefer",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description=f"`wait=N`, N up to {WAIT_MAX_S}: wait that many seconds for the thumbnail.",
            ),
            IDEMPOTENCY_KEY,
        ],
        request={"multipart/form-data": PhotoCreateFormSerializer, "application/json": PhotoCreateSerializer},
        responses={201: PhotoSerializer, **CREATE_ERRORS},
    ),
    update=extend_schema(
        summary="Replace a photo's texts, and its image if one is sent",
        request={"multipart/form-data": PhotoReplaceFormSerializer, "application/json": PhotoReplaceSerializer},
        responses={200: PhotoSerializer, **WRITE_ERRORS},
    ),
    partial_update=extend_schema(
        summary="Change what is sent",
        request={"multipart/form-data": PhotoPatchFormSerializer, "application/json": PhotoPatchSerializer},
        responses={200: PhotoSerializer, **WRITE_ERRORS},
    ),
    destroy=extend_schema(summary="Delete a photo", responses={204: None, 403: ErrorSerializer, **READ_ERRORS}),
)
class PhotoViewSet(BoundedBody, GenericViewSet[Photo]):
    """Photos."""

    queryset = Photo.objects.none()
    serializer_class = PhotoSerializer
    parser_classes = (MultiPartParser, BoundedJSONParser)
    metadata_class = LimitsMetadata
    filter_backends = (DjangoFilterBackend,)
    filterset_class = PhotoFilter
    lookup_value_converter = "uuid"
    pagination_class = None

    def limits(self) -> dict[str, Any]:
        return photo_limits(self.request.user)

    def list(self, request: Request) -> Response:
        photos = self.filter_queryset(selectors.photos_visible(viewer=request.user))
        page = page_requested(photos, request)
        return Response(page_body(request, page, [self._shown(photo) for photo in page.rows]))

    def retrieve(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(self._shown(selectors.photo_get(viewer=request.user, photo_id=pk)))

    def create(self, request: Request) -> Response:
        return once(request, partial(self._create, request))

    def _create(self, request: Request, claim: Claim | None) -> Response:
        given = _given(request, PhotoCreateFormSerializer, PhotoCreateSerializer)
        owner = cast(AbstractBaseUser, request.user)
        photo = services.photo_create(owner=owner, **given, along=self._completion(claim))
        headers = self._location(photo)
        wait = wait_preferred(request.headers.get("Prefer"))
        # Most of the answer is read before the wait, when it costs nobody time.
        photo = selectors.photo_get(viewer=owner, photo_id=photo.pk)
        if wait is None:
            body = self._shown(photo)
        else:
            photo_await(photo, timeout_s=wait, state=selectors.photo_state)
            headers["Preference-Applied"] = f"wait={wait}"
            body = PhotoSerializer(selectors.photo_view_now(photo, viewer=owner)).data
            if claim:
                key_amend(claim, headers=headers, body=body)
        return Response(body, status=status.HTTP_201_CREATED, headers=headers)

    def _completion(self, claim: Claim | None) -> services.Along | None:
        """Records, in the transaction that creates the photo, that this was the answer."""
        if claim is None:
            return None

        def complete(photo: Photo) -> None:
            headers = self._location(photo)
            key_complete(claim, status=status.HTTP_201_CREATED, headers=headers, body=self._reread(photo))

        return complete

    def _location(self, photo: Photo) -> dict[str, str]:
        return {"Location": self.request.build_absolute_uri(f"{reverse('photo-list')}{photo.pk}/")}

    def update(self, request: Request, pk: uuid.UUID) -> Response:
        return self._change(request, pk, PhotoReplaceFormSerializer, PhotoReplaceSerializer)

    def partial_update(self, request: Request, pk: uuid.UUID) -> Response:
        return self._change(request, pk, PhotoPatchFormSerializer, PhotoPatchSerializer)

    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        services.photo_delete(photo=selectors.photo_get_own(viewer=request.user, photo_id=pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _change(self, request: Request, pk: uuid.UUID, form: PhotoInput, plain: PhotoInput) -> Response:
        photo = selectors.photo_get_own(viewer=request.user, photo_id=pk)
        return Response(self._reread(services.photo_update(photo=photo, **_given(request, form, plain))))

    def _reread(self, photo: Photo) -> Any:
        return self._shown(selectors.photo_get(viewer=self.request.user, photo_id=photo.pk))

    def _shown(self, photo: Photo) -> Any:
        return PhotoSerializer(selectors.photo_view(photo, viewer=self.request.user)).data
