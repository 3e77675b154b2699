"""What beat asks of the gallery. Jobs come by jobs.tasks."""

from celery import shared_task

from gallery.originals import objects_sweep


@shared_task(name="gallery.objects_sweep", soft_time_limit=1800, time_limit=1900)
def objects_sweep_run() -> None:
    """Delete objects that a killed process left without a row."""
    objects_sweep()
