"""gunicorn's settings that are the same on every stage; its command line, or GUNICORN_CMD_ARGS, has the last word.

A worker whose master was killed goes on serving kept-alive connections for the whole graceful time-out, and holds the
port meanwhile: the next master cannot have it. Here the kernel tells it to stop.
"""

import atexit
import contextlib
import ctypes
import importlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from ops.logs import IdsFilter, JsonFormatter

# The library looks for it when it is imported. A reload keeps the one that there is.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="hmlet-metrics-")
    atexit.register(shutil.rmtree, os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)

metrics = importlib.import_module("ops.metrics")

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of glibc's malloc.h."""
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - the folder for that

# A mistake in them ends the master here. When it ends a worker, gunicorn starts another one, for ever.
settings = importlib.import_module("config.settings")

bind = "0.0.0.0:8000"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4
worker_class = "gthread"
timeout = 60
graceful_timeout = 30
keepalive = 15
accesslog = "-"
control_socket_disable = True
# Nobody's word on the scheme is taken here: ops.forwarded knows whom to believe.
forwarded_allow_ips = ""
# Workers show by touching files that they live; on a busy disk that takes longer than the time-out.
worker_tmp_dir = str(_MEMORY_FOLDER) if _MEMORY_FOLDER.is_dir() else None


def _give_memory_back() -> None:
    """Have glibc return what an upload took to the system.

    By itself it keeps a pool for each thread, and puts what is as large as something that it has freed before into one
    of them, where a small neighbour holds it: web grew by the size of the uploads that its threads had seen.
    """
    with contextlib.suppress(AttributeError):  # another libc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, 256 * 1024)
        mallopt(_M_TRIM_THRESHOLD, 1024 * 1024)


class JsonLogger(Logger):  # type: ignore[misc]
    """gunicorn's lines, its access log included, in the platform's own shape."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            for handler in logger.handlers:
                handler.setFormatter(JsonFormatter())
                handler.addFilter(IdsFilter())


if settings.LOG_FORMAT == "json":
    logger_class = JsonLogger


def on_starting(server: Any) -> None:
    """Called by gunicorn once, before the first worker."""
    _give_memory_back()
    metrics.folder_begin()


def child_exit(server: Any, worker: Any) -> None:
    """Called by gunicorn when a worker has ended."""
    metrics.process_ended(worker.pid)


def post_fork(server: Any, worker: Any) -> None:
    """Called by gunicorn in each new worker."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != server.pid:
        # It died before the kernel was asked.
        sys.exit(0)
