"""What the queue carries: the id of a job, and the reconciler's tick."""

import uuid

from celery import shared_task

from jobs.runner import job_run
from jobs.services import jobs_reconcile


@shared_task(name="jobs.run")
def run(job_id: str) -> None:
    """Run one job, if nobody has it."""
    job_run(uuid.UUID(job_id))


@shared_task(name="jobs.reconcile")
def reconcile() -> None:
    """Publish what got lost and take back what was dropped."""
    jobs_reconcile()
