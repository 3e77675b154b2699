"""Claims of keys and what is recorded under them.

A key is claimed before the work and completed in the transaction of the work's own rows, so both are there or neither
is. Nothing holds a lock meanwhile: a claim is a lease, and one whose process died is taken over when it has run out.
Whoever lost a claim so finds that when it completes, and its transaction is rolled back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import F
from django.utils import timezone

from idempotency.errors import KeyBusy, KeyReused
from idempotency.models import KeyedRequest, KeyedStep

LEASE = timedelta(seconds=90)
"""Longer than the storage may take to be given up (gallery.buckets)."""
KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to do what was asked under a key. ``steps`` are the outcomes of earlier claims, by position."""

    request_id: int
    attempt: int
    steps: Mapping[int, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What was answered before."""

    status: int
    headers: Mapping[str, str]
    body: Any


def key_claim(*, owner: AbstractBaseUser, key: str, fingerprint: str) -> Claim | Answered:
    """Begin what is asked under ``key``, or give what was answered. Raises KeyReused or KeyBusy."""
    while True:
        now = timezone.now()
        held, fresh = KeyedRequest.objects.get_or_create(
            owner_id=owner.pk, key=key, defaults={"fingerprint": fingerprint, "lease_until": now + LEASE}
        )
        if fresh:
            return Claim(request_id=held.pk, attempt=held.attempt, steps={})
        if held.created >= now - KEPT:
            return _claim_again(held, fingerprint)
        # Older than keys are kept, and not swept yet.
        KeyedRequest.objects.filter(pk=held.pk).delete()


def _claim_again(held: KeyedRequest, fingerprint: str) -> Claim | Answered:
    if held.fingerprint != fingerprint:
        raise KeyReused
    if held.status is not None:
        return Answered(status=held.status, headers=held.headers, body=held.body)
    now = timezone.now()
    taken = KeyedRequest.objects.filter(pk=held.pk, attempt=held.attempt, status=None, lease_until__lt=now).update(
        attempt=F("attempt") + 1, lease_until=now + LEASE
    )
    if not taken:
        raise KeyBusy
    steps = dict(KeyedStep.objects.filter(request_id=held.pk).values_list("position", "outcome"))
    return Claim(request_id=held.pk, attempt=held.attempt + 1, steps=steps)


def key_complete(claim: Claim, *, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Record the answer, in the caller's transaction. Raises KeyBusy when the claim is lost: let that roll it back."""
    if not _held(claim).update(status=status, headers=dict(headers), body=body, lease_until=None):
        raise KeyBusy


def key_amend(claim: Claim, *, headers: Mapping[str, str], body: Any) -> None:
    """Record what was answered in the end, where that is more than was known when the work was committed."""
    KeyedRequest.objects.filter(pk=claim.request_id, attempt=claim.attempt).update(headers=dict(headers), body=body)


def key_step(claim: Claim, *, position: int, outcome: Any) -> None:
    """Record a part's outcome in the part's transaction, and hold on to the claim. Raises KeyBusy when it is lost."""
    if not _held(claim).update(lease_until=timezone.now() + LEASE):
        raise KeyBusy
    KeyedStep.objects.create(request_id=claim.request_id, position=position, outcome=outcome)


def key_release(claim: Claim) -> None:
    """Give up a claim whose work was refused: the same key may be tried with something else, unless parts are done."""
    if not _held(claim).filter(steps=None).delete()[0]:
        _held(claim).update(lease_until=timezone.now())


def keys_sweep() -> int:
    """Forget the keys that were kept long enough. How many."""
    old = KeyedRequest.objects.filter(created__lt=timezone.now() - KEPT)
    KeyedStep.objects.filter(request__in=old).delete()
    return old.delete()[0]


def _held(claim: Claim) -> Any:
    return KeyedRequest.objects.filter(pk=claim.request_id, attempt=claim.attempt, status=None)
