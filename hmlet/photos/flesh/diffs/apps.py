"""Comparisons of two images: asked for, made by a job, looked at, and kept on request."""

from django.apps import AppConfig


class DiffsConfig(AppConfig):
    name = "diffs"

    def ready(self) -> None:
        from gallery.named import named_register
        from jobs.handlers import handler_register
        from jobs.models import Job

        from diffs.handlers import DiffHandler
        from diffs.keeping import files_kept, files_named, pictures_kept, pictures_named
        from diffs.services import files_forget, pictures_forget

        handler_register(Job.Kind.DIFF, DiffHandler())
        named_register("originals", files_named, files_kept, files_forget)
        named_register("thumbnails", pictures_named, pictures_kept, pictures_forget)
