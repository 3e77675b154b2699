"""A process on this machine in the place of one in the cluster: telepresence, which does all of it.

It wants its traffic manager in the cluster (``telepresence helm install``, once, by an administrator), and on this
machine the right to add a network interface, for which it asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pl import proc
from pl.cluster.kubeconfig import Access
from pl.errors import CommandFailed, ToolMissing
from pl.tools.install import program

NAME = "telepresence"


@dataclass(frozen=True, kw_only=True)
class Intercept:
    """``workload`` is the name of a Deployment or StatefulSet, ``port`` is ``LOCAL:PORT`` of its Service."""

    workload: str
    container: str
    port: str


def installed(checkout: Path, mirror: str) -> Path:
    """Where it is. Raises ToolMissing, with how to get it: it is the one tool that a mirror may lack."""
    try:
        return program(checkout, NAME)
    except ToolMissing as error:
        fetch = error.hint.rpartition(": ")[2]
        if not mirror:
            raise
        raise ToolMissing(
            error.what,
            why=f"it is optional, and the mirror that PL_MIRROR names ({mirror}) need not have it",
            hint=f"add it to the mirror's tools.toml, or fetch it from its vendor: PL_MIRROR= {fetch}",
        ) from None


def commands(
    telepresence: Path, access: Access, namespace: str, intercept: Intercept, argv: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """What is run one after the other: connect, intercept with the command in the foreground, quit."""
    connect = ["connect", "--kubeconfig", str(access.file), "--context", access.context, "--namespace", namespace]
    words = ["intercept", intercept.workload, "--container", intercept.container, "--port", intercept.port]
    tool = str(telepresence)
    return [tool, *connect], [tool, *words, "--", *argv], [tool, "quit"]


def run_intercepted(
    telepresence: Path,
    access: Access,
    namespace: str,
    intercept: Intercept,
    argv: Sequence[str] = (),
    *,
    say: Callable[[str], None],
) -> int:
    """Send a workload's requests to this machine while a command (a shell) runs here with the pod's variables.

    The pod's volumes are below $TELEPRESENCE_ROOT. Returns the command's exit status; the cluster is as it was before.
    Raises CommandFailed where no connection can be made.
    """
    command = list(argv) or [os.environ.get("SHELL", "/bin/sh")]
    connect, run, end = commands(telepresence, access, namespace, intercept, command)
    status = proc.attach(connect)
    if status != 0:
        install = f"{telepresence} helm install --kubeconfig {access.file} --context {access.context}"
        raise CommandFailed(connect, status, "", hint=f"where the cluster has no traffic manager yet: {install}")
    try:
        say(f"requests to {intercept.workload} come to this machine (port {intercept.port}) until the command ends")
        return proc.attach(run)
    finally:
        proc.attach(end)
