"""What beat asks of comparisons. Jobs come by jobs.tasks."""

from celery import shared_task

from diffs.services import diffs_sweep


@shared_task(name="diffs.sweep", soft_time_limit=1800, time_limit=1900)
def sweep() -> None:
    """Forget comparisons whose time is over."""
    diffs_sweep()
