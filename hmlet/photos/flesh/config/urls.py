"""Every address of the platform, but for the probes (ops.middleware)."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularSwaggerSplitView
from ops.views import SchemaView, status
from rest_framework.permissions import AllowAny

admin.site.site_header = admin.site.site_title = "hmlet photos"
admin.site.index_title = "Administration"
# "View site" leads somewhere: nothing is at / here.
admin.site.site_url = "/docs/"

docs = SpectacularSwaggerSplitView.as_view(url_name="schema", permission_classes=[AllowAny], authentication_classes=[])

urlpatterns = [
    path("api/v1/", include("access.api.urls")),
    path("api/v1/schema/", SchemaView.as_view(), name="schema"),
    path("api/v1/docs/", docs, name="docs"),
    path("docs/", docs, name="docs-short"),
    path("api/v1/", include("uploads.api.urls")),
    path("api/v1/", include("gallery.api.urls")),
    path("api/v1/", include("jobs.api.urls")),
    path("api/v1/", include("thumbnails.api.urls")),
    path("api/v1/", include("diffs.api.urls")),
    path("admin/", admin.site.urls),
    path("status/", status, name="status"),
    path("healthcheck", status),
    path("healthcheck/", status),
]

handler400 = "ops.api.bad_request"
handler403 = "ops.api.permission_denied"
handler404 = "ops.api.not_found"
handler500 = "ops.api.server_error"
