"""Addresses of the photos API."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from gallery.api.batch import BatchView
from gallery.api.finalise import FinaliseView
from gallery.api.tags import TagsView
from gallery.api.views import PhotoViewSet

router = SimpleRouter(use_regex_path=False)
router.register("photos", PhotoViewSet, basename="photo")

urlpatterns = [
    path("photos/batch/", BatchView.as_view(), name="photo-batch"),
    path("photos/uploads/<uuid:id>/finalise/", FinaliseView.as_view(), name="upload-finalise"),
    path("tags/", TagsView.as_view(), name="tags"),
    *router.urls,
]
