"""Comparisons for those who run the platform: what was compared, what changed, and the picture of it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from jobs.admin import timeline_shown
from jobs.models import Job
from jobs.selectors import timelines_of_subjects

from diffs.models import Diff, Side
from diffs.selectors import diffs_with_sides, picture_url
from diffs.services import diff_delete

REGIONS_SHOWN = 50
WIDTH_SHOWN = 700
"""Of the picture, in pixels of the page; more is cut off beside the menu of a screen of 1280."""


class ChangedFilter(admin.SimpleListFilter):
    """Whether anything changed."""

    title = "changed"
    parameter_name = "changed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Diff]) -> QuerySet[Diff]:
        if self.value() == "yes":
            return queryset.filter(regions_found__gt=0)
        return queryset.filter(regions_found=0) if self.value() == "no" else queryset


@admin.register(Diff)
class DiffAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read only. Keys of files are left out: they are private."""

    # No ids: they are searched for, and would leave the other columns no room beside the menu and the filters.
    list_display = ("asked_at", "before", "after", "owner", "state", "found", "keep")
    list_filter = (
        "state",
        "keep",
        ChangedFilter,
        "failure_code",
        "created",
        ("owner", admin.RelatedOnlyFieldListFilter),
    )
    list_per_page = 50
    search_fields = ("id", "sides__photo_id", "sides__name", "owner__username")
    search_help_text = "A comparison's or a photo's id, part of a file's name or of a username"
    fields = (
        "picture",
        "id",
        "owner",
        "state",
        "failure",
        "before",
        "after",
        "changes",
        "regions_listed",
        "shift",
        "aligned",
        "asked",
        "kept",
        "work",
        "created",
        "finished",
    )
    readonly_fields = fields
    show_full_result_count = False
    actions = ("delete_selected",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Diff]:
        return diffs_with_sides(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Diff | None = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Diff) -> None:
        diff_delete(diff=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Diff]) -> None:
        for diff in queryset:
            diff_delete(diff=diff)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Only the comparisons: what hangs on them goes by the service."""
        diffs = [str(diff) for diff in objs]
        return diffs, {"comparisons": len(diffs)}, set(), []

    @admin.display(description="picture")
    def picture(self, diff: Diff) -> SafeString | str:
        url = picture_url(diff)
        if url is None:
            return "–"
        width = min(diff.picture_width or 1, WIDTH_SHOWN)
        return format_html(
            '<a href="{}"><img src="{}" width="{}" alt="The two images with {} boxes around what changed"></a>'
            "<br>{}×{}, {}",
            url,
            url,
            width,
            diff.regions_found,
            diff.picture_width,
            diff.picture_height,
            filesizeformat(diff.picture_bytes or 0),
        )

    @admin.display(description="before")
    def before(self, diff: Diff) -> SafeString | str:
        return _side(diff, Side.Place.BEFORE)

    @admin.display(description="after")
    def after(self, diff: Diff) -> SafeString | str:
        return _side(diff, Side.Place.AFTER)

    @admin.display(description="changes")
    def changes(self, diff: Diff) -> str:
        if diff.regions_found is None or diff.share_changed is None:
            return "–"
        return f"{_regions(diff.regions_found)}, {diff.share_changed:.3%} of the pixels"

    @admin.display(description="changes", ordering="regions_found")
    def found(self, diff: Diff) -> str:
        """In few words, for a column."""
        if diff.regions_found is None or diff.share_changed is None:
            return "–"
        return f"{_regions(diff.regions_found)}, {diff.share_changed:.3%}" if diff.regions_found else "none"

    @admin.display(description="created", ordering="created")
    def asked_at(self, diff: Diff) -> str:
        return f"{diff.created:%Y-%m-%d %H:%M}"

    @admin.display(description="regions")
    def regions_listed(self, diff: Diff) -> SafeString | str:
        rows = (
            (f"{width}×{height} at {x},{y}", f"{area} pixels, by {mean:.0f} of 255, {peak} at most")
            for x, y, width, height, area, mean, peak in diff.regions[:REGIONS_SHOWN]
        )
        table = format_html_join("", "<tr><td>{}</td><td>{}</td></tr>", rows)
        more = len(diff.regions) - REGIONS_SHOWN
        return format_html("<table>{}</table>{}", table, f"and {more} more" if more > 0 else "") if table else "–"

    @admin.display(description="shift")
    def shift(self, diff: Diff) -> str:
        if diff.shift_right is None:
            return "–"
        return f"{diff.shift_right} right, {diff.shift_down} down"

    @admin.display(description="options")
    def asked(self, diff: Diff) -> SafeString:
        told = {name: value for name, value in diff.options.items() if value != []}
        rows = ((name.replace("_", " "), _word(value)) for name, value in sorted(told.items()))
        return format_html("<table>{}</table>", format_html_join("", "<tr><td>{}</td><td>{}</td></tr>", rows))

    @admin.display(description="keep", boolean=True)
    def kept(self, diff: Diff) -> bool:
        return diff.keep

    @admin.display(description="failure")
    def failure(self, diff: Diff) -> str:
        return f"{diff.failure_message} ({diff.failure_code})" if diff.failure_code else "–"

    @admin.display(description="job")
    def work(self, diff: Diff) -> SafeString | str:
        lines = (
            (reverse("admin:jobs_job_change", args=[job.pk]), _told(job), timeline_shown(timeline))
            for job, timeline in timelines_of_subjects([diff.pk])
        )
        return format_html_join("", '<a href="{}">{}</a><br>{}', lines) or "–"


def _side(diff: Diff, place: str) -> SafeString | str:
    side = next(side for side in diff.sides.all() if side.place == place)
    size = f" ({side.width}×{side.height})" if side.width else ""
    shown = f"{side.name or 'a file'}{size}"
    if side.photo_id is None:
        return shown
    return format_html('<a href="{}">{}</a>', reverse("admin:gallery_photo_change", args=[side.photo_id]), shown)


def _regions(number: int) -> str:
    return "1 region" if number == 1 else f"{number} regions"


def _word(option: Any) -> str:
    """An option's value; boxes by their corners and sides."""
    if isinstance(option, list):
        return "; ".join(f"{width}×{height} at {x},{y}" for x, y, width, height in option)
    return str(option).replace("_", " ")


def _told(job: Job) -> str:
    return f"{job.get_kind_display()}: {job.get_state_display().lower()}"
