"""Where objects of a kind are in an API server: ``apps/v1 Deployment`` is at ``/apis/apps/v1/.../deployments``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pl.files import write_whole

Kinds = Mapping[str, "Kind"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """``plural`` is its name in paths."""

    plural: str
    namespaced: bool


class Discovery:
    """The kinds of one cluster, asked for once and remembered in a file.

    ``ask`` returns the kinds of an API version by name, None where the server has no such version. ``mark`` tells
    clusters apart: what was remembered of another is not used.
    """

    def __init__(self, file: Path, *, mark: str, ask: Callable[[str], Kinds | None]) -> None:
        self._file = file
        self._mark = mark
        self._ask = ask
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Kind]] | None = None

    def kind(self, api_version: str, name: str) -> Kind | None:
        """None where the cluster does not know it, now that it was asked."""
        with self._lock:
            if self._known is None:
                self._known = self._remembered()
            found = self._known.get(api_version, {}).get(name)
            if found is None:
                asked = self._ask(api_version)
                if asked is not None and name in asked:
                    self._known[api_version] = dict(asked)
                    self._remember(self._known)
                    found = asked[name]
            return found

    def _remembered(self) -> dict[str, dict[str, Kind]]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            if content["mark"] != self._mark:
                return {}
            return {
                version: {
                    name: Kind(plural=str(plural), namespaced=bool(namespaced))
                    for name, (plural, namespaced) in kinds.items()
                }
                for version, kinds in content["kinds"].items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}  # asked again

    def _remember(self, known: Mapping[str, Mapping[str, Kind]]) -> None:
        kinds = {
            version: {name: (kind.plural, kind.namespaced) for name, kind in sorted(found.items())}
            for version, found in sorted(known.items())
        }
        try:
            write_whole(self._file, json.dumps({"mark": self._mark, "kinds": kinds}))
        except OSError:
            return  # a full or foreign disk costs the next command a few milliseconds


def path_of_version(api_version: str) -> str:
    """``v1`` is at ``/api/v1``, every other at ``/apis/GROUP/VERSION``."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
