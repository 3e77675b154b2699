"""What beat asks of thumbnails. Jobs come by jobs.tasks."""

from celery import shared_task

from thumbnails.services import images_sweep


@shared_task(name="thumbnails.sweep", soft_time_limit=1800, time_limit=1900)
def sweep() -> None:
    """Forget images whose time is over."""
    images_sweep()
