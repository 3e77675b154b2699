"""The end of an upload that went straight to the bucket: verification, and a photo."""

import uuid
from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser
from drf_spectacular.utils import OpenApiResponse, extend_schema
from ops.api import ErrorSerializer
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView
from uploads.errors import UploadUsed
from uploads.selectors import upload_get_own

from gallery import selectors, services
from gallery.api.serializers import PhotoSerializer, PhotoTextsSerializer

ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 404, 409, 413), ErrorSerializer)


class FinaliseView(APIView):
    """Makes a photo of an upload, once."""

    @extend_schema(
        summary="Make a photo of an upload",
        description=(
            "Verifies length, SHA-256 and type of what arrived. What is not what was announced is discarded. May be "
            "repeated: the photo of an upload is made once."
        ),
        request=PhotoTextsSerializer,
        responses={
            201: PhotoSerializer,
            200: OpenApiResponse(PhotoSerializer, description="The photo that was made of it before."),
            **ERRORS,
        },
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        upload = upload_get_own(owner=request.user, upload_id=id)
        given = PhotoTextsSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        if upload.photo:
            return self._answer(upload.photo, status.HTTP_200_OK)
        try:
            owner = cast(AbstractBaseUser, request.user)
            photo = services.photo_create(owner=owner, image=upload, **given.validated_data)
        except UploadUsed:
            # By another request for the same, meanwhile.
            used = upload_get_own(owner=request.user, upload_id=id)
            if used.photo is None:
                raise
            return self._answer(used.photo, status.HTTP_200_OK)
        return self._answer(photo.pk, status.HTTP_201_CREATED)

    def _answer(self, photo_id: uuid.UUID, code: int) -> Response:
        photo = selectors.photo_get(viewer=self.request.user, photo_id=photo_id)
        headers = {"Location": reverse("photo-detail", args=[photo_id], request=self.request)}
        shown = PhotoSerializer(selectors.photo_view(photo, viewer=self.request.user)).data
        return Response(shown, status=code, headers=headers)
