"""gunicorn's settings: those that stages set by variables, and those that are the same everywhere.

A worker whose master was killed goes on serving kept-alive connections for the whole graceful time-out, and holds the
port meanwhile: the next master cannot have it. Here the kernel tells it to stop.
"""

import ctypes
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from config.environ import Environ

_PR_SET_PDEATHSIG = 1
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - the folder for that

# A mistake in them ends the master here. When it ends a worker, gunicorn starts another one, for ever.
importlib.import_module("config.settings")

env = Environ(os.environ)

bind = f"0.0.0.0:{env.integer('WEB_PORT', 8000)}"
workers = env.integer("WEB_PROCESSES", 2)
threads = env.integer("WEB_THREADS", 4)
env.check()

worker_class = "gthread"
timeout = 60
graceful_timeout = 30
keepalive = 15
accesslog = "-"
control_socket_disable = True
# Workers show by touching files that they live; on a busy disk that takes longer than the time-out.
worker_tmp_dir = str(_MEMORY_FOLDER) if _MEMORY_FOLDER.is_dir() else None


def post_fork(server: Any, worker: Any) -> None:
    """Called by gunicorn in each new worker."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != server.pid:
        # It died before the kernel was asked.
        sys.exit(0)
