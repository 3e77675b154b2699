"""The tags API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from ops.api import ErrorSerializer
from ops.page_requests import PARAMETERS, PageSerializer, page_body, page_size
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gallery.tags import COUNT_MAX, tag_cursor_decode, tags_page


class TagSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Folded, without its `#`.")
    count = serializers.IntegerField(help_text=f"Of the photos that the caller may see, up to {COUNT_MAX}.")
    more = serializers.BooleanField(help_text=f"There are more than {COUNT_MAX}.")


class TagPageSerializer(PageSerializer):
    """A page of tags and the addresses of its neighbours."""

    results = TagSerializer(many=True)


class TagsView(APIView):
    """Tags with counts."""

    @extend_schema(
        summary="Tags with counts, by name",
        description="Of published photos of everyone and of all of the caller's own. Photos with one: `/photos/?tag=`.",
        parameters=list(PARAMETERS),
        responses={200: TagPageSerializer, 400: ErrorSerializer, 401: ErrorSerializer},
    )
    def get(self, request: Request) -> Response:
        text = request.query_params.get("cursor")
        cursor = tag_cursor_decode(text) if text else None
        page = tags_page(viewer=request.user, cursor=cursor, size=page_size(request))
        return Response(TagPageSerializer(page_body(request, page, page.tags)).data)
