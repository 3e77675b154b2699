"""Jobs that ended are kept for a set time."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from jobs.models import Attempt, Job, OutboxEntry

pytestmark = pytest.mark.django_db


def test_old_jobs_that_ended_are_deleted_with_their_past_and_no_others(settings: Any) -> None:
    settings.JOBS_KEPT_DAYS = 10
    now = timezone.now()
    for state in Job.State.values:
        for age_days in (9, 11):
            job = Job.objects.create(kind="thumbnail", state=state)
            Job.objects.filter(pk=job.pk).update(created=now - timedelta(days=age_days))
            Attempt.objects.create(job=job, number=1, queued=now, ended=now, code="away", message="Away.")
            OutboxEntry.objects.create(job=job, due=now)
    out = StringIO()
    call_command("sweep_jobs", stdout=out)
    assert out.getvalue() == "3 jobs deleted that ended long ago\n"
    left = Job.objects.filter(created__lt=now - timedelta(days=10))
    assert set(left.values_list("state", flat=True)) == {"queued", "running"}
    assert Job.objects.count() == 7
    assert Attempt.objects.count() == OutboxEntry.objects.count() == 7
