"""What the queue carries: that there is a job, and what beat asks for."""

import uuid

from celery import shared_task

from jobs.reconciling import jobs_reconcile
from jobs.retention import jobs_sweep
from jobs.runner import job_run


@shared_task(name="jobs.run")
def run(job_id: str) -> None:
    """Run the next job. The id is that of the job for which this was published."""
    job_run(uuid.UUID(job_id))


@shared_task(name="jobs.reconcile")
def reconcile() -> None:
    """Publish what got lost and take back what was dropped."""
    jobs_reconcile()


@shared_task(name="jobs.sweep", soft_time_limit=1800, time_limit=1900)
def sweep() -> None:
    """Delete jobs that ended long ago."""
    jobs_sweep()
