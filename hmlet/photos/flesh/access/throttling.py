"""What it costs to guess a password: failed logins are counted, in the database that all web processes share.

Three counts, each for a window that begins with its first failure:

- of an account from one address: whoever guesses one password from one place;
- of an address, whatever the account: whoever tries one password on many accounts;
- of an account, wherever from: whoever guesses from many places.

A count that a stranger can fill must not lock the owner out. So the last two bind nobody who comes from an address
where that account has come in before; only failures of their own do. Elsewhere an owner waits while many others guess,
and for the rest of a window after that; tokens and sessions that are there go on meanwhile. Logins that succeed are
not counted, however many.

An attempt is counted before the password is looked at, by a conditional update, and taken back when it was right: a
hundred guesses at once are a hundred, and cost no more than the limit's number of password hashes.
"""

import hashlib
import ipaddress
import logging
import unicodedata
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from access.errors import LoginThrottled
from access.models import FailureTally, KnownAddress

log = logging.getLogger(__name__)

NETWORK_BITS_V6 = 64
"""What one customer has of IPv6, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A login that is counted as failed until it is known to be none. ``keys``: those it is counted under."""

    address: str
    keys: tuple[str, ...]


def attempt_begin(*, username: str, address: str) -> Attempt:
    """Count an attempt, as failed for the time being. Raises LoginThrottled, and counts nothing, over a limit."""
    place, account = address_grouped(address), _digest(username)
    limits = {f"pair:{account}:{place}": settings.LOGIN_FAILURES_MAX}
    if not KnownAddress.objects.filter(user__username=username, address=place).exists():
        limits[f"address:{place}"] = settings.LOGIN_FAILURES_OF_ADDRESS_MAX
        limits[f"account:{account}"] = settings.LOGIN_FAILURES_OF_ACCOUNT_MAX
    counted: list[str] = []
    for key, limit in limits.items():
        if limit == 0:
            continue
        wait_s = _count(key, limit)
        if wait_s is not None:
            _take_back(counted)
            log.warning("Login refused: too many have failed by %s, from %s", key.partition(":")[0], place)
            raise LoginThrottled(retry_after_s=wait_s)
        counted.append(key)
    return Attempt(address=place, keys=tuple(counted))


def attempt_succeeded(attempt: Attempt, *, user: User) -> None:
    """It was the owner: forget their mistakes, take the attempt off the other counts, and know the address again."""
    FailureTally.objects.filter(key__in=attempt.keys, key__startswith="pair:").delete()
    _take_back([key for key in attempt.keys if not key.startswith("pair:")])
    KnownAddress.objects.update_or_create(user=user, address=attempt.address, defaults={"seen": timezone.now()})


def address_grouped(address: str) -> str:
    """What counts as one address: of IPv6 a network, since there a person has more addresses than could be counted.

    >>> address_grouped("2001:db8::1"), address_grouped("::ffff:192.0.2.1"), address_grouped("")
    ('2001:db8::/64', '192.0.2.1', 'unknown')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), NETWORK_BITS_V6), strict=False))


def _count(key: str, limit: int) -> int | None:
    """One more under ``key``; or None of it, and after how many seconds there may be."""
    while True:
        now = timezone.now()
        begun = FailureTally.objects.filter(key=key, until__gt=now, failures__lt=limit)
        if begun.update(failures=F("failures") + 1):
            return None
        window = {"failures": 1, "until": now + timedelta(seconds=settings.LOGIN_WINDOW_S)}
        if FailureTally.objects.filter(key=key, until__lte=now).update(**window):
            return None
        tally, fresh = FailureTally.objects.get_or_create(key=key, defaults=window)
        if fresh:
            return None
        if tally.failures >= limit and tally.until > now:
            return max(1, -int(-(tally.until - now).total_seconds() // 1))


def _take_back(keys: list[str]) -> None:
    FailureTally.objects.filter(key__in=keys, failures__gt=0).update(failures=F("failures") - 1)


def _digest(username: str) -> str:
    """Not the name: people type passwords there."""
    return hashlib.sha256(unicodedata.normalize("NFKC", username).encode("utf-8", "replace")).hexdigest()[:32]
