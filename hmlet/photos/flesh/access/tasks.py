"""What beat asks: to forget what is over."""

from celery import shared_task

from access.retention import access_sweep


@shared_task(name="access.sweep", soft_time_limit=600, time_limit=660)
def sweep() -> None:
    """Forget sign-ins and sessions that have expired."""
    access_sweep()
