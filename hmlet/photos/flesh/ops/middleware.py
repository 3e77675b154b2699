"""Request ids, probes and metrics, and the headers that confine what a page may load."""

import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from ops import metrics
from ops.api import error_body, refused
from ops.errors import PlatformError
from ops.ids import request_id_begin
from ops.outages import outage_of

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
Responder = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Gives each request an id, and the answer the same one in ``X-Request-ID``."""

    def __init__(self, get_response: Responder) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request_id_begin(request.headers.get("X-Request-ID"))
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


class ProbesMiddleware:
    """Answers probes and Prometheus before anything looks at the Host header: they call by the pod's address.

    Live touches nothing, so that a slow database restarts no process. Ready asks the database alone: without the
    queue or the storage there is still a list to serve.
    """

    def __init__(self, get_response: Responder) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info.rstrip("/")
        if path == "/healthz/live":
            return HttpResponse("ok\n", content_type="text/plain")
        if path == "/healthz/ready":
            return self._ready()
        if path == "/metrics" and settings.METRICS_AT_WEB:
            return HttpResponse(metrics.all_metrics(), content_type=metrics.CONTENT_TYPE)
        return self.get_response(request)

    def _ready(self) -> HttpResponse:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except (DatabaseError, InterfaceError):
            connection.close()
            return HttpResponse("database: error\n", content_type="text/plain", status=503)
        return HttpResponse("ok\n", content_type="text/plain")


class LengthRequiredMiddleware:
    """Refuses a body whose length is not announced, which Django would take for an empty one. Limits go by lengths."""

    def __init__(self, get_response: Responder) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
            body = error_body("length_required", "Send the body with its length, in the header Content-Length.")
            return JsonResponse(body, status=411)
        return self.get_response(request)


class RequestMetricsMiddleware:
    """Counts requests by method, view and status, and measures them. Probes are none."""

    def __init__(self, get_response: Responder) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        # Only names that are ours: what callers make up would become a series each.
        method = request.method if request.method in METHODS else "other"
        view = request.resolver_match.view_name if request.resolver_match else "none"
        metrics.REQUESTS.labels(method, view, response.status_code).observe(time.perf_counter() - began)
        return response


class RefusedMiddleware:
    """What the platform refuses outside the API's views, which tell it themselves (ops.api.exception_handler)."""

    def __init__(self, get_response: Responder) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        told = outage_of(error) or error
        return refused(request, told) if isinstance(told, PlatformError) else None


class ContentSecurityMiddleware:
    """A Content-Security-Policy under which the admin and the docs work and nothing foreign loads.

    Swagger UI and the admin set inline styles; scripts come from files alone. Images come from the bucket as well.
    """

    def __init__(self, get_response: Responder) -> None:
        self.get_response = get_response
        self.policy = "; ".join(
            [
                "default-src 'self'",
                f"img-src 'self' data: {settings.S3_PUBLIC_ENDPOINT_URL}",
                "style-src 'self' 'unsafe-inline'",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            ]
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        return response
