"""Where every password is looked at: the API's, and that of the admin's form."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from access.throttling import attempt_begin, attempt_succeeded


class ThrottledBackend(ModelBackend):
    """Django's own, with failures counted. What asks without a request is the platform itself."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Raises LoginThrottled."""
        if request is None or username is None or password is None:
            return super().authenticate(request, username=username, password=password, **kwargs)
        attempt = attempt_begin(username=username, address=request.META.get("REMOTE_ADDR", ""))
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if user is not None:
            attempt_succeeded(attempt, user=user)
        return user
