"""Photos: what people post."""

from django.apps import AppConfig


class GalleryConfig(AppConfig):
    name = "gallery"

    def ready(self) -> None:
        from gallery.handlers import handlers_register

        handlers_register()
