"""Sign-ins: begun with a password, refreshed by the newest token of the chain, ended by hand or by a token used twice.

Each refresh gives a new refresh token, and the row moves on to it by a conditional update: of two with the same token
one gets on. The other may be a thief, or the first may; nobody can tell, so the sign-in ends (RFC 9700, 4.14.2).
Only who sends the request again under the same Idempotency-Key, because the answer was lost, gets the answer again.
"""

import hashlib
import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken

from access.errors import TokenRefused, TokenReused
from access.models import SignIn
from access.selectors import SIGN_IN_CLAIM, sign_in_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """Two JSON web tokens, encoded."""

    access: str
    refresh: str


def sign_in_begin(*, user: User) -> TokenPair:
    """For whoever showed that they are ``user``."""
    sign_in = SignIn(user=user)
    token = _token(user, sign_in)
    sign_in.current, sign_in.expires = token["jti"], _expiry(token)
    sign_in.save(force_insert=True)
    return _pair(token)


def sign_in_refresh(*, refresh: str, key: str | None = None) -> TokenPair:
    """A new pair for the newest refresh token of a sign-in. ``key``: by which a request that is sent again is known.

    Raises TokenRefused; TokenReused, and ends the sign-in, for a token that was used before.
    """
    token = _decoded(refresh)
    digest = hashlib.sha256(key.encode()).hexdigest() if key else ""
    sign_in = sign_in_of(token)
    if sign_in is None:
        raise TokenRefused
    fresh = _token(sign_in.user, sign_in)
    moved_on = SignIn.objects.filter(pk=sign_in.pk, current=token["jti"], ended=None).update(
        current=fresh["jti"],
        previous=token["jti"],
        refresh_key=digest,
        expires=_expiry(fresh),
        refreshed=timezone.now(),
    )
    if moved_on:
        return _pair(fresh)
    again = SignIn.objects.filter(pk=sign_in.pk, previous=token["jti"], refresh_key=digest, ended=None).first()
    if digest and again is not None:
        fresh["jti"] = again.current
        return _pair(fresh)
    if _end(SignIn.objects.filter(pk=sign_in.pk), SignIn.End.REUSED):
        log.warning("Refresh token used twice: sign-in %s of user %s is ended", sign_in.pk, sign_in.user_id)
    raise TokenReused


def sign_in_end(*, refresh: str) -> None:
    """End the sign-in that a refresh token belongs to, whichever of its chain it is. Raises TokenRefused for no token
    of ours; one whose sign-in has ended is none the worse."""
    token = _decoded(refresh)
    _end(SignIn.objects.filter(pk=token[SIGN_IN_CLAIM]), SignIn.End.SIGNED_OUT)


def sign_ins_revoke(sign_ins: QuerySet[SignIn]) -> int:
    """End them, for staff. How many were going on."""
    return _end(sign_ins, SignIn.End.REVOKED)


def _end(sign_ins: QuerySet[SignIn], end: SignIn.End) -> int:
    return sign_ins.filter(ended=None).update(ended=timezone.now(), end=end)


def _decoded(text: str) -> RefreshToken:
    """Raises TokenRefused unless it is a refresh token of a sign-in, signed by us, and has not expired."""
    try:
        token = RefreshToken(cast(Any, text))
        uuid.UUID(token[SIGN_IN_CLAIM])
    except (TokenError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise TokenRefused from error
    return token


def _token(user: User, sign_in: SignIn) -> RefreshToken:
    token: RefreshToken = RefreshToken.for_user(user)
    token[SIGN_IN_CLAIM] = str(sign_in.pk)
    ends = int((sign_in.created + settings.SIGN_IN_LIFETIME).timestamp())
    token["exp"] = min(token["exp"], ends)
    return token


def _expiry(token: RefreshToken) -> datetime:
    return datetime.fromtimestamp(token["exp"], UTC)


def _pair(token: RefreshToken) -> TokenPair:
    return TokenPair(access=str(token.access_token), refresh=str(token))
