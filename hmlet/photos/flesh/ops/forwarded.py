"""Who asked, and how, when somebody stands in between: believed from those who are trusted, and from nobody else."""

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Lookup = Callable[[str], set[str]]

CLAIMS = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_REAL_IP",
)
"""Headers by which a proxy tells of a caller, and a caller may tell what it likes."""
LOOKED_UP_AFTER_S = 1.0
FORGOTTEN_AFTER_S = 30.0


def addresses_of(name: str) -> set[str]:
    """Of a host name, now; none when nobody knows it."""
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


class Proxies:
    """Networks, addresses and host names that are trusted. A name stands for all its addresses, as they change.

    Names are looked up for an address that is not known, or was looked up too long ago; at most once a second.
    """

    def __init__(
        self, trusted: Sequence[str], *, lookup: Lookup = addresses_of, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._networks: list[Network] = []
        self._names: list[str] = []
        for word in trusted:
            try:
                self._networks.append(ipaddress.ip_network(word, strict=False))
            except ValueError:
                self._names.append(word)
        self._lookup, self._clock = lookup, clock
        self._seen: dict[str, float] = {}
        self._looked_up = float("-inf")

    def include(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if any(parsed in network for network in self._networks):
            return True
        return bool(self._names) and self._is_named(address)

    def _is_named(self, address: str) -> bool:
        now = self._clock()
        if now - self._seen.get(address, float("-inf")) < FORGOTTEN_AFTER_S:
            return True
        if now - self._looked_up >= LOOKED_UP_AFTER_S:
            self._looked_up = now
            self._seen = dict.fromkeys((found for name in self._names for found in self._lookup(name)), now)
        return now - self._seen.get(address, float("-inf")) < FORGOTTEN_AFTER_S


class ForwardedMiddleware:
    """From a trusted proxy, ``REMOTE_ADDR`` becomes the caller's address, and the scheme is the proxy's word; from
    anybody else, what they say is dropped. The proxy names one caller, whom it has seen: the last one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._proxies = Proxies(settings.TRUSTED_PROXIES)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        claims = {name: request.META.pop(name) for name in CLAIMS if name in request.META}
        if self._proxies.include(request.META.get("REMOTE_ADDR", "")):
            caller = claims.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
            if caller:
                request.META["REMOTE_ADDR"] = caller
            if "HTTP_X_FORWARDED_PROTO" in claims:
                request.META["HTTP_X_FORWARDED_PROTO"] = claims["HTTP_X_FORWARDED_PROTO"]
        return self.get_response(request)
