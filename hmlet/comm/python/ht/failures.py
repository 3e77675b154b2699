"""What an exception of requests or urllib3 means to the caller."""

from __future__ import annotations

from collections.abc import Iterator

import requests
import urllib3.exceptions

from ht.errors import AnswerNotUnderstood, ConnectionFailed, HtError, TimedOut


def failure_of(error: Exception, *, what: str, repeatable: bool) -> HtError:
    """The error of our tree for ``error``, whose own text stays behind: it holds whole URLs.

    ``what`` was asked, and may be asked again where ``repeatable``; where not, the message says when to look first.
    """
    chain = list(_chain(error))
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return AnswerNotUnderstood(f"{what}: the answer's compression is broken")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return AnswerNotUnderstood(f"{what}: not a URL that can be fetched")
    if isinstance(error, requests.exceptions.SSLError):
        reason = f"the TLS connection is refused: {_reason(chain)}"
        return ConnectionFailed(f"{what}: {reason}", may_have_arrived=False, transient=False)
    unmade = isinstance(error, requests.ConnectTimeout) or any(
        isinstance(link, urllib3.exceptions.NewConnectionError) for link in chain
    )
    doubt = "" if unmade or repeatable else "; the server may have done it: look before you repeat it"
    if isinstance(error, requests.Timeout) or any(
        isinstance(link, urllib3.exceptions.ReadTimeoutError | TimeoutError) for link in chain
    ):
        doing = "connecting" if unmade else "waiting for the server"
        return TimedOut(f"{what}: timed out {doing}{doubt}", may_have_arrived=not unmade)
    return ConnectionFailed(f"{what}: {_reason(chain)}{doubt}", may_have_arrived=not unmade)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and the errors inside it, outermost first: urllib3 keeps them in ``reason``, requests in ``args``."""
    seen: set[int] = set()
    found: list[BaseException] = [error]
    while found:
        link = found.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = (getattr(link, "reason", None), link.__cause__, link.__context__, *link.args)
        found += [candidate for candidate in inner if isinstance(candidate, BaseException)]


def _reason(chain: list[BaseException]) -> str:
    for link in reversed(chain):
        if isinstance(link, OSError) and not isinstance(link, requests.RequestException) and link.strerror:
            return link.strerror
    if any(isinstance(link, urllib3.exceptions.IncompleteRead) for link in chain):
        return "the answer ended before its end"
    return "the connection broke before the answer"
