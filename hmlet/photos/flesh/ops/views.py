"""The page that says which parts work."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ops.status import parts_check


@require_safe
@never_cache
def status(request: HttpRequest) -> HttpResponse:
    """HTML for people, JSON for those who ask for it; 503 when a part is in error."""
    parts = parts_check()
    well = all(parts.values())
    code = 200 if well else 503
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        words = {name: "ok" if works else "error" for name, works in parts.items()}
        return JsonResponse({"status": "ok" if well else "error", "parts": words}, status=code)
    return render(request, "ops/status.html", {"parts": parts, "well": well}, status=code)
