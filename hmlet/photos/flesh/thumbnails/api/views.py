"""The API for thumbnails alone: from requests to the service, and back. What comes of it is told by the jobs API."""

from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from gallery.api.body import BoundedBody
from jobs.api.serializers import JobSerializer
from jobs.selectors import job_get, jobs_view
from ops.api import ErrorSerializer
from rest_framework import status
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from thumbnails.api.serializers import ThumbnailCreateSerializer
from thumbnails.services import thumbnail_request

ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 403, 413, 415), ErrorSerializer)


class ThumbnailsView(BoundedBody):
    """Thumbnails of images that become no photo."""

    # JSON is read to be told, by the serializer, that a file is wanted.
    parser_classes = (MultiPartParser, JSONParser)

    @extend_schema(
        summary="Have a thumbnail made of an image that becomes no photo",
        description="Answers with the job. Image and thumbnail are kept for a set time after that.",
        request={"multipart/form-data": ThumbnailCreateSerializer},
        parameters=[
            OpenApiParameter(
                "Location", OpenApiTypes.URI, OpenApiParameter.HEADER, response=[202], description="The job."
            )
        ],
        responses={202: JobSerializer, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        given = ThumbnailCreateSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = thumbnail_request(owner=cast(AbstractBaseUser, request.user), **given.validated_data)
        [shown] = jobs_view([job_get(viewer=request.user, job_id=made.pk)])
        return Response(
            JobSerializer(shown, context={"request": request}).data,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": reverse("job-detail", args=[made.pk], request=request)},
        )
