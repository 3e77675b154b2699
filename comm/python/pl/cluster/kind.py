"""A stage's own kind cluster on this machine: made, started again, found in order, destroyed.

How far its making came is in ``kind.json``, written before kind is started and after the cluster worked: a cluster that
was not made to its end is never taken for one.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from pl import secrets
from pl.cluster import identity, kind_config, kind_record
from pl.cluster.api import Api
from pl.cluster.engine import Container, Engine, name_of, published_ports, runs
from pl.cluster.kind_config import KindConfig
from pl.cluster.kind_network import KindNetwork
from pl.cluster.kind_program import KindProgram, boots_still, last_words
from pl.cluster.kind_record import KindRecord
from pl.cluster.local_registry import LocalRegistry
from pl.cluster.readiness import moment, why_not_ready
from pl.cluster.state import ClusterState
from pl.cluster_env import KindEnv
from pl.digest import text_digest
from pl.env import load, ports_file
from pl.errors import (
    ApiRefused,
    ClusterAway,
    CommandFailed,
    Interrupted,
    KubeconfigInvalid,
    PortTaken,
    ServerFailed,
    StageDown,
    StateInvalid,
)
from pl.files import write_whole
from pl.ports import choose_ports, holder_of, is_free
from pl.steps import Progress, Step, run_steps

_CLUSTER_LABEL = "io.x-k8s.kind.cluster"
_READY_WITHIN_S = 300.0
_TRIES = 3
_POLL_S = 0.25
_PORT_WORDS = ("port is already allocated", "address already in use", "ports are not available")


class KindCluster:
    """The cluster of one stage. ``say`` tells the user one line."""

    def __init__(self, env: KindEnv, say: Callable[[str], None], *, engine: Engine | None = None) -> None:
        self.env = env
        self.state = ClusterState(env.state)
        self._say = say
        self._engine = engine or Engine()
        self._interrupted = threading.Event()

    # -- what changes it

    def bootstrap(self, progress: Progress, *, new_ports: bool = False) -> bool:
        """Have the cluster and its registry up and working. Returns whether anything had to be done.

        Raises PortTaken, EngineAway, ToolMissing, KindConfigInvalid, ClusterMistaken, StepsFailed.
        """
        with self._changing():
            prepared = self._prepare_state(new_ports=new_ports)
            steps = self._steps()
            if steps:
                run_steps(steps, progress, interrupted=self._interrupted)
            return prepared or bool(steps)

    def destroy(self) -> bool:
        """Remove cluster, registry, its volume, the network and the state. Returns whether there was anything."""
        if not self.exists():
            return False
        self.state.check_removable()
        with self._changing(check=False):
            self._remove_nodes(self._nodes())
            self._registry().remove(with_data=True)
            self._network().remove()
            self.state.remove()
        return True

    # -- what looks at it

    def connect(self) -> Api:
        """The cluster's API, after a look at whether it is the right cluster.

        Raises StageDown, ClusterMistaken, ClusterAway.
        """
        self.state.check()
        nodes, record = self._nodes(), self._record()
        if not nodes or record is None or record.phase != "made":
            raise StageDown(f"the stage {self.env.stage} has no cluster", hint=self.env.command("bootstrap"))
        stopped = [name_of(node) for node in nodes if not runs(node)]
        if stopped:
            raise StageDown(
                f"the cluster of the stage {self.env.stage} does not run",
                why=f"stopped: {', '.join(stopped)}",
                hint=f"{self.env.command('bootstrap')} starts it again",
            )
        try:
            api = Api.of(self.state.kubeconfig)
        except KubeconfigInvalid as error:
            raise StageDown(
                error.what,
                why="it leads to the stage's cluster",
                hint=f"{self.env.command('bootstrap')} makes it again",
            ) from None
        identity.check(api, self.state.identity)
        return api

    def exists(self) -> bool:
        """Whether there is anything that ``destroy`` would remove."""
        return os.path.lexists(self.state.folder) or bool(self.what_dies())

    def what_dies(self) -> list[str]:
        """What ``destroy`` would remove, a line each."""
        registry = self._registry()
        found = [
            f"the container {name_of(node)}: a node of the cluster {self.env.cluster}, and every volume in it"
            for node in self._nodes()
        ]
        if registry.container():
            found.append(f"the container {registry.name}: the cluster's registry")
        if self._engine.inspect("volume", registry.volume):
            found.append(f"the volume {registry.volume}: the images that were pushed there")
        if self._network().exists():
            found.append(f"the network {self.env.cluster}")
        if os.path.lexists(self.state.folder):
            found.append(f"the directory {self.state.folder}: kubeconfig, generated secrets and ports")
        return found

    # -- parts

    @contextlib.contextmanager
    def _changing(self, *, check: bool = True) -> Iterator[None]:
        if check:
            self.state.check()
        goes_on = f"{self.env.command('bootstrap')} makes it whole, {self.env.command('destroy')} removes it"
        with self.state.changing(self._say, goes_on=goes_on):
            yield

    def _prepare_state(self, *, new_ports: bool) -> bool:
        """The directory, the secrets and the ports. Returns whether any was missing."""
        new = not self.state.exists()
        self.state.create()
        made = secrets.provide(self.env)
        first = not ports_file(self.env.state).exists()
        if first or new_ports:
            self._choose_ports(again=new_ports)
        return new or bool(made) or first or new_ports

    def _choose_ports(self, *, again: bool) -> None:
        """What a node publishes stays: Docker fixes it when the container is made, and the data are in there."""
        nodes = self._nodes()
        fixed = {port for node in nodes for port in published_ports(node)}
        for node in nodes:
            if not runs(node):
                self._must_be_free(published_ports(node), f"the node {name_of(node)}")
        registry = self._registry().container()
        if registry is not None and runs(registry):
            fixed.update(published_ports(registry))
        keep = [name for name in self.env.chosen_ports() if getattr(self.env, name) in fixed]
        choose_ports(self.env, again=again, keep=keep)
        env = load(
            self.env.checkout,
            project=self.env.root.name,
            app=self.env.app,
            stage=self.env.stage,
            instance=self.env.instance,
        )
        self.env = cast(KindEnv, env)

    def _registry(self) -> LocalRegistry:
        env = self.env
        return LocalRegistry(self._engine, self._network(), image=env.registry_image, port=env.registry_port)

    def _network(self) -> KindNetwork:
        return KindNetwork(self._engine, self.env.cluster)

    # -- what is to be done

    def _steps(self) -> list[Step]:
        """What has to be done, nothing where all is well."""
        config = kind_config.rendered(self.env.kind_config, self.env.exports())
        nodes, record = self._nodes(), self._record()
        self._must_not_be_unknown(nodes, record)
        self._network().ensure()
        if nodes and record is not None and record.phase == "made":
            steps = self._kept_steps(nodes, record, config)
        else:
            steps = [self._making_step(nodes, record, config)]
        steps += self._registry_steps()
        begun = {step.name for step in steps}
        if begun & {"cluster", "registry"} or self._untaught(nodes, record):
            needs = tuple(begun & {"cluster", "registry"})
            steps.append(Step(name="pulls from the registry", run=self._teach, needs=needs))
        return steps

    def _making_step(self, nodes: Sequence[Container], record: KindRecord | None, config: KindConfig) -> Step:
        kind = self._program()
        if nodes:
            self._say("the cluster was not made to its end: it is made anew")
        else:
            self._must_be_free(config.host_ports, self.env.kind_config.name)
            if record is not None and record.phase == "made":
                self._say("the cluster's containers are gone, and what was stored in them: it is made anew")
        return Step(name="cluster", run=lambda: self._make(kind, nodes, config))

    def _kept_steps(self, nodes: Sequence[Container], record: KindRecord, config: KindConfig) -> list[Step]:
        gone = sorted(set(record.nodes) - {name_of(node) for node in nodes})
        if gone:
            raise ServerFailed(
                f"the cluster {self.env.cluster}",
                f"has lost nodes: {', '.join(gone)}",
                "what was stored on them is lost",
                hint=f"{self.env.command('destroy')}, then {self.env.command('bootstrap')}",
            )
        if record.made_of != self._made_of(config):
            self._say(
                f"{self.env.kind_config.name} or the node image changed since the cluster was made: "
                f"that counts after {self.env.command('destroy')} and {self.env.command('bootstrap')}"
            )
        self._keep_kubeconfig()
        stopped = [node for node in nodes if not runs(node)]
        if stopped:
            return [Step(name="cluster", run=lambda: self._start(stopped))]
        if self._why_not_ready():
            return [Step(name="cluster", run=self._wait_ready)]
        return []

    def _registry_steps(self) -> list[Step]:
        registry = self._registry()
        container = registry.container()
        if container is not None and registry.fits(container) and runs(container) and registry.answers():
            return []
        if container is None or not runs(container):
            self._must_be_free((registry.port,), "the registry")

        def run() -> str:
            if container is not None and registry.fits(container):
                if not runs(container):
                    registry.start()
                registry.wait(self._interrupted)
                return "started again"
            registry.remove(with_data=False)
            self._must_be_free((registry.port,), "the registry")
            registry.make()
            registry.wait(self._interrupted)
            return f"127.0.0.1:{registry.port}"

        return [Step(name="registry", run=run)]

    # -- making and starting

    def _make(self, kind: KindProgram, left: Sequence[Container], config: KindConfig) -> str:
        """Make the cluster, after what is left of one that was not made to its end."""
        kind_record.write(self.state.record, KindRecord(phase="making"))
        self._remove_nodes(left)
        for file in (self.state.kubeconfig, self.state.identity):
            file.unlink(missing_ok=True)
        self._must_be_free(config.host_ports, self.env.kind_config.name)
        written = self.state.folder / "kind.yaml"
        write_whole(written, config.text)
        self._create(kind, written, config)
        self._wait_ready()
        nodes = tuple(name_of(node) for node in self._nodes())
        kind_record.write(self.state.record, KindRecord(phase="made", made_of=self._made_of(config), nodes=nodes))
        return self.env.cluster

    def _create(self, kind: KindProgram, written: Path, config: KindConfig) -> None:
        """Raises PortTaken where that was it, else CommandFailed, and leaves no half of a node then."""
        kind.begin_log()
        for tries_left in reversed(range(_TRIES)):
            result = kind.create(written, self.env.node_image)
            if result.status == 0:
                return
            nodes = self._nodes()
            slow, words = boots_still(result, nodes), last_words(self._engine, nodes, lines=4)
            kind.add_to_log(last_words(self._engine, nodes, lines=1000))
            self._remove_nodes(nodes)
            said = result.stderr.lower()
            if any(phrase in said for phrase in _PORT_WORDS):
                self._must_be_free(config.host_ports, self.env.kind_config.name)
            if not (slow and tries_left):
                hint = f"less {kind.log}; pl.doctor looks at the machine"
                raise CommandFailed(["kind create cluster"], result.status, f"{result.stderr}\n{words}", hint=hint)
            self._say("a node did not boot in the 30 s that kind waits for it: once more")

    def _program(self) -> KindProgram:
        # Its module takes longer to import than it takes to find a cluster in order.
        from pl.tools.install import program

        return KindProgram(program(self.env.checkout, "kind"), self.env.cluster, self.state, self._interrupted)

    def _start(self, nodes: Sequence[Container]) -> str:
        for node in nodes:
            name = name_of(node)
            if node["State"]["Paused"]:
                self._engine.run("unpause", name)
                continue
            try:
                self._engine.run("start", name)
            except CommandFailed as error:
                if any(words in error.output.lower() for words in _PORT_WORDS):
                    self._must_be_free(published_ports(node), f"the node {name}")
                raise
        self._wait_ready()
        return "started again"

    def _teach(self) -> str:
        """Every node is told where the registry is."""
        registry, record = self._registry(), self._record()
        nodes = self._nodes()
        for node in nodes:
            registry.teach(node)
        if record is not None:
            taught = {str(node["Id"]): _digest_of(registry) for node in nodes}
            kind_record.write(self.state.record, replace(record, taught=taught))
        return ""

    def _untaught(self, nodes: Sequence[Container], record: KindRecord | None) -> bool:
        wanted = _digest_of(self._registry())
        taught = record.taught if record else {}
        return any(taught.get(str(node["Id"])) != wanted for node in nodes)

    def _wait_ready(self) -> str:
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            why = self._why_not_ready()
            if not why:
                return ""
            if self._interrupted.is_set():
                raise Interrupted("the cluster was not waited for")
            stopped = [name_of(node) for node in self._nodes() if not runs(node)]
            if stopped or time.monotonic() > deadline:
                reason = f"ended: {', '.join(stopped)}" if stopped else f"does not work: {why}"
                name = stopped[0] if stopped else f"{self.env.cluster}-control-plane"
                journal = ("journalctl", "--unit", "kubelet", "--no-pager", "--lines", "15")
                log = self._engine.run("exec", name, *journal, check=False)
                raise ServerFailed(
                    f"the cluster {self.env.cluster}",
                    reason,
                    log.stdout or log.stderr,
                    hint=f"pl.doctor looks at the machine; docker exec {name} journalctl --unit kubelet says more",
                )
            time.sleep(_POLL_S)

    def _why_not_ready(self) -> str:
        """What is missing, or nothing. Raises ClusterMistaken as soon as another cluster answers."""
        since = {name_of(node): moment(node["State"]["StartedAt"]) or datetime.now(UTC) for node in self._nodes()}
        api = Api.of(self.state.kubeconfig)
        try:
            identity.check(api, self.state.identity)
        except (ClusterAway, ApiRefused) as error:
            if isinstance(error, ClusterAway) and not error.passing:
                raise
            return error.why or error.what
        return why_not_ready(api, since)

    def _keep_kubeconfig(self) -> None:
        """A kubeconfig that was lost or damaged is asked of kind again."""
        with contextlib.suppress(KubeconfigInvalid):
            Api.of(self.state.kubeconfig)
            return
        self.state.kubeconfig.unlink(missing_ok=True)
        self._program().export_kubeconfig()

    # -- removing

    def _remove_nodes(self, nodes: Sequence[Container]) -> None:
        """With the anonymous volumes in which they keep everything."""
        if nodes:
            self._engine.run("rm", "--force", "--volumes", *(name_of(node) for node in nodes))

    # -- ports

    def _must_be_free(self, ports: Sequence[int], owner: str) -> None:
        """Raises PortTaken, with who holds it."""
        for port in ports:
            if is_free(port):
                continue
            container = self._engine.publisher_of(port)
            holder = f"the container {container}" if container else holder_of(port)
            hint = f"end that, or choose other ports: {self.env.command('bootstrap')} --new-ports"
            if owner.startswith("the node"):
                hint = (
                    f"end that, then {self.env.command('bootstrap')}; the ports of a cluster are fixed when it is made "
                    f"({self.env.command('destroy')} and bootstrap choose others, and lose what is stored in it)"
                )
            raise PortTaken(f"port {port} of {owner} is taken", why=f"by {holder}", hint=hint)

    def _must_not_be_unknown(self, nodes: Sequence[Container], record: KindRecord | None) -> None:
        if nodes and record is None:
            raise StateInvalid(
                f"a cluster {self.env.cluster} is there, and the stage's state knows nothing of it",
                why=f"the state was {self.state.folder}; what is in the cluster cannot be told from here",
                hint=f"{self.env.command('destroy')} removes it, then {self.env.command('bootstrap')}",
            )

    def _made_of(self, config: KindConfig) -> str:
        return text_digest(config.text, self.env.node_image)

    def _nodes(self) -> tuple[Container, ...]:
        return tuple(self._engine.labelled(f"{_CLUSTER_LABEL}={self.env.cluster}"))

    def _record(self) -> KindRecord | None:
        return kind_record.read(self.state.record)


def _digest_of(registry: LocalRegistry) -> str:
    """Of what a node is told of the registry."""
    return text_digest(str(registry.port), registry.pull_rule())
