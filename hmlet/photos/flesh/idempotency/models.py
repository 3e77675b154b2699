"""What was asked under which key, and what was answered."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class KeyedRequest(models.Model):
    """A request that its sender may repeat. ``status`` is null until it is answered.

    ``attempt`` fences: who writes must still be the last to have claimed the key.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was asked.")
    attempt = models.PositiveIntegerField(default=1)
    lease_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)
    created = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["owner", "key"], name="key_once_per_owner"),)

    def __str__(self) -> str:
        return f"keyed request {self.pk}"


class KeyedStep(models.Model):
    """What became of one part of a request whose parts are done one by one: it commits with the part."""

    request = models.ForeignKey(KeyedRequest, models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    outcome = models.JSONField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["request", "position"], name="step_once_per_request"),)

    def __str__(self) -> str:
        return f"step {self.position} of keyed request {self.request_id}"
