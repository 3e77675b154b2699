"""What is over is forgotten: nobody can come in by it any more, or is kept from it."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone

from access.models import FailureTally, KnownAddress, SignIn

ADDRESSES_KEPT = timedelta(days=90)


def access_sweep() -> int:
    """Delete sign-ins whose last token has expired, the admin's sessions that have, counts whose window is over, and
    addresses that nobody came in from for long. How many rows."""
    now = timezone.now()
    over = (
        SignIn.objects.filter(expires__lt=now),
        Session.objects.filter(expire_date__lt=now),
        FailureTally.objects.filter(until__lt=now),
        KnownAddress.objects.filter(seen__lt=now - ADDRESSES_KEPT),
    )
    return sum(rows.delete()[0] for rows in over)
