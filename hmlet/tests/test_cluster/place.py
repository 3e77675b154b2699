"""The stage of this shell, driven as a user drives it, from this checkout or from a changed copy of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmlet.env_comm import HmletKindEnv
from hmlet.tests.test_host.place import Ended, copy_checkout

COMMAND_TIMEOUT_S = 600.0
_OURS = ("PL_", "HT_", "PS_", "FR_")
_INSTANCE = ("PL_INSTANCE", "PL_MIRROR")


def environment() -> dict[str, str]:
    """This process's, less the variables of the shell that it is in: commands are typed outside of one."""
    return {name: value for name, value in os.environ.items() if name in _INSTANCE or not name.startswith(_OURS)}


@dataclass(frozen=True, kw_only=True)
class Place:
    """The stage's commands, from a checkout. All checkouts of one instance have the same stage."""

    env: HmletKindEnv
    checkout: Path

    def copy(self, to: Path) -> Place:
        """A copy of the checkout, to be changed; its tools are those of the real one."""
        copied = copy_checkout(to)
        for part in ("tools", "bin", "tools.lock"):
            (copied / ".deps" / part).symlink_to(self.checkout / ".deps" / part)
        return Place(env=self.env, checkout=copied)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command of ``cluster.py``, in a process group of its own."""
        argv = [str(self.checkout / "hmlet/shell.py"), self.env.stage, "--", f"ht.{words[0]}", *words[1:]]
        return subprocess.Popen(
            argv,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str) -> Ended:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
        return Ended(status=process.returncode, out=out, err=err)

    def must(self, *words: str) -> Ended:
        ended = self.run(*words)
        assert ended.status == 0, ended.said
        return ended

    def kubectl(self, *words: str) -> str:
        argv = [str(self.checkout / ".deps/bin/kubectl"), "--namespace", self.env.namespace, *words]
        environ = {**os.environ, "KUBECONFIG": str(self.env.kubeconfig)}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects(self, kind: str, *words: str) -> list[Any]:
        found: list[Any] = json.loads(self.kubectl("get", kind, "--output", "json", *words))["items"]
        return found

    def revisions(self) -> list[str]:
        """All revisions of all releases, as helm keeps them."""
        return sorted(
            f"{secret['metadata']['name']} {secret['metadata']['labels']['status']}"
            for secret in self.objects("secrets", "--selector", "owner=helm")
        )

    def latest(self) -> dict[str, str]:
        """The status of each release's newest revision. What a killed deploy left stays below, as it was left."""
        found = [secret["metadata"]["labels"] for secret in self.objects("secrets", "--selector", "owner=helm")]
        found.sort(key=lambda labels: int(labels["version"]))
        return {labels["name"]: labels["status"] for labels in found}

    def pods(self, component: str = "") -> dict[str, int]:
        """Pods that are not on their way out, and how often their containers were started again. Those of jobs, which
        begin and end by a clock of their own, are none of them."""
        selector = ("--selector", f"app.kubernetes.io/component={component}") if component else ()
        return {
            pod["metadata"]["name"]: sum(said["restartCount"] for said in pod["status"].get("containerStatuses", ()))
            for pod in self.objects("pods", *selector)
            if "deletionTimestamp" not in pod["metadata"]
            and pod["status"]["phase"] == "Running"
            and "batch.kubernetes.io/job-name" not in pod["metadata"]["labels"]
        }

    def versions(self, kinds: Sequence[str]) -> dict[str, str]:
        """The resourceVersion of every object of some kinds: it moves with each write. A CronJob has the time written
        into it when it is due: of those it is the generation, which moves with what is wanted of them."""
        return {
            f"{found['kind']}/{found['metadata']['name']}": str(
                found["metadata"]["generation" if found["kind"] == "CronJob" else "resourceVersion"]
            )
            for found in self.objects(",".join(kinds))
        }
