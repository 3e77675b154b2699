"""The uploads API: announce, ask what has arrived, get URLs for parts, give up. Finalising is the photos' (gallery)."""

import uuid
from dataclasses import asdict
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from drf_spectacular.utils import extend_schema, extend_schema_view
from ops.api import ErrorSerializer
from ops.metadata import LimitsMetadata
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import GenericViewSet

from uploads import services
from uploads.api.serializers import (
    PartsWantedSerializer,
    SignedPartsSerializer,
    UploadCreateSerializer,
    UploadSerializer,
)
from uploads.models import DirectUpload
from uploads.selectors import upload_get_own

CREATE_ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 409, 413), ErrorSerializer)
ERRORS: dict[int, Any] = dict.fromkeys((401, 404), ErrorSerializer)


@extend_schema_view(
    create=extend_schema(
        summary="Announce an upload that goes straight to the storage",
        description=(
            "PUT the bytes as the answer says, then finalise. Length, type and checksum are bound by the signature. A "
            "file over 64 MB goes in parts, which may be put in any order, at once, and again."
        ),
        request=UploadCreateSerializer,
        responses={201: UploadSerializer, **CREATE_ERRORS},
    ),
    retrieve=extend_schema(summary="What has arrived of an upload", responses={200: UploadSerializer, **ERRORS}),
    destroy=extend_schema(summary="Give up an upload", responses={204: None, 409: ErrorSerializer, **ERRORS}),
)
class UploadViewSet(GenericViewSet[DirectUpload]):
    """Uploads."""

    queryset = DirectUpload.objects.none()
    serializer_class = UploadSerializer
    lookup_value_converter = "uuid"
    pagination_class = None
    metadata_class = LimitsMetadata

    def limits(self) -> dict[str, Any]:
        return {
            "bytes": settings.PHOTO_MAX_BYTES,
            "content_types": sorted(services.CONTENT_TYPES),
            "open_uploads": services.OPEN_MAX,
            "in_parts_over_bytes": settings.UPLOAD_PARTS_OVER_BYTES,
            "part_bytes": services.PART_BYTES,
            "life_s": services.LIFE.total_seconds(),
            "url_life_s": services.URL_LIFE.total_seconds(),
        }

    def create(self, request: Request) -> Response:
        given = UploadCreateSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        owner = cast(AbstractBaseUser, request.user)
        upload = services.upload_create(owner=owner, **given.validated_data)
        headers = {"Location": reverse("upload-detail", args=[upload.pk], request=request)}
        return Response(_shown(upload), status=status.HTTP_201_CREATED, headers=headers)

    def retrieve(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(_shown(upload_get_own(owner=request.user, upload_id=pk)))

    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        services.upload_discard(upload_get_own(owner=request.user, upload_id=pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="URLs for parts of an upload",
        request=PartsWantedSerializer,
        responses={200: SignedPartsSerializer, 400: ErrorSerializer, 409: ErrorSerializer, **ERRORS},
    )
    @action(detail=True, methods=["post"])
    def parts(self, request: Request, pk: uuid.UUID) -> Response:
        upload = upload_get_own(owner=request.user, upload_id=pk)
        given = PartsWantedSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        signed = [
            {"number": part["number"], **asdict(services.upload_sign_part(upload, **part))}
            for part in given.validated_data["parts"]
        ]
        return Response(SignedPartsSerializer({"parts": signed}).data)


def _shown(upload: DirectUpload) -> Any:
    shown = {
        "id": upload.pk,
        "bytes": upload.bytes,
        "content_type": upload.content_type,
        "sha256": upload.sha256,
        "expires": upload.expires,
        "photo": upload.photo,
        "put": services.upload_sign(upload),
        "part_bytes": services.PART_BYTES if upload.multipart else None,
        "part_count": services.part_count(upload) if upload.multipart else None,
        "parts": services.parts_there(upload),
    }
    return UploadSerializer(shown).data
