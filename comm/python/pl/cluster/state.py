"""A cluster stage's private directory, beside what every stage keeps in its own (``pl.stage_state``).

::

    kubeconfig         the stage's own: one context, one user
    identity.json      which cluster that was on first contact
    discovery.json     which kinds the cluster has
    kind.json          how far the making of a kind cluster came, and what it was made of
    kind.yaml          what kind was told
    log/               what programs said that failed
    cache/             what can be made again
    releases/          renders, logs of failures, and helm's process ids
    proven             what the smoke test passed with last
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pl.files import write_whole
from pl.stage_state import StateDirectory

_PROVEN = "proven"


class ClusterState(StateDirectory):
    """The directory of one cluster stage of one instance."""

    parts: ClassVar[tuple[str, ...]] = ("log", "cache", "releases")
    files: ClassVar[tuple[str, ...]] = (
        "kubeconfig",
        "kubeconfig.lock",  # kind's, while it writes
        "identity.json",
        "discovery.json",
        "kind.json",
        "kind.yaml",
        _PROVEN,
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kubeconfig = folder / "kubeconfig"
        self.record = folder / "kind.json"
        self.identity = folder / "identity.json"
        self.log = folder / "log"
        self.cache = folder / "cache"
        self.releases = folder / "releases"

    def proven(self) -> str:
        """What the smoke test passed with last; empty when it never did."""
        try:
            return (self.folder / _PROVEN).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def prove(self, what: str) -> None:
        write_whole(self.folder / _PROVEN, what)
