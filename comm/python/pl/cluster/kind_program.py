"""kind itself, run to its end for one cluster. The only place that starts it."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

from pl import proc
from pl.cluster.engine import Container, Engine, has_ended, name_of
from pl.cluster.state import ClusterState
from pl.errors import CommandFailed, CommandTimedOut, Interrupted
from pl.files import write_whole

_NETWORK_VARIABLE = "KIND_EXPERIMENTAL_DOCKER_NETWORK"
_CREATE_TIMEOUT_S = 900.0
_POLL_S = 0.25
_NOT_BOOTED = "could not find a log line that matches"
"""What kind says of a node that did not come up within 30 s, which cannot be set, and of one that ended instead."""
_STYLE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|M)|\r")
"""How systemd colours and overwrites what it says to a terminal."""


class KindProgram:
    """Makes the cluster whose state is ``state``. ``interrupted`` ends what runs."""

    def __init__(self, path: Path, cluster: str, state: ClusterState, interrupted: threading.Event) -> None:
        self._path = path
        self._cluster = cluster
        self._state = state
        self._interrupted = interrupted

    @property
    def log(self) -> Path:
        """What kind said when the cluster was made last, and what nodes said that it could not make."""
        return self._state.log / "kind.log"

    def begin_log(self) -> None:
        """Forget what was said before."""
        write_whole(self.log, "")

    def create(self, config: Path, image: str) -> proc.Result:
        """Try to make the cluster. Where that fails, the nodes are left. Raises Interrupted, CommandTimedOut."""
        return self._run(
            *("create", "cluster", "--retain", "--name", self._cluster, "--image", image),
            *("--config", str(config), "--kubeconfig", str(self._state.kubeconfig)),
        )

    def export_kubeconfig(self) -> None:
        """Write the kubeconfig anew. Raises CommandFailed."""
        result = self._run("export", "kubeconfig", "--name", self._cluster, "--kubeconfig", str(self._state.kubeconfig))
        if result.status != 0:
            raise CommandFailed(["kind export kubeconfig"], result.status, result.stderr)

    def add_to_log(self, text: str) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(text)

    def _run(self, *argv: str) -> proc.Result:
        """It dies with this process: nobody else makes anything while the next one cleans up."""
        env = {**os.environ, _NETWORK_VARIABLE: self._cluster, "KUBECONFIG": str(self._state.kubeconfig)}
        running = proc.start_tied([self._path, *argv], env=env)
        try:
            result = self._waited_for(running)
        except BaseException:
            running.kill()
            raise
        self.add_to_log(f"{result.stdout}{result.stderr}")
        return result

    def _waited_for(self, running: proc.Running) -> proc.Result:
        deadline = time.monotonic() + _CREATE_TIMEOUT_S
        while (result := running.wait(_POLL_S)) is None:
            if self._interrupted.is_set():
                raise Interrupted("kind was interrupted")
            if time.monotonic() > deadline:
                raise CommandTimedOut(["kind"], _CREATE_TIMEOUT_S)
        return result


def boots_still(result: proc.Result, nodes: tuple[Container, ...]) -> bool:
    """Whether kind gave up on nodes that were only slow: on a machine that reads their image for the first time, or has
    much else to do. A second try finds the image read."""
    return _NOT_BOOTED in result.stderr and bool(nodes) and not any(has_ended(node) for node in nodes)


def last_words(engine: Engine, nodes: tuple[Container, ...], *, lines: int) -> str:
    """What each node wrote last while it booted; kind itself does not say why one did not come up."""
    parts = []
    for node in nodes:
        said = engine.run("logs", "--tail", str(lines), name_of(node), check=False)
        text = _STYLE.sub("", f"{said.stdout}{said.stderr}")
        parts.append(f"the last of {name_of(node)}, which {_condition(node)}:\n{text}")
    return "\n".join(parts)


def _condition(node: Container) -> str:
    state = node["State"]
    return f"had ended with status {state['ExitCode']}" if has_ended(node) else f"was {state['Status']}"
