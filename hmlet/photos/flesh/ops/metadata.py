"""What ``OPTIONS`` tells of an address: also its limits, so that a caller need not run into them."""

from typing import Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.request import Request
from rest_framework.views import APIView


class LimitsMetadata(SimpleMetadata):
    """DRF's, with ``limits`` as the view's method of that name gives them."""

    def determine_metadata(self, request: Request, view: APIView) -> dict[str, Any]:
        return {**super().determine_metadata(request, view), "limits": view.limits()}  # type: ignore[attr-defined]
