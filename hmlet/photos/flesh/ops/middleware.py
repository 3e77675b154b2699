"""Request ids, probes, and the headers that confine what a page may load."""

from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse

from ops.ids import request_id_begin

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
    """Answers the probes before anything looks at the Host header: a kubelet calls by the pod's address.

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
        return self.get_response(request)

    def _ready(self) -> HttpResponse:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except (DatabaseError, InterfaceError):
            connection.close()
            return HttpResponse("database: error\n", content_type="text/plain", status=503)
        return HttpResponse("ok\n", content_type="text/plain")


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
