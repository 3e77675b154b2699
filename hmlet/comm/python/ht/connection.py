"""The one place that sends: every request of every resource goes through ``Connection.request``."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import requests
import urllib3.exceptions
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.cookies import RequestsCookieJar

from ht import __version__
from ht.answers import Json, parse_error, parse_json
from ht.bodies import Body
from ht.errors import AnswerNotUnderstood, ApiError, ConnectionFailed, NotSignedIn, TimedOut
from ht.failures import failure_of
from ht.retry import (
    LONGEST_RETRY_AFTER_S,
    REPEATABLE_METHODS,
    REPEATABLE_STATUSES,
    Clock,
    backoff_delay_s,
    is_repeatable,
    retry_after_s,
)
from ht.tokens import Credentials, Tokens, TokenStore

#: Seconds to connect, and seconds of silence while waiting for an answer; one number stands for both.
Timeout: TypeAlias = float | tuple[float, float]

#: No JSON and no thumbnail comes near; more than this is a mistake that must not fill the memory.
ANSWER_MAX_BYTES = 64 * 1024 * 1024
REDIRECTS_MAX = 5

_log = logging.getLogger("ht")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request, to be sent once or, where ``repeatable``, several times."""

    method: str
    url: str
    repeatable: bool
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Json = field(default=None, repr=False)
    body: Body | None = field(default=None, repr=False)
    wait_s: float = 0.0
    keyed: bool = False

    @property
    def what(self) -> str:
        """For messages: without the query, which may be signed."""
        parts = urlsplit(self.url)
        return f"{self.method} {parts.scheme}://{_host(self.url)}{parts.path}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``after_loss``: an earlier attempt may have reached the server without its answer reaching us."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    after_loss: bool = False


