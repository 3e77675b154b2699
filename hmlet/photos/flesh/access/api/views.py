"""The access API: sign in, go on, sign out."""

from dataclasses import asdict
from typing import Any

from django.contrib.auth import authenticate
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from ops.api import ErrorSerializer
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access import services
from access.api.serializers import CredentialsSerializer, RefreshTokenSerializer, TokenPairSerializer
from access.errors import WrongCredentials

ERRORS: dict[int, Any] = dict.fromkeys((400, 401), ErrorSerializer)
KEY = "Idempotency-Key"


class _TokenAPIView(APIView):
    """Asked without a token: what is sent says who asks."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(*args, **kwargs)
        # RFC 6749, 5.1
        response["Cache-Control"] = "no-store"
        return response


class TokenView(_TokenAPIView):
    @extend_schema(
        summary="Sign in",
        request=CredentialsSerializer,
        responses={200: TokenPairSerializer, 429: ErrorSerializer, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        """A pair of JSON web tokens for a username and a password. After too many failures, 429 and `Retry-After`."""
        given = CredentialsSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        user = authenticate(request=request._request, **given.validated_data)
        if user is None:
            raise WrongCredentials
        return Response(asdict(services.sign_in_begin(user=user)))


class TokenRefreshView(_TokenAPIView):
    @extend_schema(
        summary="Go on with new tokens",
        parameters=[
            OpenApiParameter(
                KEY,
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="Of your choice, hard to guess. A refresh whose answer was lost may be sent again with it.",
            )
        ],
        request=RefreshTokenSerializer,
        responses={200: TokenPairSerializer, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        """A new pair for a refresh token, which is good once. Used again, it ends the sign-in: `token_reused`."""
        given = RefreshTokenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        key = request.headers.get(KEY)
        return Response(asdict(services.sign_in_refresh(refresh=given.validated_data["refresh"], key=key)))


class TokenRevokeView(_TokenAPIView):
    @extend_schema(
        summary="Sign out",
        request=RefreshTokenSerializer,
        responses={204: None, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        """Ends the sign-in that a refresh token belongs to; its access tokens are refused from now on."""
        given = RefreshTokenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        services.sign_in_end(refresh=given.validated_data["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)
