"""helm: how it is called, by its version, and where it keeps what it needs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pl import proc

_RENDERS_WITHIN_S = 60.0  # it takes 0.1 s

LABELS = {"managed-by": "pl"}
"""On the revisions of releases that the toolkit made: others in the namespace are not ours to remove."""


@dataclass(frozen=True, kw_only=True)
class Helm:
    """The program, for one cluster and one namespace.

    ``version`` is that of tools.toml ("4.3.1"). ``home`` is where its cache and settings are, which are not the
    user's: their plugins and defaults must not change what a deploy does.
    """

    program: Path
    version: str
    kubeconfig: Path
    namespace: str
    home: Path

    def render(self, release: str, chart: Path, values: str, *, kube_version: str, is_upgrade: bool) -> proc.Result:
        """Render a chart; touches no cluster. A failure is told by the status."""
        words: list[str | Path] = ["template", release, chart, "--kube-version", kube_version, "--values", "-"]
        if is_upgrade:
            words.append("--is-upgrade")
        return proc.run(
            self._argv(words), env=self._variables(), input=values, check=False, timeout_s=_RENDERS_WITHIN_S
        )

    def start_upgrade(
        self, release: str, chart: Path, values: str, *, timeout_s: float, skips_hooks: bool = False
    ) -> proc.Running:
        """Install or upgrade a release; when that fails or is interrupted, helm takes it back."""
        words = self.upgrade_words(release, chart, timeout_s=timeout_s, skips_hooks=skips_hooks)
        return proc.start_tied(self._argv(words), env=self._variables(), input=values)

    def upgrade_words(
        self, release: str, chart: Path, *, timeout_s: float, skips_hooks: bool = False
    ) -> list[str | Path]:
        words: list[str | Path] = ["upgrade", release, chart, "--install", "--values", "-", *self._labels()]
        words += ["--rollback-on-failure"] if self._major >= 4 else ["--atomic"]
        words += ["--no-hooks"] if skips_hooks else []
        return [*words, *self._waiting(timeout_s)]

    def start_rollback(self, release: str, revision: int, *, timeout_s: float) -> proc.Running:
        words = ["rollback", release, str(revision), *self._waiting(timeout_s)]
        return proc.start_tied(self._argv(words), env=self._variables())

    def start_uninstall(self, release: str, *, timeout_s: float) -> proc.Running:
        """Remove a release. The volumes that StatefulSets claimed stay."""
        words = ["uninstall", release, "--ignore-not-found", "--wait", "--timeout", _seconds(timeout_s)]
        return proc.start_tied(self._argv(words), env=self._variables())

    @property
    def _major(self) -> int:
        return int(self.version.removeprefix("v").split(".")[0])

    def _waiting(self, timeout_s: float) -> list[str]:
        words = ["--wait", "--timeout", _seconds(timeout_s)]
        if self._major >= 4:
            # A plain apply stops at a field that somebody changed by hand, and so would the way back.
            words += ["--server-side=true", "--force-conflicts"]
        return words

    def _labels(self) -> list[str]:
        return ["--labels", ",".join(f"{key}={value}" for key, value in LABELS.items())]

    def _argv(self, words: Sequence[str | Path]) -> list[str | Path]:
        return [self.program, *words, "--namespace", self.namespace]

    def _variables(self) -> Mapping[str, str]:
        """The caller's, for the sake of programs that fetch credentials, less what would redirect helm."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
        home = {f"HELM_{part.upper()}_HOME": str(self.home / part) for part in ("cache", "config", "data")}
        return {**kept, **home, "KUBECONFIG": str(self.kubeconfig)}


def values_text(values: Mapping[str, object]) -> str:
    """Values as helm reads them. JSON is YAML, and leaves no doubt which texts are texts."""
    return json.dumps(values, sort_keys=True)


def _seconds(timeout_s: float) -> str:
    return f"{max(1, round(timeout_s))}s"
