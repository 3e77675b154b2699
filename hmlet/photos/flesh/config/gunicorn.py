"""gunicorn's settings that no command line can hold.

A worker whose master was killed goes on serving kept-alive connections for the whole graceful time-out, and holds the
port meanwhile: the next master cannot have it. Here the kernel tells it to stop.
"""

import ctypes
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def post_fork(server: Any, worker: Any) -> None:
    """Called by gunicorn in each new worker."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != server.pid:
        # It died before the kernel was asked.
        sys.exit(0)
