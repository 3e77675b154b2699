"""How long ended jobs are kept."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from jobs.models import Job

BATCH = 1000
ENDED = (Job.State.DONE, Job.State.FAILED, Job.State.CANCELLED)


def jobs_sweep() -> int:
    """Delete jobs that have ended and were made more than JOBS_KEPT_DAYS ago, with their past. How many."""
    before = timezone.now() - timedelta(days=settings.JOBS_KEPT_DAYS)
    swept = 0
    while True:
        # By creation, because that is what there is an index for.
        batch = Job.objects.filter(created__lt=before, state__in=ENDED).order_by("created", "id")[:BATCH]
        ids = list(batch.values_list("id", flat=True))
        # A job that was tried again in this moment stays.
        _, deleted = Job.objects.filter(id__in=ids, state__in=ENDED).delete()
        swept += deleted.get(Job._meta.label, 0)
        if len(ids) < BATCH:
            return swept
