"""Photos for those who run the platform: thumbnails to look at, texts to correct, never the original."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from jobs.admin import timeline_shown
from jobs.models import Job
from jobs.selectors import timelines_of_subjects

from gallery.models import Photo
from gallery.renditions import THUMBNAIL_KIND
from gallery.selectors import photo_view, photos_with_images
from gallery.services import photo_delete


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """No file field: Django's widget for one links to the file."""

    list_display = ("small_image", "name", "owner", "status", "draft", "publish_date", "size")
    list_display_links = ("small_image", "name")
    ordering = ("-created", "-id")
    list_filter = ("original__state", "draft", "publish_date", "created", ("owner", admin.RelatedOnlyFieldListFilter))
    search_fields = ("name", "caption", "owner__username")
    search_help_text = "Part of a name, a caption or a username"
    list_per_page = 50
    show_full_result_count = False
    fields = (
        "image",
        "id",
        "name",
        "owner",
        "caption",
        "draft",
        "publish_date",
        "status",
        "failure",
        "work",
        "size",
        "file",
        "created",
    )
    readonly_fields = fields
    actions = ("delete_selected",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Photo]:
        return photos_with_images(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Photo | None = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Photo) -> None:
        photo_delete(photo=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Photo]) -> None:
        for photo in queryset:
            photo_delete(photo=photo)

    @admin.display(description="image")
    def image(self, photo: Photo) -> SafeString | str:
        return _image(photo, scale=1)

    @admin.display(description="image")
    def small_image(self, photo: Photo) -> SafeString | str:
        """Half as large, which a screen of twice the density shows at its best."""
        return _image(photo, scale=2)

    @admin.display(description="status", ordering="original__state")
    def status(self, photo: Photo) -> str:
        return photo.original.get_state_display()

    @admin.display(description="failure")
    def failure(self, photo: Photo) -> str:
        return photo.original.failure_message or "–"

    @admin.display(description="jobs")
    def work(self, photo: Photo) -> SafeString | str:
        """The jobs that were done for the image, each with a link to its page, and with its past."""
        lines = (
            (reverse("admin:jobs_job_change", args=[job.pk]), _told(job), timeline_shown(timeline))
            for job, timeline in timelines_of_subjects([photo.original_id])
        )
        return format_html_join(mark_safe("<br>"), '<a href="{}">{}</a><br>{}', lines) or "–"

    @admin.display(description="file")
    def file(self, photo: Photo) -> str:
        return f"{photo.original.format}, {filesizeformat(photo.original.bytes)}"

    @admin.display(description="size", ordering="original__width")
    def size(self, photo: Photo) -> str:
        return f"{photo.original.width}×{photo.original.height}"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Only the photos: what hangs on them goes by the service."""
        photos = [str(photo) for photo in objs]
        return photos, {"photos": len(photos)}, set(), []


def _image(photo: Photo, *, scale: int) -> SafeString | str:
    """The thumbnail, drawn at its size divided by ``scale``."""
    shown = photo_view(photo, viewer=photo.owner).thumbnails.get(THUMBNAIL_KIND)
    if shown is None:
        return "–"
    return format_html(
        '<img src="{}" width="{}" height="{}" alt="{}" loading="lazy">',
        shown.jpeg,
        max(1, shown.width // scale),
        max(1, shown.height // scale),
        photo.name,
    )


def _told(job: Job) -> str:
    told = f"{job.get_kind_display()}: {job.get_state_display().lower()}"
    if job.started and job.finished:
        told += f" in {(job.finished - job.started).total_seconds():.2f} s"
    return f"{told} at attempt {job.attempts}" if job.attempts > 1 else told
