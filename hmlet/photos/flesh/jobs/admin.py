"""Jobs for those who run the platform: to look at, to try again, to cancel."""

from collections.abc import Callable
from datetime import datetime

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from ops.errors import PlatformError

from jobs.models import Job
from jobs.selectors import Event, job_timeline, jobs_with_past
from jobs.services import job_cancel, job_retry


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read only but for its actions. The payload is left out: it may name private objects."""

    list_display = ("id", "kind", "state", "owner", "name", "attempts", "reason", "age", "took")
    list_filter = ("state", "kind", "error_code", "created", ("owner", admin.RelatedOnlyFieldListFilter))
    list_per_page = 50
    search_fields = ("id", "subject", "name", "owner__username")
    search_help_text = "A job's id, its subject's, part of a file's name or of a username"
    fields = (
        "id",
        "kind",
        "state",
        "owner",
        "name",
        "subject",
        "attempts",
        "reason",
        "timeline",
        "request_id",
        "not_before",
        "lease_until",
        "created",
        "started",
        "finished",
    )
    readonly_fields = fields
    show_full_result_count = False
    actions = ("retry", "cancel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return jobs_with_past(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Who may change jobs by Django's permissions, though not by a form."""
        return super().has_change_permission(request)

    @admin.action(description="Try again", permissions=["act"])
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_retry, "queued again")

    @admin.action(description="Cancel", permissions=["act"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_cancel, "cancelled")

    def _each(self, request: HttpRequest, jobs: QuerySet[Job], act: Callable[[Job], None], done: str) -> None:
        refused: list[str] = []
        count = 0
        for job in jobs:
            try:
                act(job)
                count += 1
            except PlatformError as error:
                refused.append(f"{job.pk}: {error.message}")
        if count:
            self.message_user(request, f"{count} {done}.", messages.SUCCESS)
        for message in refused:
            self.message_user(request, message, messages.WARNING)

    @admin.display(description="reason", ordering="error_code")
    def reason(self, job: Job) -> str:
        return f"{job.error_message} ({job.error_code})" if job.error_code else "–"

    @admin.display(description="age", ordering="created")
    def age(self, job: Job) -> str:
        return timesince(job.created, timezone.now(), depth=1)

    @admin.display(description="took")
    def took(self, job: Job) -> str:
        return f"{(job.finished - job.started).total_seconds():.2f} s" if job.started and job.finished else "–"

    @admin.display(description="timeline")
    def timeline(self, job: Job) -> SafeString:
        return timeline_shown(job_timeline(job))


def timeline_shown(timeline: list[Event]) -> SafeString:
    """One line for each event."""
    return format_html_join(mark_safe("<br>"), "{} {}", ((_moment(event.at), _told(event)) for event in timeline))


def _moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "Y-m-d H:i:s")


def _told(event: Event) -> str:
    told = f"{event.event}, attempt {event.attempt}" if event.attempt > 1 else event.event
    return f"{told}: {event.message} ({event.code})" if event.code else told
