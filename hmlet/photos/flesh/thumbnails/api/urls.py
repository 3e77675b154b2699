"""The address for thumbnails alone."""

from django.urls import path

from thumbnails.api.views import ThumbnailsView

urlpatterns = [path("thumbnails/", ThumbnailsView.as_view(), name="thumbnails")]
