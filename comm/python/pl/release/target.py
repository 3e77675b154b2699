"""Where releases go, and with what: one cluster, one namespace, and a folder for what is worth keeping."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pl.cluster.api import Api
from pl.release.helm import Helm


@dataclass(frozen=True, kw_only=True)
class Target:
    """``folder``, in the stage's state, holds renders (they may go any time), logs of failures, helm's process ids."""

    api: Api
    helm: Helm
    kube_version: str
    """The cluster's, as charts ask for it: "1.34.10"."""
    folder: Path

    @property
    def namespace(self) -> str:
        return self.helm.namespace
