"""Runs one job: claims it, keeps its lease while it works, ends it."""

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection
from ops.ids import ids_of_job
from ops.metrics import JOBS

from jobs.errors import JobError
from jobs.handlers import Handler, handler_of
from jobs.models import Job
from jobs.selectors import background_next, job_waits
from jobs.services import LEASE, job_claim, job_complete, job_fail, job_remind, job_renew

log = logging.getLogger(__name__)

DONE = "done"


def job_run(job_id: uuid.UUID) -> bool:
    """Answer a message: do the job whose turn it is. True if this call ended it, in whatever way.

    ``job_id`` is the job that the message was published for. If another was in turn and that one still waits, the
    message is put back first, so that as many are in the queue as there are jobs.
    """
    job = job_claim()
    if job is None:
        return False
    if job.id != job_id and job_waits(job_id=job_id):
        job_remind(job_id)
    with ids_of_job(job.id, request_id=job.request_id):
        ended = _done(job)
    if job.background and (following := background_next()):
        # Its message may have come while as many were at work as may be.
        job_remind(following)
    return ended


def _done(job: Job) -> bool:
    began = time.perf_counter()
    ended, outcome = _attempted(job)
    log.info("%s, attempt %s: %s", job.kind, job.attempts, outcome if ended else "another worker has it")
    counted = ("done" if outcome == DONE else "failed") if ended else "lost"
    JOBS.labels(job.kind, counted).observe(time.perf_counter() - began)
    return ended


def _attempted(job: Job) -> tuple[bool, str]:
    """Whether this attempt ended as this worker's, and what came of it: ``done``, or why it failed."""
    try:
        with _lease_kept(job):
            write = _handler(job).work(job)
        ended = job_complete(job, write=write)
    except JobError as error:
        failure = error
    except SoftTimeLimitExceeded:
        failure = JobError("timeout", "The work took longer than it may.", retryable=True)
    except Exception:
        log.exception("%s, attempt %s broke", job.kind, job.attempts)
        failure = JobError("internal", "Something broke on our side while working on this.", retryable=True)
    else:
        return ended, DONE
    return job_fail(job, error=failure), failure.code


def _handler(job: Job) -> Handler:
    try:
        return handler_of(job.kind)
    except KeyError:
        message = "The worker that took this is of an older version; one of the new version does it."
        raise JobError("worker_outdated", message, outage=True) from None


@contextmanager
def _lease_kept(job: Job) -> Iterator[None]:
    """Renew the lease from a thread, so that it is short (a killed worker is noticed soon) and long work keeps it."""
    over = threading.Event()

    def renew() -> None:
        try:
            while not over.wait(LEASE.total_seconds() / 3):
                try:
                    if not job_renew(job):
                        return
                except Error:
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name=f"lease of {job.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        # Not waited for: what it may still do to a claim that has ended is nothing.
        over.set()
