"""The Docker network of one kind cluster, on which the registry has an address that no node can ever be given.

Engines give out addresses in the order in which containers start. A node that comes back under another address is dead:
its certificates and its etcd know the old one. So nodes are alone in the range that addresses are given out from.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from pl.cluster.engine import Engine
from pl.errors import CommandFailed, ServerFailed

_TRIES = 5


class KindNetwork:
    """The network called as the cluster is."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    def exists(self) -> bool:
        return self._found() is not None

    def registry_address(self) -> str:
        """The address that is kept for the registry. Raises ServerFailed."""
        subnet = self._subnet()
        if subnet is None:
            raise ServerFailed(
                f"the network {self.name}",
                "was not made by plasma",
                "it keeps no address for the registry, and nodes that come back may find theirs taken",
                hint="destroy the stage, then bootstrap it",
            )
        # The last one but the broadcast's: in the half that is not given out.
        return str(subnet.broadcast_address - 1)

    def ensure(self) -> None:
        """Have the network; one that was not made to its end is made anew. Raises CommandFailed."""
        found = self._found()
        if found is not None and (self._subnet() is not None or found.get("Containers")):
            return
        self.remove()
        self._make()

    def _subnet(self) -> ipaddress.IPv4Network | None:
        """Where addresses are given out from a part alone; None where there is no such network."""
        for config in (self._found() or {}).get("IPAM", {}).get("Config") or ():
            if config.get("IPRange"):
                return ipaddress.IPv4Network(config["Subnet"])
        return None

    def _make(self) -> None:
        """With a subnet that the engine finds free."""
        for last in [False] * (_TRIES - 1) + [True]:
            # The engine knows which subnets are free, and gives fixed addresses in those alone that were asked for.
            self._engine.run("network", "create", self.name)
            config = (self._found() or {})["IPAM"]["Config"][0]
            self.remove()
            subnet = ipaddress.IPv4Network(config["Subnet"])
            given_out = next(subnet.subnets(prefixlen_diff=1))
            try:
                self._engine.run(
                    *("network", "create", "--subnet", str(subnet), "--ip-range", str(given_out)),
                    *("--label", f"plasma.cluster={self.name}", self.name),
                )
            except CommandFailed:
                # Somebody else was faster.
                if last:
                    raise
            else:
                return

    def remove(self) -> None:
        """Does nothing where there is none. Raises ServerFailed where it is used."""
        found = self._found()
        if found is None:
            return
        others = sorted(str(item["Name"]) for item in (found.get("Containers") or {}).values())
        if others:
            raise ServerFailed(
                f"the network {self.name}",
                "cannot be removed",
                f"it is used by {', '.join(others)}",
                hint="end that, then repeat",
            )
        self._engine.run("network", "rm", self.name)

    def _found(self) -> dict[str, Any] | None:
        return self._engine.inspect("network", self.name)
