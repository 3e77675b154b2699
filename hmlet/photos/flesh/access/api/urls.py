"""Addresses of the access API."""

from django.urls import path

from access.api import schema as schema
from access.api.views import TokenRefreshView, TokenRevokeView, TokenView

urlpatterns = [
    path("token/", TokenView.as_view(), name="token"),
    path("token/refresh/", TokenRefreshView.as_view(), name="token-refresh"),
    path("token/revoke/", TokenRevokeView.as_view(), name="token-revoke"),
]
