"""The registry beside a kind cluster: a container of its own on the cluster's network, with a volume that outlives it.

This machine pushes to ``127.0.0.1:PORT``, and the cluster's nodes pull what is named so from the container itself.
"""

from __future__ import annotations

import http.client
import threading
import time

from pl.cluster.engine import Container, Engine, name_of, published_ports, runs
from pl.cluster.kind_network import KindNetwork
from pl.errors import CommandFailed, Interrupted, ServerFailed

INNER_PORT = 5000
_DATA = "/var/lib/registry"
_CERTS = "/etc/containerd/certs.d"
_POLL_S = 0.05
_READY_WITHIN_S = 60.0
_ANSWER_TIMEOUT_S = 5.0


class LocalRegistry:
    """The registry of one kind cluster."""

    def __init__(self, engine: Engine, network: KindNetwork, *, image: str, port: int) -> None:
        self._engine = engine
        self._network = network
        self._image = image
        self.port = port
        self.name = f"{network.name}-registry"
        self.volume = self.name

    def container(self) -> Container | None:
        return self._engine.inspect("container", self.name)

    def fits(self, container: Container) -> bool:
        """Whether the container is what would be made now; its volume goes over to the next one if it is not."""
        network = (container["NetworkSettings"]["Networks"] or {}).get(self._network.name) or {}
        address = (network.get("IPAMConfig") or {}).get("IPv4Address")
        return (
            container["Config"]["Image"] == self._image
            and published_ports(container) == (self.port,)
            and address == self._network.registry_address()
        )

    def make(self) -> None:
        """Raises CommandFailed."""
        self._engine.run(
            *("run", "--detach", "--name", self.name, "--restart", "unless-stopped"),
            *("--network", self._network.name, "--ip", self._network.registry_address()),
            *("--label", f"plasma.cluster={self._network.name}"),
            *("--publish", f"127.0.0.1:{self.port}:{INNER_PORT}", "--volume", f"{self.volume}:{_DATA}"),
            *("--env", "OTEL_TRACES_EXPORTER=none"),  # version 3 sends traces to nobody, and logs that nobody took them
            self._image,
        )

    def start(self) -> None:
        self._engine.run("start", self.name)

    def remove(self, *, with_data: bool) -> None:
        """Does nothing where there is nothing."""
        if self.container():
            self._engine.run("rm", "--force", self.name)
        if with_data and self._engine.inspect("volume", self.volume):
            self._engine.run("volume", "rm", self.volume)

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_TIMEOUT_S)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait(self, interrupted: threading.Event) -> None:
        """Until it answers. Raises ServerFailed with the end of its log, Interrupted."""
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self.answers():
            if interrupted.is_set():
                raise Interrupted("the registry was not waited for")
            container = self.container()
            if time.monotonic() > deadline or container is None or not runs(container):
                log = self._engine.run("logs", "--tail", "15", self.name, check=False)
                raise ServerFailed(
                    self.name, "does not answer", log.stdout + log.stderr, hint=f"docker logs {self.name}"
                )
            time.sleep(_POLL_S)

    def pull_rule(self) -> str:
        """What containerd on a node is to know, for images named by ``127.0.0.1:PORT``."""
        host = f"http://{self._network.registry_address()}:{INNER_PORT}"
        return f'server = "{host}"\n\n[host."{host}"]\n  capabilities = ["pull", "resolve"]\n'

    def teach(self, node: Container) -> None:
        """Give a node the rule; containerd reads it at the next pull. Raises CommandFailed."""
        folder = f"{_CERTS}/127.0.0.1:{self.port}"
        script = 'mkdir -p "$1" && cat > "$1/.new" && mv "$1/.new" "$1/hosts.toml"'
        try:
            self._engine.run(
                "exec", "--interactive", name_of(node), "sh", "-c", script, "sh", folder, input=self.pull_rule()
            )
        except CommandFailed as error:
            raise ServerFailed(
                name_of(node), "could not be told of the registry", error.output, hint=f"docker logs {name_of(node)}"
            ) from None
