"""kubectl, for what the API's streams are too much work for: commands in pods, and forwarded ports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """The program, for one cluster and one namespace."""

    program: Path
    kubeconfig: Path
    namespace: str

    def argv(self, *words: str) -> list[str]:
        return [str(self.program), "--namespace", self.namespace, *words]

    def variables(self) -> Mapping[str, str]:
        """The caller's, for the sake of programs that fetch credentials, less what would redirect kubectl."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "KUBERNETES_"))}
        return {**kept, "KUBECONFIG": str(self.kubeconfig)}
