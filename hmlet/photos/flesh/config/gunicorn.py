"""gunicorn's settings that are the same on every stage; its command line, or GUNICORN_CMD_ARGS, has the last word.

A worker whose master was killed goes on serving kept-alive connections for the whole graceful time-out, and holds the
port meanwhile: the next master cannot have it. Here the kernel tells it to stop.
"""

import atexit
import ctypes
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
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
_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""
_LIBC = ctypes.CDLL(None)
_GLIBC = hasattr(_LIBC, "malloc_trim")
_LARGE_BYTES = 1024 * 1024
_TRIM_EVERY_S = 2.0
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - the folder for that

_trimmed, _to_trim = 0.0, False

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
    if _GLIBC:
        # By itself it keeps a pool for each thread. What imports left goes back before it is shared.
        _LIBC.mallopt(_M_ARENA_MAX, 1)
        _LIBC.malloc_trim(0)
    metrics.folder_begin()


def child_exit(server: Any, worker: Any) -> None:
    """Called by gunicorn when a worker has ended."""
    metrics.process_ended(worker.pid)


def post_fork(server: Any, worker: Any) -> None:
    """Called by gunicorn in each new worker."""
    if sys.platform != "linux":
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != server.pid:
        # It died before the kernel was asked.
        sys.exit(0)


def post_request(worker: Any, request: Any, environ: dict[str, Any], answer: Any) -> None:
    """Called by gunicorn when an answer has been sent. What uploads took goes back to the system: small neighbours
    would hold it, and web would grow by the uploads that its threads have seen. Not after each, for the next one has to
    get its memory page by page, which takes as long as parsing it."""
    global _trimmed, _to_trim
    length = environ.get("CONTENT_LENGTH") or "0"
    _to_trim = _to_trim or (_GLIBC and length.isdecimal() and int(length) > _LARGE_BYTES)
    # Or after a later one, whatever that was: probes come all the time.
    if _to_trim and time.monotonic() - _trimmed > _TRIM_EVERY_S:
        _trimmed, _to_trim = time.monotonic(), False
        _LIBC.malloc_trim(0)
