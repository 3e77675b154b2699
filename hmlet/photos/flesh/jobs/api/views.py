"""The jobs API: from requests to services and selectors, and back."""

import uuid
from typing import Any

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from ops.api import ErrorSerializer
from ops.page_requests import PARAMETERS, page_body, page_requested
from ops.pages import Order
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from jobs import selectors, services
from jobs.api.filters import JobFilter
from jobs.api.serializers import JobPageSerializer, JobSerializer
from jobs.errors import JobWithoutThumbnail
from jobs.models import Job

NEWEST_FIRST = Order(field="created", descending=True, nullable=False)

READ_ERRORS: dict[int, Any] = {401: ErrorSerializer, 404: ErrorSerializer}
WRITE_ERRORS: dict[int, Any] = {**READ_ERRORS, 403: ErrorSerializer, 409: ErrorSerializer}


@extend_schema_view(
    list=extend_schema(
        summary="Jobs, newest first",
        description="The caller's own; everyone's for staff.",
        parameters=[*PARAMETERS],
        responses={200: JobPageSerializer, 400: ErrorSerializer, 401: ErrorSerializer},
    ),
    retrieve=extend_schema(summary="One job", responses={200: JobSerializer, **READ_ERRORS}),
    retry=extend_schema(
        summary="Try a job again that failed or was cancelled",
        request=None,
        responses={200: JobSerializer, **WRITE_ERRORS},
    ),
    cancel=extend_schema(
        summary="Cancel a job that waits or runs",
        description="What runs is left to end, and nothing of it is kept.",
        request=None,
        responses={200: JobSerializer, **WRITE_ERRORS},
    ),
    thumbnail=extend_schema(
        summary="The thumbnail that the job made",
        parameters=[
            OpenApiParameter(
                "Location",
                OpenApiTypes.URI,
                OpenApiParameter.HEADER,
                response=[303],
                description="Signed; valid for up to an hour. The file is saved as `thumb_` and the submitted name.",
            )
        ],
        responses={303: OpenApiResponse(description="It is at `Location`."), **READ_ERRORS},
    ),
)
class JobViewSet(GenericViewSet[Job]):
    """Jobs."""

    queryset = Job.objects.none()
    serializer_class = JobSerializer
    filter_backends = (DjangoFilterBackend,)
    filterset_class = JobFilter
    lookup_value_converter = "uuid"
    pagination_class = None

    def list(self, request: Request) -> Response:
        jobs = self.filter_queryset(selectors.jobs_visible(viewer=request.user))
        page = page_requested(jobs, request, order=NEWEST_FIRST)
        return Response(page_body(request, page, self._shown(*page.rows)))

    def retrieve(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(self._shown(self._job(pk))[0])

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: uuid.UUID) -> Response:
        services.job_retry(self._job(pk))
        return self.retrieve(request, pk)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: uuid.UUID) -> Response:
        services.job_cancel(self._job(pk))
        return self.retrieve(request, pk)

    @action(detail=True)
    def thumbnail(self, request: Request, pk: uuid.UUID) -> Response:
        [view] = selectors.jobs_view([self._job(pk)])
        if view.pictures is None or view.pictures.thumbnail is None:
            raise JobWithoutThumbnail
        headers = {
            "Location": view.pictures.thumbnail.link(f"thumb_{view.job.name or 'image.jpg'}"),
            "Cache-Control": "no-store",
        }
        return Response(status=status.HTTP_303_SEE_OTHER, headers=headers)

    def _job(self, job_id: uuid.UUID) -> Job:
        return selectors.job_get(viewer=self.request.user, job_id=job_id)

    def _shown(self, *jobs: Job) -> Any:
        return JobSerializer(selectors.jobs_view(jobs), many=True, context={"request": self.request}).data
