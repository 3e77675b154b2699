"""What beat asks: to forget uploads that nobody finalised."""

from celery import shared_task

from uploads.services import uploads_sweep


@shared_task(name="uploads.sweep", soft_time_limit=600, time_limit=660)
def sweep() -> None:
    """Abort and forget what was not finalised in time."""
    uploads_sweep()
