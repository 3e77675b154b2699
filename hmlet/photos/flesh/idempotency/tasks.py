"""What beat asks: to forget old keys."""

from celery import shared_task

from idempotency.services import keys_sweep


@shared_task(name="idempotency.sweep", soft_time_limit=600, time_limit=660)
def sweep() -> None:
    """Forget the keys that were kept long enough."""
    keys_sweep()
