"""Addresses of the photos API."""

from rest_framework.routers import SimpleRouter

from gallery.api.views import PhotoViewSet

router = SimpleRouter(use_regex_path=False)
router.register("photos", PhotoViewSet, basename="photo")

urlpatterns = router.urls
