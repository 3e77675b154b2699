"""Addresses of the uploads API."""

from rest_framework.routers import SimpleRouter

from uploads.api.views import UploadViewSet

router = SimpleRouter(use_regex_path=False)
router.register("photos/uploads", UploadViewSet, basename="upload")

urlpatterns = router.urls
