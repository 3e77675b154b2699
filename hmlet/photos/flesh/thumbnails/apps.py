"""Thumbnails of images that become no photo: sent, made small by a job, fetched, and gone after a set time."""

from django.apps import AppConfig


class ThumbnailsConfig(AppConfig):
    name = "thumbnails"

    def ready(self) -> None:
        from gallery.named import named_register
        from jobs.handlers import handler_register
        from jobs.models import Job
        from jobs.pictures import pictures_register

        from thumbnails.handlers import FileThumbnailHandler
        from thumbnails.selectors import files_kept, files_named, pictures_of_files, thumbnails_kept, thumbnails_named
        from thumbnails.services import files_forget, thumbnails_forget

        handler_register(Job.Kind.FILE_THUMBNAIL, FileThumbnailHandler())
        pictures_register(Job.Kind.FILE_THUMBNAIL, pictures_of_files)
        named_register("originals", files_named, files_kept, files_forget)
        named_register("thumbnails", thumbnails_named, thumbnails_kept, thumbnails_forget)
