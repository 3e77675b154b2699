"""helm's processes: none outlives the deploy that started it and fights with the next one.

On Linux the kernel sees to that. Elsewhere, and should it ever fail, what was started is noted in a file, and the next
deploy ends it, under the lock under which this one started it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from pl.files import write_whole
from pl.proc import Running

_NOTES = "helm-processes"
_ENDS_WITHIN_S = 10.0


@contextlib.contextmanager
def noted(folder: Path, running: Running) -> Iterator[None]:
    """While inside, the process can be found by who comes after a killed deploy."""
    note = folder / _NOTES / f"{running.pid}.json"
    try:
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(note, json.dumps({"pid": running.pid, "started": _started(running.pid)}))
        yield
    except BaseException:
        # Nobody would wait for it any more.
        running.kill()
        raise
    finally:
        note.unlink(missing_ok=True)


def end_survivors(folder: Path) -> int:
    """End what deploys that were killed have left running, and return how many that were."""
    ended = 0
    for note in sorted((folder / _NOTES).glob("*.json")):
        try:
            content = json.loads(note.read_text(encoding="utf-8"))
            ended += _end(int(content["pid"]), float(content["started"]))
        except (ValueError, KeyError, TypeError):
            pass  # a damaged note names nobody
        note.unlink(missing_ok=True)
    return ended


def _started(pid: int) -> float:
    """When a process began, which no later one of the same number shares; 0 when it has ended."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _end(pid: int, started: float) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        if not started or process.create_time() != started or process.status() == psutil.STATUS_ZOMBIE:
            return False
        process.kill()
        process.wait(_ENDS_WITHIN_S)
    except psutil.NoSuchProcess:
        return False
    return True
