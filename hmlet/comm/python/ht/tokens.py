"""The pair of JSON web tokens: asked for on first need, renewed shortly before it expires or when it is refused.

A refresh token is good once: used again it ends the sign-in. So it goes with a key of its own, by which the server
gives the same answer again to whoever did not get it.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from ht.answers import Fields, Json
from ht.errors import AnswerNotUnderstood, Forbidden, Invalid, NotFound, NotSignedIn
from ht.retry import Clock

TOKEN_PATH = "/api/v1/token/"  # noqa: S105 a path
REFRESH_PATH = "/api/v1/token/refresh/"
REVOKE_PATH = "/api/v1/token/revoke/"
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
    refresh_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


@dataclass(frozen=True, kw_only=True)
class KeptTokens:
    """A pair as it outlives a process. ``renew_at`` is in seconds since 1970; None when the token does not tell."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    renew_at: float | None
    refresh_key: str = field(default="", repr=False)


class TokenStore(Protocol):
    """Keeps a user's tokens between processes. What it raises when it cannot save goes to whoever made the request."""

    def load(self) -> KeptTokens | None: ...

    def save(self, tokens: KeptTokens) -> None: ...

    def forget(self) -> None: ...

    def locked(self) -> AbstractContextManager[None]:
        """Entered by one process at a time, the others wait: a refresh token is good for one renewal only."""
        ...


class Post(Protocol):
    """Sends the fields to a path of the API without a token, again while that may help. ``key``: an Idempotency-Key."""

    def __call__(self, path: str, fields: Mapping[str, str], /, *, key: str | None = None) -> Json: ...


class Tokens:
    """Gives the access token that a request should carry. Threads share it: one signs in, the others wait for it.

    Without ``credentials`` it has what ``store`` keeps, and renews that; either may be None, not both.
    """

    def __init__(
        self,
        credentials: Credentials | None,
        *,
        post: Post,
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

    def sign_out(self) -> None:
        """Have the server refuse the tokens, and forget them; without any there is nothing to do. Raises HtError."""
        with self._lock, self._alone():
            pair = self._kept() or self._pair
            if pair is not None and pair.refresh is not None:
                with suppress(NotSignedIn, Invalid):
                    self._post(REVOKE_PATH, {"refresh": pair.refresh})
            self._pair = None
            if self._store is not None:
                self._store.forget()

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
            if kept is not None and (pair is None or kept.access != pair.access):
                if not self._is_old(kept):
                    self._pair = kept
                    return
                # That is used up by now what this one still has.
                pair = kept
            self._keep(self._sign_in() if pair is None else self._renew(pair))

    def _alone(self) -> AbstractContextManager[None]:
        return self._store.locked() if self._store is not None else nullcontext()

    def _kept(self) -> TokenPair | None:
        kept = self._store.load() if self._store is not None else None
        if kept is None:
            return None
        left_s = None if kept.renew_at is None else kept.renew_at - self._clock.time()
        renew_at_s = None if left_s is None else self._clock.monotonic() + left_s
        pair = TokenPair(access=kept.access, refresh=kept.refresh, renew_at_s=renew_at_s)
        return replace(pair, refresh_key=kept.refresh_key) if kept.refresh_key else pair

    def _keep(self, pair: TokenPair) -> None:
        self._pair = pair
        if self._store is not None:
            left_s = None if pair.renew_at_s is None else pair.renew_at_s - self._clock.monotonic()
            renew_at = None if left_s is None else self._clock.time() + left_s
            self._store.save(
                KeptTokens(access=pair.access, refresh=pair.refresh, renew_at=renew_at, refresh_key=pair.refresh_key)
            )

    def _sign_in(self) -> TokenPair:
        if self._credentials is None:
            raise _nobody()
        credentials = {"username": self._credentials.username, "password": self._credentials.password}
        return self._read(self._post(TOKEN_PATH, credentials), old=None)

    def _renew(self, pair: TokenPair) -> TokenPair:
        if pair.refresh is None:
            return self._sign_in()
        try:
            answer = self._post(REFRESH_PATH, {"refresh": pair.refresh}, key=pair.refresh_key)
        except (NotSignedIn, Invalid, Forbidden, NotFound):
            return self._sign_in()
        return self._read(answer, old=pair)

    def _read(self, answer: Json, *, old: TokenPair | None) -> TokenPair:
        fields = Fields(answer, what="token")
        access = fields.text("access")
        if not _TOKEN68.fullmatch(access):
            raise AnswerNotUnderstood("token: the field 'access' is no token")
        life_s = lifetime_s(access, now_s=self._clock.time())
        renew_at_s = None if life_s is None else self._clock.monotonic() + max(life_s - RENEW_BEFORE_S, life_s * 0.9)
        refresh = fields.text_or_none("refresh")
        if refresh is None and old is not None:
            return replace(old, access=access, renew_at_s=renew_at_s)
        return TokenPair(access=access, refresh=refresh, renew_at_s=renew_at_s)


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
