"""A cluster stage's private directory, beside what every stage keeps in its own (``pl.stage_state``).

::

    kubeconfig         the stage's own: one context, one user
    identity.json      which cluster that was on first contact
    discovery.json     which kinds the cluster has
    kind.json          how far the making of a kind cluster came, and what it was made of
    kind.yaml          what kind was told
    log/               what programs said that failed
    cache/             what can be made again
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pl.stage_state import StateDirectory


class ClusterState(StateDirectory):
    """The directory of one cluster stage of one instance."""

    parts: ClassVar[tuple[str, ...]] = ("log", "cache")
    files: ClassVar[tuple[str, ...]] = (
        "kubeconfig",
        "kubeconfig.lock",  # kind's, while it writes
        "identity.json",
        "discovery.json",
        "kind.json",
        "kind.yaml",
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kubeconfig = folder / "kubeconfig"
        self.record = folder / "kind.json"
        self.identity = folder / "identity.json"
        self.log = folder / "log"
        self.cache = folder / "cache"
