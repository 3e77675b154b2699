"""The way into a cluster that is elsewhere: its load balancer, which takes minutes to come and to be known by name."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable

from pl.cluster.api import Api
from pl.cluster.hosts import addresses_of
from pl.errors import StageDown

_COMES_WITHIN_S = 300.0
_LOOK_EVERY_S = 2.0
_ANSWERS_WITHIN_S = 3.0


def addresses_of_unknown(names: Iterable[str], api: Api, namespace: str, service: str) -> dict[str, str]:
    """Where the load balancer is, for each name that this machine cannot look up; nothing where there is no address."""
    unknown = [name for name in names if not _is_known(name)]
    if not unknown:
        return {}
    try:
        found = addresses_of(api, namespace, service)
    except StageDown:
        return {}
    return dict.fromkeys(unknown, found[0])


def await_load_balancer(api: Api, namespace: str, service: str, *, within_s: float = _COMES_WITHIN_S) -> str:
    """Wait until the Service's load balancer takes connections; says at which address.

    A Service of another type has none: nothing is said. Raises StageDown.
    """
    there = api.get(f"/api/v1/namespaces/{namespace}/services/{service}")
    if there is None or there["spec"].get("type") != "LoadBalancer":
        return ""
    ports = [int(port["port"]) for port in there["spec"]["ports"]]
    deadline = time.monotonic() + within_s
    fault = ""
    while time.monotonic() < deadline:
        try:
            for address in addresses_of(api, namespace, service):
                with contextlib.closing(socket.create_connection((address, ports[-1]), timeout=_ANSWERS_WITHIN_S)):
                    return address
        except StageDown as error:
            fault = str(error.why or error.what)
        except OSError as error:
            fault = f"port {ports[-1]}: {error}"
        time.sleep(_LOOK_EVERY_S)
    raise StageDown(
        f"the load balancer of the Service {service} did not come up within {within_s:g} s",
        why=fault,
        hint="the releases are deployed; the events of the Service say what its controller is at",
    )


def _is_known(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except OSError:
        return False
