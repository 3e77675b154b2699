"""The Celery application: ``celery -A config worker`` and ``celery -A config beat``."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import (
    after_task_publish,
    beat_init,
    celeryd_init,
    heartbeat_sent,
    setup_logging,
    task_failure,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_ready,
)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("hmlet")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery's fixup would close the database connection around every task; connections_refresh keeps those that still work.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000_000
app.autodiscover_tasks()


@setup_logging.connect
def logging_keep(**_: Any) -> None:
    """Leave logging as Django's settings made it: a receiver here stops Celery from setting up its own."""


@task_prerun.connect
def connections_refresh(**_: Any) -> None:
    """Drop database connections that broke or grew old, as Django does before a request."""
    from django.db import close_old_connections

    close_old_connections()


@task_failure.connect
def connections_judge(exception: BaseException | None = None, **_: Any) -> None:
    """Let go of one whose server takes no writes; it would be there for the next task, and still work."""
    from ops.outages import outage_of

    outage_of(exception)


@celeryd_init.connect
def metrics_begin(**_: Any) -> None:
    """In the worker's main process, before it forks."""
    from ops.metrics import folder_begin

    folder_begin()


@worker_ready.connect
def metrics_serve(**_: Any) -> None:
    """For all of the worker's processes, by its main one."""
    from django.conf import settings
    from ops.metrics import serve

    if settings.METRICS_PORT:
        serve(settings.METRICS_PORT)


@worker_process_init.connect
def worker_begin(**_: Any) -> None:
    """Pay for connections and imports before the first job rather than in it."""
    from gallery.warm import worker_warm

    worker_warm()


@task_postrun.connect
def sandbox_prepare(**_: Any) -> None:
    """Have the next sandbox wait before the next job comes."""
    from imaging.confined import stand_by

    stand_by()


@heartbeat_sent.connect
def worker_heartbeat(**_: Any) -> None:
    """Every two seconds, in the worker's main process, while it listens to the queue."""
    _heartbeat()


@beat_init.connect
def beat_heartbeat(**_: Any) -> None:
    """From now on, with each task that the queue takes: here alone, for workers publish too."""
    after_task_publish.connect(_heartbeat, weak=False)


def _heartbeat(**_: Any) -> None:
    from django.conf import settings

    if settings.HEARTBEAT_FILE:
        Path(settings.HEARTBEAT_FILE).touch()