class Connection:
    """Speaks to one API for one user: pooled connections, tokens, timeouts, repetitions, errors as in ``ht.errors``.

    Threads may share it. The token goes to ``base_url`` and nowhere else: redirects are not followed with it, and URLs
    in answers are only ever fetched without it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        credentials: Credentials | None,
        timeout_s: Timeout,
        retries: int,
        transport: BaseAdapter | None,
        clock: Clock,
        tokens: TokenStore | None = None,
        ca_file: str | None = None,
    ) -> None:
        self.base_url = _checked_base_url(base_url)
        self.clock = clock
        self._connect_s, self._read_s = timeout_s if isinstance(timeout_s, tuple) else (timeout_s, timeout_s)
        if min(self._connect_s, self._read_s) <= 0 or retries < 0:
            raise ValueError("timeout_s is over 0 and retries at least 0")
        self._retries = retries
        # With each request: a session's own would yield to REQUESTS_CA_BUNDLE.
        self._verify = ca_file
        self._session = _new_session(transport)
        self._tokens: Tokens | None = None
        if credentials or tokens:
            self._tokens = Tokens(credentials, post=self._post_for_tokens, clock=clock, store=tokens)

    def close(self) -> None:
        self._session.close()

    def sign_in(self) -> None:
        """Raises any HtError; ValueError where there is nobody to sign in."""
        if self._tokens is None:
            raise ValueError("Nobody is to be signed in: give a username and a password")
        self._tokens.sign_in()

    def sign_out(self) -> None:
        """Raises any HtError."""
        if self._tokens is not None:
            self._tokens.sign_out()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Json = None,
        body: Body | None = None,
        wait_s: float = 0.0,
        key: str | None = None,
        repeatable: bool = False,
    ) -> Json:
        """The JSON of the answer, None when it is empty. ``wait_s``: how much longer the server may take on purpose.
        ``key``: an Idempotency-Key, by which the server does once what is sent twice; the request is then repeated.
        ``repeatable``: it may be repeated without one.

        Raises any HtError; NotFound is not raised for a DELETE whose first attempt may have done it.
        """
        call = Call(
            method=method,
            url=self.base_url + path,
            repeatable=repeatable or key is not None or method in REPEATABLE_METHODS,
            query=query or {},
            headers={**(headers or {}), **({"Idempotency-Key": key} if key is not None else {})},
            json=json,
            body=body,
            wait_s=wait_s,
            keyed=key is not None,
        )
        answer = self._answer_as_user(call)
        if method == "DELETE" and answer.status == 404 and answer.after_loss:
            return None
        return self._understood(call, answer)

    def fetch(self, url: str) -> bytes:
        """The bytes behind a URL that came in an answer, asked for without token or cookie; redirects are followed."""
        call = Call(method="GET", url=_followed(self.base_url, url), repeatable=True)
        for _ in range(REDIRECTS_MAX + 1):
            answer = self._delivered(call, access=None)
            if not 300 <= answer.status < 400:
                self._refuse_errors(call, answer)
                return answer.content
            call = replace(call, url=_followed(call.url, answer.headers.get("Location", "")))
        raise AnswerNotUnderstood(f"{call.what}: more than {REDIRECTS_MAX} redirects")

    def destination(self, path: str) -> str:
        """Where the API redirects to from ``path``: a URL to ``fetch``. Raises any HtError."""
        call = Call(method="GET", url=self.base_url + path, repeatable=True)
        answer = self._answer_as_user(call)
        self._refuse_errors(call, answer)
        if not 300 <= answer.status < 400:
            raise AnswerNotUnderstood(f"{call.what}: expected a redirect, got HTTP {answer.status}")
        return _followed(call.url, answer.headers.get("Location", ""))

    def put(self, url: str, *, headers: Mapping[str, str], body: Body) -> None:
        """Put ``body`` to a signed URL that came in an answer, without token or cookie. Raises any HtError."""
        call = Call(method="PUT", url=_followed(self.base_url, url), repeatable=True, headers=headers, body=body)
        self._refuse_errors(call, self._delivered(call, access=None))

    def _answer_as_user(self, call: Call) -> Answer:
        if self._tokens is None:
            return self._delivered(call, access=None)
        access = self._tokens.access()
        answer = self._delivered(call, access=access)
        if answer.status != 401:
            return answer
        again = self._delivered(call, access=self._tokens.access_instead_of(access))
        return replace(again, after_loss=again.after_loss or answer.after_loss)

    def _post_for_tokens(self, path: str, payload: Mapping[str, str], *, key: str | None = None) -> Json:
        headers = {"Idempotency-Key": key} if key is not None else {}
        call = Call(method="POST", url=self.base_url + path, repeatable=True, headers=headers, json=dict(payload))
        return self._understood(call, self._delivered(call, access=None))

    def _delivered(self, call: Call, *, access: str | None) -> Answer:
        """The last answer, after as many repetitions as are allowed and needed."""
        after_loss = False
        for attempt in itertools.count():
            last = attempt >= self._retries
            try:
                answer = self._sent(call, access=access)
            except (ConnectionFailed, TimedOut) as failure:
                if last or not is_repeatable(failure, repeatable=call.repeatable):
                    raise
                after_loss = after_loss or failure.may_have_arrived
                pause_s = backoff_delay_s(attempt)
                _log.debug("%s: %s; again in %.1f s", call.what, failure, pause_s)
            else:
                asked_s = self._retry_after_s(answer)
                patient = asked_s is None or asked_s <= LONGEST_RETRY_AFTER_S
                # The server may still be working on what was sent before under this key.
                busy = call.keyed and answer.status == 409 and asked_s is not None
                repeatable = call.repeatable and (busy or answer.status in REPEATABLE_STATUSES)
                if last or not (repeatable and patient):
                    return replace(answer, after_loss=after_loss)
                after_loss = after_loss or answer.status != 429
                pause_s = max(asked_s or 0.0, backoff_delay_s(attempt))
                _log.debug("%s: HTTP %d; again in %.1f s", call.what, answer.status, pause_s)
            self.clock.sleep(pause_s)
        raise AssertionError("itertools.count ends never")

    def _sent(self, call: Call, *, access: str | None) -> Answer:
        if call.body is not None:
            call.body.rewind()
        try:
            with self._session.request(
                call.method,
                call.url,
                params=dict(call.query),
                headers=_headers(call),
                data=None if call.body is None else _Pieces(call.body),
                json=call.json,
                auth=_Bearer(access),
                timeout=(self._connect_s, self._read_s + call.wait_s),
                allow_redirects=False,
                verify=self._verify,
                stream=True,
            ) as response:
                return Answer(status=response.status_code, headers=response.headers, content=_content(call, response))
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failure = failure_of(error, what=call.what, repeatable=call.repeatable)
        raise failure

    def _understood(self, call: Call, answer: Answer) -> Json:
        self._refuse_errors(call, answer)
        if 300 <= answer.status < 400:
            where = urlsplit(_followed(call.url, answer.headers.get("Location", "")))
            raise AnswerNotUnderstood(
                f"{call.what} redirects to {where.scheme}://{where.hostname}{where.path}: "
                "if that is the API, make base_url say so"
            )
        return parse_json(answer.content, what=call.what) if answer.content else None

    def _refuse_errors(self, call: Call, answer: Answer) -> None:
        if answer.status >= 400:
            _log.debug("%s: HTTP %d", call.what, answer.status)
            raise self._error(answer)

    def _error(self, answer: Answer) -> ApiError:
        error = parse_error(
            answer.status,
            answer.content,
            retry_after_s=self._retry_after_s(answer),
            secrets=self._tokens.secrets() if self._tokens else (),
        )
        if isinstance(error, NotSignedIn) and self._tokens is None:
            error.message = "No one is signed in: give the client a username and a password."
        return error

    def _retry_after_s(self, answer: Answer) -> float | None:
        return retry_after_s(answer.headers.get("Retry-After"), now_s=self.clock.time())


class _Bearer(requests.auth.AuthBase):
    """Also stands for no token at all: requests would otherwise look for a password in ~/.netrc."""

    def __init__(self, access: str | None) -> None:
        self._access = access

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._access is not None:
            request.headers["Authorization"] = f"Bearer {self._access}"
        return request


class _Pieces:
    """A body that is sent in pieces of its own size: what can be read, urllib3 reads by 16 KB."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def __len__(self) -> int:
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


