"""Photos: what people post."""

from django.apps import AppConfig


class GalleryConfig(AppConfig):
    name = "gallery"

    def ready(self) -> None:
        from jobs.models import Job
        from jobs.pictures import pictures_register
        from ops.work import comparisons_register

        from gallery.handlers import handlers_register
        from gallery.integrity import integrity_last
        from gallery.keeping import (
            originals_forget,
            originals_kept,
            originals_named,
            renditions_forget,
            renditions_kept,
            renditions_named,
        )
        from gallery.named import named_register
        from gallery.pictures import pictures_of_originals

        handlers_register()
        comparisons_register(integrity_last)
        for kind in (Job.Kind.THUMBNAIL, Job.Kind.RENDITIONS):
            pictures_register(kind, pictures_of_originals)
        named_register("originals", originals_named, originals_kept, originals_forget)
        named_register("thumbnails", renditions_named, renditions_kept, renditions_forget)
