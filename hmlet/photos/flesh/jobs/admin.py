"""Jobs for those who run the platform: to look at, and to try again."""

from django.contrib import admin
from django.http import HttpRequest

from jobs.models import Job


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read only. The payload is left out: it may name private objects."""

    list_display = ("id", "kind", "state", "owner", "attempts", "error_code", "created", "started", "finished")
    list_filter = ("state", "kind", "error_code", "created")
    list_select_related = ("owner",)
    search_fields = ("id", "subject", "owner__username")
    search_help_text = "A job's id, its subject's, or part of a username"
    fields = (
        "id",
        "kind",
        "state",
        "owner",
        "subject",
        "attempts",
        "error_code",
        "error_message",
        "not_before",
        "lease_until",
        "created",
        "started",
        "finished",
    )
    readonly_fields = fields
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False
