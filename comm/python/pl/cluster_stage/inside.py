"""Commands and shells in a pod that serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import IO

from pl import proc
from pl.cluster.api import Api, Object
from pl.cluster.platform import Inside
from pl.cluster_stage import pods
from pl.cluster_stage.kubectl import Kubectl
from pl.errors import CommandFailed, StageDown

_KINDS = {"deployment": ("apps/v1", "Deployment"), "statefulset": ("apps/v1", "StatefulSet")}
_TERMINATED = "command terminated with exit code"
# $1 is the prompt. Files that dress a shell are left out: they would put another one in its place.
_SHELL = """
if command -v bash >/dev/null; then PS1="$1:\\w\\$ " exec bash --noprofile --norc; fi
PS1="$1\\$ " exec sh
"""


def run_inside(kubectl: Kubectl, api: Api, inside: Inside, argv: Sequence[str], *, input: str = "") -> str:
    """Run a command in a ready pod and return what it printed.

    The command stands in process lists here and there: a secret goes by ``input``. Raises CommandFailed with what it
    wrote to its standard error, StageDown where no pod is ready.
    """
    pod = ready_pod(api, kubectl.namespace, inside.workload)
    done = proc.run(
        kubectl.argv("exec", "--stdin", *_into(pod, inside), *argv),
        env=kubectl.variables(),
        input=input,
        check=False,
    )
    if done.status != 0:
        raise CommandFailed(list(argv), done.status, _own_words(done.stderr) or done.stdout)
    return done.stdout


def stream_inside(
    kubectl: Kubectl,
    api: Api,
    inside: Inside,
    argv: Sequence[str],
    *,
    source: proc.Command | None = None,
    stdout: IO[bytes] | None = None,
    on_line: Callable[[str], bool],
) -> None:
    """The same over any number of bytes: what ``source`` writes goes in, and what comes out goes to ``stdout``."""
    pod = ready_pod(api, kubectl.namespace, inside.workload)
    streams = ["--stdin"] if source else []
    words = kubectl.argv("exec", *streams, *_into(pod, inside), *argv)
    command = proc.Command(argv=tuple(words), env=kubectl.variables())
    try:
        proc.flow([*([source] if source else ()), command], stdout=stdout, on_line=on_line)
    except CommandFailed as error:
        raise CommandFailed(list(argv), error.status, _own_words(error.output)) from None


def terminal(kubectl: Kubectl, api: Api, inside: Inside, argv: Sequence[str], *, prompt: str = "") -> int:
    """A shell (or one command) in a ready pod, on this terminal. Returns its exit status.

    ``prompt`` stands before the pod's name in the shell's prompt. Raises StageDown where no pod is ready.
    """
    pod = ready_pod(api, kubectl.namespace, inside.workload)
    words = list(argv) or ["sh", "-c", _SHELL, "sh", f"{prompt}{pods.short_name(pod)}"]
    streams = ["--stdin", "--tty"] if os.isatty(sys.stdin.fileno()) and os.isatty(sys.stdout.fileno()) else ["--stdin"]
    return proc.attach(kubectl.argv("exec", "--quiet", *streams, *_into(pod, inside), *words), env=kubectl.variables())


def ready_pod(api: Api, namespace: str, workload: str) -> Object:
    """The newest ready pod of a workload (``deployment/backend-web``). Raises StageDown with what keeps them."""
    kind, _, name = workload.partition("/")
    found = api.get(api.path_of(_KINDS[kind], namespace=namespace, name=name))
    if found is None:
        raise StageDown(f"there is no {workload} in the namespace {namespace}", why="it was not deployed")
    selector = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items())
    candidates = pods.list_pods(api, namespace, labels=selector)
    ready = [pod for pod in candidates if pods.is_ready(pod)]
    if not ready:
        replicas = found["spec"].get("replicas", 1)
        raise StageDown(
            f"{workload} has no pod that is ready",
            why="\n".join(f"{pods.short_name(pod)}: {pods.why_unwell(pod)}" for pod in candidates)
            or ("it is scaled to 0" if replicas == 0 else "none of its pods could be made"),
        )
    return max(ready, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def _into(pod: Object, inside: Inside) -> list[str]:
    return [str(pod["metadata"]["name"]), "--container", inside.container, "--"]


def _own_words(stderr: str) -> str:
    """What the command wrote, without the line in which kubectl says how it ended."""
    lines = stderr.rstrip().splitlines()
    return "\n".join(lines[:-1] if lines and lines[-1].startswith(_TERMINATED) else lines)
