"""Whose turn it is: the owner who was served longest ago, and of that owner's jobs the one that waits longest.

So one who has queued ten thousand jobs and one who has queued a single one get every other turn. The platform's own
jobs, which have no owner, count as one more owner's. Nothing is kept for this but the jobs themselves: the statement
goes from owner to owner in the index ``job_queue``, some microseconds for each that waits, however much.
"""

from datetime import datetime

from django.db import connection

from jobs.models import Job

# Each list is read only as far as it takes to find one row. A row that another worker is claiming at this moment is
# skipped; should it come through all the same (SQLite has no such locks), the last condition finds it claimed.
_CLAIM = """
WITH RECURSIVE
waiting (party) AS (
    SELECT MIN(COALESCE(owner_id, 0)) FROM jobs_job WHERE state = 'queued'
    UNION ALL
    SELECT (SELECT MIN(COALESCE(owner_id, 0)) FROM jobs_job WHERE state = 'queued' AND COALESCE(owner_id, 0) > party)
    FROM waiting WHERE party IS NOT NULL
),
turn (party) AS MATERIALIZED (
    SELECT party FROM waiting WHERE party IS NOT NULL
    ORDER BY (SELECT MAX(started) FROM jobs_job WHERE COALESCE(owner_id, 0) = party) NULLS FIRST, party
),
head (id) AS MATERIALIZED (
    SELECT (
        SELECT id FROM jobs_job
        WHERE state = 'queued' AND COALESCE(owner_id, 0) = party AND COALESCE(not_before, created) <= %(now)s
        ORDER BY COALESCE(not_before, created), id
        LIMIT 1 {skip_locked}
    ) FROM turn
)
UPDATE jobs_job
SET state = 'running', attempts = attempts + 1, started = %(now)s, lease_until = %(lease_until)s
WHERE id = (SELECT id FROM head WHERE id IS NOT NULL LIMIT 1) AND state = 'queued'
RETURNING *
"""


def turn_claim(*, now: datetime, lease_until: datetime) -> Job | None:
    """Make the next job in turn run until ``lease_until``. None if nothing is due, or others were quicker."""
    skip_locked = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    adapted = connection.ops.adapt_datetimefield_value
    moments = {"now": adapted(now), "lease_until": adapted(lease_until)}
    claimed = list(Job.objects.raw(_CLAIM.format(skip_locked=skip_locked), moments))
    return claimed[0] if claimed else None
