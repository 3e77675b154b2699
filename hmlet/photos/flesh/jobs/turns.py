"""Whose turn it is: the owner who was served longest ago, and of that owner's jobs the one that waits longest.

So one who has queued ten thousand jobs and one who has queued a single one get every other turn. The platform's own
jobs, which have no owner, count as one more owner's. Nothing is kept for this but the jobs themselves: the statement
goes from owner to owner in an index of those that wait, some microseconds for each owner, however much waits.

A claim does not wait for the disk: what a crash of the database takes back of it is found by the reconciler, and done
again with the same outcome. All else that is written of jobs does.

Jobs in the background take their turns in the same way, but only while no other job is due, and no more at once than
leaves workers free for what somebody waits for.
"""

from datetime import datetime

from django.conf import settings
from django.db import connection

from jobs.models import Job

# Each list is read only as far as it takes to find one row. A row that another worker is claiming at this moment is
# skipped; should it come through all the same (SQLite has no such locks), the last condition finds it claimed.
_CLAIM = """
WITH RECURSIVE
waiting (party) AS (
    SELECT MIN(COALESCE(owner_id, 0)) FROM jobs_job WHERE state = 'queued' AND {lane}
    UNION ALL
    SELECT (
        SELECT MIN(COALESCE(owner_id, 0)) FROM jobs_job
        WHERE state = 'queued' AND {lane} AND COALESCE(owner_id, 0) > party
    ) FROM waiting WHERE party IS NOT NULL
),
turn (party) AS MATERIALIZED (
    SELECT party FROM waiting WHERE party IS NOT NULL
    ORDER BY (SELECT MAX(started) FROM jobs_job WHERE COALESCE(owner_id, 0) = party) NULLS FIRST, party
),
head (id) AS MATERIALIZED (
    SELECT (
        SELECT id FROM jobs_job
        WHERE state = 'queued' AND {lane} AND COALESCE(owner_id, 0) = party AND COALESCE(not_before, created) <= %(now)s
        ORDER BY COALESCE(not_before, created), id
        LIMIT 1 {skip_locked}
    ) FROM turn
)
UPDATE jobs_job
SET state = 'running', attempts = attempts + 1, started = %(now)s, lease_until = %(lease_until)s
WHERE id = (SELECT id FROM head WHERE id IS NOT NULL LIMIT 1) AND state = 'queued' {limit} {hasty}
RETURNING *
"""
_FOREGROUND = {"lane": "NOT background", "limit": ""}
# Two that ask at the same moment may both come through: then there is one more for a while.
_BACKGROUND = {
    "lane": "background",
    "limit": """AND %(at_once)s > (
        SELECT COUNT(*) FROM jobs_job WHERE state = 'running' AND background AND lease_until > %(now)s
    )""",
}

# For this transaction, which is the statement.
_HASTY = "AND set_config('synchronous_commit', 'off', true) = 'off'"


def turn_claim(*, now: datetime, lease_until: datetime) -> Job | None:
    """Make the next job in turn run until ``lease_until``. None if nothing is due, or others were quicker."""
    hasty = _HASTY if connection.vendor == "postgresql" else ""
    skip_locked = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    adapted = connection.ops.adapt_datetimefield_value
    given = {
        "now": adapted(now),
        "lease_until": adapted(lease_until),
        "at_once": settings.JOBS_BACKGROUND_AT_ONCE,
    }
    for lane in (_FOREGROUND, _BACKGROUND):
        if claimed := list(Job.objects.raw(_CLAIM.format(skip_locked=skip_locked, hasty=hasty, **lane), given)):
            return claimed[0]
    return None
