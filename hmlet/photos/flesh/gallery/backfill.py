"""Has made what originals of an older version lack: a size or a format that came after them."""

import uuid
from collections.abc import Iterator

from django.db import transaction
from django.db.models import Count, Q
from jobs.models import Job
from jobs.services import job_create

from gallery.models import Original
from gallery.renditions import SIZES_BY_KIND

BATCH = 500
_WAITING = (Job.State.QUEUED, Job.State.RUNNING)


def originals_lacking() -> Iterator[list[uuid.UUID]]:
    """Ready originals that lack renditions which no job is about to make, by their ids, a batch at a time."""
    last = uuid.UUID(int=0)
    while True:
        batch = list(Original.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not batch:
            return
        last = batch[-1]
        made = Count("renditions", filter=Q(renditions__kind__in=SIZES_BY_KIND))
        ready = Original.objects.filter(pk__in=batch, state=Original.State.READY).annotate(made=made)
        lacking = set(ready.filter(made__lt=len(SIZES_BY_KIND)).order_by().values_list("pk", flat=True))
        jobs = Job.objects.filter(kind=Job.Kind.RENDITIONS, subject__in=lacking, state__in=_WAITING)
        lacking -= set(jobs.values_list("subject", flat=True))
        if lacking:
            yield sorted(lacking)


@transaction.atomic
def renditions_backfill(originals: list[uuid.UUID]) -> None:
    """A job for each, of nobody's and of low priority: uploads go first."""
    for original in originals:
        job_create(kind=Job.Kind.RENDITIONS, owner=None, subject=original)
