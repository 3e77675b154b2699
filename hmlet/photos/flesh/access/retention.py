"""What is over is forgotten: nobody can come in by it any more."""

from django.contrib.sessions.models import Session
from django.utils import timezone

from access.models import SignIn


def access_sweep() -> int:
    """Delete sign-ins whose last token has expired, and the admin's sessions that have. How many rows."""
    now = timezone.now()
    return SignIn.objects.filter(expires__lt=now).delete()[0] + Session.objects.filter(expire_date__lt=now).delete()[0]
