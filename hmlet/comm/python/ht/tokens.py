"""The pair of JSON web tokens: asked for on first need, renewed shortly before it expires or when it is refused."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ht.answers import Fields, Json
from ht.errors import AnswerNotUnderstood, Forbidden, Invalid, NotFound, NotSignedIn
from ht.retry import Clock

TOKEN_PATH = "/api/v1/token/"  # noqa: S105 a path
REFRESH_PATH = "/api/v1/token/refresh/"
#: Renew this long before the end, or at nine tenths of a shorter life, so that no upload meets a token just expired.
RENEW_BEFORE_S = 30.0

_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who signs in."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class TokenPair:
    """``renew_at_s`` is on the client's monotonic clock; None when the access token does not tell its end."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    renew_at_s: float | None


class Tokens:
    """Gives the access token that a request should carry. Threads share it: one signs in, the others wait for it."""

    def __init__(
        self, credentials: Credentials, *, post: Callable[[str, Mapping[str, str]], Json], clock: Clock
    ) -> None:
        self._credentials = credentials
        self._post = post
        self._clock = clock
        self._lock = threading.Lock()
        self._pair: TokenPair | None = None

    def access(self) -> str:
        """A token that is good for a while; signs in or renews when there is none such."""
        with self._lock:
            if self._pair is None:
                self._pair = self._sign_in()
            elif self._pair.renew_at_s is not None and self._clock.monotonic() >= self._pair.renew_at_s:
                self._pair = self._renew(self._pair)
            return self._pair.access

    def access_instead_of(self, refused: str) -> str:
        """A token other than the one that the server refused; renews unless another thread just did."""
        with self._lock:
            if self._pair is None or self._pair.access == refused:
                self._pair = self._sign_in() if self._pair is None else self._renew(self._pair)
            return self._pair.access

    def secrets(self) -> tuple[str, ...]:
        """What must not show up in a message."""
        pair = self._pair
        known = (self._credentials.password, pair.access if pair else None, pair.refresh if pair else None)
        return tuple(secret for secret in known if secret)

    def _sign_in(self) -> TokenPair:
        credentials = {"username": self._credentials.username, "password": self._credentials.password}
        return self._read(self._post(TOKEN_PATH, credentials), old_refresh=None)

    def _renew(self, pair: TokenPair) -> TokenPair:
        if pair.refresh is None:
            return self._sign_in()
        try:
            answer = self._post(REFRESH_PATH, {"refresh": pair.refresh})
        except (NotSignedIn, Invalid, Forbidden, NotFound):
            return self._sign_in()
        return self._read(answer, old_refresh=pair.refresh)

    def _read(self, answer: Json, *, old_refresh: str | None) -> TokenPair:
        fields = Fields(answer, what="token")
        access = fields.text("access")
        if not _TOKEN68.fullmatch(access):
            raise AnswerNotUnderstood("token: the field 'access' is no token")
        life_s = lifetime_s(access, now_s=self._clock.time())
        renew_at_s = None if life_s is None else self._clock.monotonic() + max(life_s - RENEW_BEFORE_S, life_s * 0.9)
        return TokenPair(access=access, refresh=fields.text_or_none("refresh") or old_refresh, renew_at_s=renew_at_s)


def lifetime_s(token: str, *, now_s: float) -> float | None:
    """How long a JWT just issued is good for, in seconds; None when it does not say or is no JWT.

    Where the token tells when it was issued (``iat``), the two clocks need not agree: only the difference counts.
    The signature is not checked; a forged expiry would cost no more than a request refused.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issued, expires = claims.get("iat"), claims.get("exp")
    except (IndexError, ValueError, AttributeError, RecursionError):
        return None
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not 0 < expires < 1e12:
        return None
    plausible = not isinstance(issued, bool) and isinstance(issued, int | float) and 0 < issued <= expires
    return max(0.0, expires - (issued if plausible else now_s))
