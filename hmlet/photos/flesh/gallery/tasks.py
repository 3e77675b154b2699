"""What beat asks of the gallery. Jobs come by jobs.tasks."""

from celery import shared_task

from gallery.originals import objects_sweep
from gallery.usage import usages_correct


@shared_task(name="gallery.objects_sweep", soft_time_limit=1800, time_limit=1900)
def objects_sweep_run() -> None:
    """Delete objects that a killed process left without a row."""
    objects_sweep()


@shared_task(name="gallery.usages_correct", soft_time_limit=1800, time_limit=1900)
def usages_correct_run() -> None:
    """Put right what users are said to hold."""
    usages_correct()
