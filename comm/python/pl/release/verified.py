"""Which objects were found to be as they should: one of the same version need not be asked about again.

A resourceVersion moves with every write to an object, whoever writes. So one that is as it was when a dry run would
have changed nothing has not drifted, and a deploy without changes costs a list for each kind instead of two requests
for each object.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from pl.cluster.api import Object
from pl.digest import text_digest
from pl.files import write_whole

_KEPT = 1000


class Verified:
    """``file`` may be thrown away at any time. ``mark`` is what else a dry run depends on: the server's version."""

    def __init__(self, file: Path, *, mark: str) -> None:
        self._file = file
        self._mark = mark
        self._known = self._read()
        self._met: dict[str, str] = {}
        self._lock = threading.Lock()

    def holds(self, live: Object, wanted: Object) -> bool:
        """Whether this very version of an object was found to be as wanted."""
        uid, state = live["metadata"]["uid"], self._state(live, wanted)
        if self._known.get(uid) != state:
            return False
        with self._lock:
            self._met[uid] = state
        return True

    def note(self, live: Object, wanted: Object) -> None:
        """Remember that it is as wanted, and that nobody added anything."""
        with self._lock:
            self._met[live["metadata"]["uid"]] = self._state(live, wanted)

    def save(self) -> None:
        """Keep what was met, and of what was not (it is gone, or this was about some releases only) the latest."""
        if all(self._known.get(uid) == state for uid, state in self._met.items()):
            return
        kept = {**{uid: state for uid, state in self._known.items() if uid not in self._met}, **self._met}
        latest = dict(list(kept.items())[-_KEPT:])
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._file, json.dumps({"mark": self._mark, "objects": latest}))

    def _state(self, live: Object, wanted: Object) -> str:
        digest = text_digest(json.dumps(wanted, sort_keys=True, default=str))
        return f"{live['metadata']['resourceVersion']} {digest}"

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            return dict(content["objects"]) if content["mark"] == self._mark else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}
