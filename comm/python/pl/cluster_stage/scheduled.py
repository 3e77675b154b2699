"""What a CronJob does, done now: in a pod made as it says, with its rights and its limits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from pl.cluster.api import Api
from pl.cluster_stage.one_pod import run_pod
from pl.errors import StageDown


def run_scheduled(
    api: Api, namespace: str, cron_job: str, arguments: Sequence[str], *, on_line: Callable[[str], None]
) -> int:
    """Run a CronJob's pod with more arguments. Its lines and its exit status. Raises StageDown, PodFailed."""
    found = api.get(api.path_of(("batch/v1", "CronJob"), namespace=namespace, name=cron_job))
    if found is None:
        raise StageDown(f"there is no CronJob {cron_job} in the namespace {namespace}", why="it was not deployed")
    template = copy.deepcopy(found["spec"]["jobTemplate"]["spec"]["template"])
    container = template["spec"]["containers"][0]
    container["command"] = [*container["command"], *arguments]
    # Nobody else's: a Job of the CronJob does not adopt it.
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "generateName": f"{cron_job}-now-"},
        "spec": template["spec"],
    }
    return run_pod(api, namespace, pod, what=cron_job, on_line=on_line)
