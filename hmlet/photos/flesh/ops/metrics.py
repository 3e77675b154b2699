"""What Prometheus is told. Histograms are kept by each process, in files that all of a program's processes share where
PROMETHEUS_MULTIPROC_DIR names a folder; what stands in the database is read when it is asked for."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from django.db import DatabaseError, InterfaceError, connection
from prometheus_client import CollectorRegistry, Histogram, generate_latest, start_http_server
from prometheus_client.core import REGISTRY, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from ops.work import backup_age_s, compared_last, work_read

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

REQUESTS = Histogram(
    "hmlet_request_seconds",
    "Requests, from the first middleware to the answer's head.",
    ["method", "view", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
JOBS = Histogram(
    "hmlet_job_seconds",
    "Attempts at jobs. The outcome is done, failed, or lost to another worker.",
    ["kind", "outcome"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)


def folder_begin() -> None:
    """Forget what an earlier start of this program counted. Before its processes are forked."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in Path(folder).glob("*.db"):
            left.unlink()


def process_ended(pid: int) -> None:
    """What it counted goes on being told, but not what it merely showed."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def own_metrics() -> bytes:
    """Of this program's processes, in Prometheus' text format."""
    return generate_latest(_own())


def all_metrics() -> bytes:
    """The same, and what stands in the database."""
    stored = CollectorRegistry()
    stored.register(_Stored())
    return own_metrics() + generate_latest(stored)


def serve(port: int) -> None:
    """Answer for this program on a port of its own, in a thread."""
    start_http_server(port, registry=_own())


def _own() -> CollectorRegistry:
    if FOLDER_VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class _Stored(Collector):
    """What the database tells; that it tells nothing, if it does not answer."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("hmlet_database_up", "Whether the database answered this scrape.")
        try:
            work, backup_age, compared = work_read(), backup_age_s(), compared_last()
        except (DatabaseError, InterfaceError) as error:
            log.warning("metrics: the database does not answer: %s", error)
            connection.close()
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        waiting = GaugeMetricFamily("hmlet_jobs_waiting", "Jobs that wait, due or not.", labels=["kind"])
        running = GaugeMetricFamily("hmlet_jobs_running", "Jobs that run.", labels=["kind"])
        for family, counts in ((waiting, work.waiting), (running, work.running)):
            for kind, count in counts.items():
                family.add_metric([kind], count)
            yield family
        failed = GaugeMetricFamily("hmlet_jobs_failed", "Failed jobs that are kept.", labels=["kind", "reason"])
        for labels, count in work.failed.items():
            failed.add_metric(labels, count)
        yield failed
        yield GaugeMetricFamily(
            "hmlet_jobs_oldest_due_seconds", "For how long the longest-waiting job has been due.", work.oldest_due_s
        )
        age = GaugeMetricFamily(
            "hmlet_backup_age_seconds", "How old the rows of the last good backup are; nothing if there is none."
        )
        if backup_age is not None:
            age.add_metric([], backup_age)
        yield age
        found = GaugeMetricFamily(
            "hmlet_integrity_objects",
            "Objects that were not as rows say, by the last comparison; nothing if there was none.",
            labels=["problem"],
        )
        compared_age = GaugeMetricFamily(
            "hmlet_integrity_age_seconds", "For how long that comparison has been over; nothing if there was none."
        )
        if compared is not None:
            compared_age.add_metric([], compared.age_s)
            for problem, count in compared.found.items():
                found.add_metric([problem], count)
        yield found
        yield compared_age
