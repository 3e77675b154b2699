"""Addresses of the comparisons API."""

from rest_framework.routers import SimpleRouter

from diffs.api.views import DiffViewSet

router = SimpleRouter(use_regex_path=False)
router.register("diffs", DiffViewSet, basename="diff")

urlpatterns = router.urls
