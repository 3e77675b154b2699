"""Who sends a request, by the access token that it carries."""

from typing import cast

from django.contrib.auth.models import User
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from access.errors import TokenRefused
from access.selectors import SIGN_IN_CLAIM, sign_in_of


class TokenAuthentication(JWTAuthentication):
    """An access token is good no longer than its sign-in; that and the user are one query.

    A token without a sign-in is one that the platform made for itself (``manage.py shell``): it ends with its time, its
    user or the password.
    """

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override]
        """Raises TokenRefused, and AuthenticationFailed for a token without a sign-in."""
        if SIGN_IN_CLAIM not in validated_token:
            return cast(User, super().get_user(validated_token))
        sign_in = sign_in_of(validated_token)
        if sign_in is None:
            raise TokenRefused
        return sign_in.user