def _new_session(transport: BaseAdapter | None) -> requests.Session:
    session = requests.Session()
    adapter = transport or HTTPAdapter(pool_connections=4, pool_maxsize=16)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = f"ht/{__version__} {requests.utils.default_user_agent()}"
    return session


def _checked_base_url(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("base_url is http://HOST[:PORT] or https://HOST[:PORT]")
    if "@" in parts.netloc:
        raise ValueError("base_url holds a username or password: give them as arguments instead")
    if parts.query or parts.fragment:
        raise ValueError("base_url has neither query nor fragment")
    return base_url.rstrip("/")


def _followed(base: str, url: str) -> str:
    """The absolute form of a URL that an answer names; raises AnswerNotUnderstood unless it is one of HTTP."""
    try:
        followed = urljoin(base, url)
        fetchable = urlsplit(followed).scheme in ("http", "https")
    except ValueError:
        fetchable = False
    if not fetchable:
        raise AnswerNotUnderstood("The answer names a URL that is none, or not of HTTP")
    return followed


def _headers(call: Call) -> dict[str, str]:
    headers = {"Accept": "application/json", **call.headers}
    if call.body is not None and call.body.content_type:
        headers["Content-Type"] = call.body.content_type
    return headers


def _content(call: Call, response: requests.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(64 * 1024):
        content += chunk
        if len(content) > ANSWER_MAX_BYTES:
            raise AnswerNotUnderstood(f"{call.what}: the answer is over {ANSWER_MAX_BYTES} bytes")
    return bytes(content)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
