"""Sign-ins by token, and what is remembered of logins."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class SignIn(models.Model):
    """A chain of refresh tokens that began with a password: of each only the newest is good, and each is good once.

    The row holds the ids of the newest and of the one before, and no token.
    """

    class End(models.TextChoices):
        SIGNED_OUT = "signed_out", "signed out"
        REUSED = "reused", "a used token came again"
        REVOKED = "revoked", "ended by staff"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="sign_ins")
    created = models.DateTimeField(default=timezone.now, editable=False)
    refreshed = models.DateTimeField(null=True, editable=False)
    # When the newest token of the chain expires.
    expires = models.DateTimeField(db_index=True)
    current = models.CharField(max_length=32, editable=False)
    previous = models.CharField(max_length=32, default="", editable=False)
    # SHA-256 of the Idempotency-Key under which `current` was asked for.
    refresh_key = models.CharField(max_length=64, default="", editable=False)
    ended = models.DateTimeField(null=True, editable=False)
    end = models.CharField(max_length=16, choices=End.choices, default="", editable=False)

    class Meta:
        verbose_name = "sign-in"
        constraints = (
            models.CheckConstraint(
                condition=Q(ended=None, end="") | Q(ended__isnull=False), name="sign_in_end_has_time"
            ),
        )

    def __str__(self) -> str:
        return f"sign-in {self.id}"


class FailureTally(models.Model):
    """How many logins have failed of late, for one key: an account's, an address's, or both's (access.throttling)."""

    key = models.CharField(max_length=120, primary_key=True)
    failures = models.PositiveIntegerField()
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key}: {self.failures}"


class KnownAddress(models.Model):
    """An address from which a user has come in."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    address = models.CharField(max_length=50)
    seen = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "address"), name="known_address_once"),)

    def __str__(self) -> str:
        return f"{self.address} of {self.user_id}"
