"""The page that says which parts work, and the schema."""

import threading
from datetime import timedelta
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from ops.status import Told, status_check
from ops.work import Work


class SchemaView(SpectacularAPIView):
    """The OpenAPI schema, made for one request at a time.

    drf-spectacular loads its extensions while it makes a process's first schema, and another thread that comes
    meanwhile fails on one that is half loaded.
    """

    permission_classes = (AllowAny,)
    authentication_classes = ()
    _making: ClassVar[threading.Lock] = threading.Lock()

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with self._making:
            answer: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
            return answer


@require_safe
@never_cache
def status(request: HttpRequest) -> HttpResponse:
    """HTML for people, JSON for those who ask for it; 503 when a part is in error."""
    checked = status_check()
    parts, told = checked.parts, checked.told
    jobs = _jobs(told.work) if told else None
    backup = _backup(told) if told else None
    integrity = _integrity(told) if told else None
    well = all(parts.values())
    code = 200 if well else 503
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        words = {name: "ok" if works else "error" for name, works in parts.items()}
        said = {"parts": words, "jobs": jobs, "backup": backup, "integrity": integrity}
        return JsonResponse({"status": "ok" if well else "error", **said}, status=code)
    age_s = backup["age_s"] if backup else None
    backed_up = None if age_s is None else timezone.now() - timedelta(seconds=age_s)
    shown = {
        "parts": parts,
        "jobs": jobs,
        "well": well,
        "backup": backup,
        "backed_up": backed_up,
        "integrity": integrity,
        "compared": told.compared if told else None,
    }
    return render(request, "ops/status.html", shown, status=code)


def _jobs(work: Work) -> dict[str, int]:
    """Numbers alone: anybody may see the page."""
    return {
        "waiting": sum(work.waiting.values()),
        "running": sum(work.running.values()),
        "oldest_waiting_s": round(work.oldest_due_s),
        "failed_last_hour": work.failed_last_hour,
    }


def _backup(told: Told) -> dict[str, int | None]:
    """How old the last good backup is, in seconds; None where there is none."""
    return {"age_s": None if told.backup_age_s is None else round(told.backup_age_s)}


def _integrity(told: Told) -> dict[str, Any]:
    """How long ago rows were compared with objects, in seconds, and what was found; nulls where they never were."""
    if told.compared is None:
        return {"age_s": None, "found": None}
    return {"age_s": round(told.compared.age_s), "found": dict(told.compared.found)}
