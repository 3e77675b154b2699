"""One JSON shape for every error under /api/: ``{code, message, errors, request_id}``."""

import sys
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults
from rest_framework import exceptions, serializers, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from ops.errors import PlatformError
from ops.ids import request_id_current
from ops.outages import outage_of


class ErrorSerializer(serializers.Serializer[Any]):
    """What every error of the API looks like."""

    code = serializers.CharField(help_text="Stable; for programs.")
    message = serializers.CharField(help_text="What went wrong and what to do; for people.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), help_text="Messages by the name of the field."
    )
    request_id = serializers.CharField(help_text="Also in the header X-Request-ID and in the log.")


def error_body(code: str, message: str, errors: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """The body of an error answer."""
    return {"code": code, "message": message, "errors": dict(errors or {}), "request_id": request_id_current()}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: turn what a view raised into the one shape; None leaves it to Django (a bug, 500)."""
    error = outage_of(error) or error
    if isinstance(error, PlatformError):
        set_rollback()
        body = error_body(error.code, error.message, error.errors)
        return Response(body, status=error.status, headers=_headers_of(error))
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    return Response(_translated(error), status=error.status_code, headers=_headers(error))


def _translated(error: exceptions.APIException) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        errors = _flattened(error.detail)
        first = next(iter(errors.items()), None)
        message = f"{first[0]}: {first[1][0]}" if first and first[0] != "non_field_errors" else "The input is invalid."
        return error_body("invalid", message, errors)
    detail = error.detail
    if isinstance(detail, dict):
        code = str(detail.get("code", error.default_code))
        return error_body(code, str(detail.get("detail", error.default_detail)))
    return error_body(_code(error), str(detail))


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else error.default_code


def _flattened(detail: Any, field: str = "non_field_errors") -> dict[str, list[str]]:
    """Nested DRF details as a flat ``{"a.b": [messages]}``."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            path = str(name) if field == "non_field_errors" else f"{field}.{name}"
            found.update(_flattened(inner, path))
        return found
    if isinstance(detail, list):
        return {field: [str(message) for message in detail]}
    return {field: [str(detail)]}


def _headers_of(error: PlatformError) -> dict[str, str]:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return headers if error.challenge is None else {**headers, "WWW-Authenticate": error.challenge}


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers: dict[str, str] = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def refused(request: HttpRequest, error: PlatformError) -> HttpResponse:
    """What a view of Django's own, or a middleware, raised: as JSON under /api/, as a page elsewhere."""
    headers = _headers_of(error)
    if _is_api(request):
        return JsonResponse(error_body(error.code, error.message, error.errors), status=error.status, headers=headers)
    # Without a request: who that is may be what cannot be found out.
    page = render_to_string("ops/refused.html", {"message": error.message})
    return HttpResponse(page, status=error.status, headers=headers)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 400, as JSON under /api/."""
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    body = error_body("bad_request", "The request cannot be understood. Check its headers and its body.")
    return JsonResponse(body, status=status.HTTP_400_BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 403, as JSON under /api/."""
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return JsonResponse(error_body("forbidden", "You may not do this."), status=status.HTTP_403_FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 404, as JSON under /api/."""
    if not _is_api(request):
        return defaults.page_not_found(request, exception)
    body = error_body("not_found", "There is nothing at this address. See /api/v1/docs/ for those there are.")
    return JsonResponse(body, status=status.HTTP_404_NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's 500, as JSON under /api/. 503 where a middleware lacks the database: of views, others have told."""
    if outage := outage_of(sys.exc_info()[1]):
        return refused(request, outage)
    if not _is_api(request):
        return defaults.server_error(request)
    body = error_body("internal", "Something broke on our side. Try again; if it stays, report the request_id.")
    return JsonResponse(body, status=status.HTTP_500_INTERNAL_SERVER_ERROR)
