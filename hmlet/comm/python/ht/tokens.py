"""The pair of JSON web tokens: asked for on first need, renewed shortly before it expires or when it is refused."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

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


@dataclass(frozen=True, kw_only=True)
class KeptTokens:
    """A pair as it outlives a process. ``renew_at`` is in seconds since 1970; None when the token does not tell."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    renew_at: float | None


class TokenStore(Protocol):
    """Keeps a user's tokens between processes. What it raises when it cannot save goes to whoever made the request."""

    def load(self) -> KeptTokens | None: ...

    def save(self, tokens: KeptTokens) -> None: ...

    def locked(self) -> AbstractContextManager[None]:
        """Entered by one process at a time, the others wait: a refresh token may be good for one renewal only."""
        ...


class Tokens:
    """Gives the access token that a request should carry. Threads share it: one signs in, the others wait for it.

    Without ``credentials`` it has what ``store`` keeps, and renews that; either may be None, not both.
    """

    def __init__(
        self,
        credentials: Credentials | None,
        *,
        post: Callable[[str, Mapping[str, str]], Json],
        clock: Clock,
        store: TokenStore | None = None,
    ) -> None:
        self._credentials = credentials
        self._post = post
        self._clock = clock
        self._store = store
        self._lock = threading.Lock()
        self._pair: TokenPair | None = None

    def sign_in(self) -> None:
        """Sign in with the credentials, whatever is kept. Raises NotSignedIn."""
        with self._lock, self._alone():
            self._keep(self._sign_in())

    def access(self) -> str:
        """A token that is good for a while; signs in or renews when there is none such."""
        with self._lock:
            self._pair = self._pair or self._kept()
            if self._pair is None or self._is_old(self._pair):
                self._replace(self._pair)
            return self._current().access

    def access_instead_of(self, refused: str) -> str:
        """A token other than the one that the server refused; renews unless another thread just did."""
        with self._lock:
            if self._pair is None or self._pair.access == refused:
                self._replace(self._pair)
            return self._current().access

    def secrets(self) -> tuple[str, ...]:
        """What must not show up in a message."""
        pair = self._pair
        password = self._credentials.password if self._credentials else None
        known = (password, pair.access if pair else None, pair.refresh if pair else None)
        return tuple(secret for secret in known if secret)

    def _current(self) -> TokenPair:
        if self._pair is None:
            raise _nobody()
        return self._pair

    def _is_old(self, pair: TokenPair) -> bool:
        return pair.renew_at_s is not None and self._clock.monotonic() >= pair.renew_at_s

    def _replace(self, pair: TokenPair | None) -> None:
        with self._alone():
            # Another process may have renewed it while this one waited.
            kept = self._kept()
            if kept is not None and not self._is_old(kept) and (pair is None or kept.access != pair.access):
                self._pair = kept
                return
            self._keep(self._sign_in() if pair is None else self._renew(pair))

    def _alone(self) -> AbstractContextManager[None]:
        return self._store.locked() if self._store is not None else nullcontext()

    def _kept(self) -> TokenPair | None:
        kept = self._store.load() if self._store is not None else None
        if kept is None:
            return None
        left_s = None if kept.renew_at is None else kept.renew_at - self._clock.time()
        renew_at_s = None if left_s is None else self._clock.monotonic() + left_s
        return TokenPair(access=kept.access, refresh=kept.refresh, renew_at_s=renew_at_s)

    def _keep(self, pair: TokenPair) -> None:
        self._pair = pair
        if self._store is not None:
            left_s = None if pair.renew_at_s is None else pair.renew_at_s - self._clock.monotonic()
            renew_at = None if left_s is None else self._clock.time() + left_s
            self._store.save(KeptTokens(access=pair.access, refresh=pair.refresh, renew_at=renew_at))

    def _sign_in(self) -> TokenPair:
        if self._credentials is None:
            raise _nobody()
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


def _nobody() -> NotSignedIn:
    return NotSignedIn(401, message="Nobody is signed in, or not any more.")


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
