"""Ports of the cluster on this machine, by the names of its Services, for as long as somebody wants them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pl import proc
from pl.cluster.api import Api, Object
from pl.cluster_stage import pods
from pl.cluster_stage.kubectl import Kubectl
from pl.errors import CommandFailed, PlError, PortTaken, StageDown, UsageError
from pl.ports import holder_of, is_free

_LOOK_EVERY_S = 1.0
_LISTENS_WITHIN_S = 20.0
_LISTENS_POLL_S = 0.05
_PODS_WITHIN_S = 60.0
_LOWEST_FREE_FOR_ALL = 1024


@dataclass(frozen=True, kw_only=True)
class Door:
    """A port of a Service. ``target`` is the port of its pods, a number or a name."""

    names: tuple[str, ...]
    """What it may be called, the plainest first: ``minio-console``."""
    service: str
    port: int
    port_name: str
    target: str
    selector: str


@dataclass(frozen=True, kw_only=True)
class Way:
    """From a port of this machine to one of a Service's pods."""

    local: int
    target: str


def doors(api: Api, namespace: str) -> list[Door]:
    """All that can be forwarded: the TCP ports of Services that have pods."""
    services, _ = api.list(api.path_of(("v1", "Service"), namespace=namespace))
    found = []
    for service in sorted(services, key=lambda service: str(service["metadata"]["name"])):
        spec = service["spec"]
        ports = [port for port in spec.get("ports") or () if port.get("protocol", "TCP") == "TCP"]
        if spec.get("selector"):
            found += [_door(service, port, is_first=number == 0) for number, port in enumerate(ports)]
    return found


def forward(kubectl: Kubectl, api: Api, name: str, ports: Sequence[str] = (), *, say: Callable[[str], None]) -> None:
    """Forward ports until Ctrl-C, over all the pods that come and go. ``say`` tells their addresses.

    ``name`` is one that ``doors`` gives. ``ports`` are ``[LOCAL:]PORT`` of its Service, by number or name, or any port
    number of its pods; without them the one that was named. A local port that is not given is the same number where
    that is free, and else any. Raises UsageError, PortTaken, and StageDown where no pod is ready for a minute.
    """
    namespace = kubectl.namespace
    found = doors(api, namespace)
    door = _named(found, name)
    siblings = [other for other in found if other.service == door.service]
    ways = _ways(door, siblings, ports)
    pod = _ready_pod(api, namespace, door, say)
    with _forwarded(kubectl, pod, ways) as running:
        _wait_until_listening(running, ways)
        for way in ways:
            say(f"127.0.0.1:{way.local} → {door.service}:{way.target} ({pods.short_name(pod)}); Ctrl-C ends it")
        _wait_until_lost(running, api, namespace, pod)
    while True:
        pod = _ready_pod(api, namespace, door, say)
        # A pod may go before kubectl has reached it; then there will be another one.
        with contextlib.suppress(CommandFailed), _forwarded(kubectl, pod, ways) as running:
            _wait_until_listening(running, ways)
            say(f"goes on to {pods.short_name(pod)}")
            _wait_until_lost(running, api, namespace, pod)
        time.sleep(_LOOK_EVERY_S)


def parse_port(text: str) -> tuple[int, str]:
    """``[LOCAL:]PORT`` as the local port (0 for any) and the other's number or name. Raises UsageError."""
    local, colon, remote = text.rpartition(":")
    if colon and not (local.isdecimal() and 0 < int(local) <= 65535):
        raise UsageError(f"{text!r} names no local port", hint="[LOCAL_PORT:]PORT, as 15432:5432")
    if not remote or (remote.isdecimal() and not 0 < int(remote) <= 65535):
        raise UsageError(f"{text!r} names no port", hint="[LOCAL_PORT:]PORT, as 15432:5432")
    return (int(local) if colon else 0, remote)


def _door(service: Object, port: Object, *, is_first: bool) -> Door:
    """A Service's name means its first port; its others have the port's name behind it."""
    name = str(service["metadata"]["name"])
    port_name = str(port.get("name") or port["port"])
    plain = [name, pods.component(service), pods.release(service)] if is_first else []
    return Door(
        names=tuple(dict.fromkeys(word for word in (*plain, f"{name}-{port_name}") if word)),
        service=name,
        port=int(port["port"]),
        port_name=port_name,
        target=str(port.get("targetPort") or port["port"]),
        selector=",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items()),
    )


def _named(found: Sequence[Door], name: str) -> Door:
    # A Service's own name goes before what it shares with others: the release's, the component's.
    own = [door for door in found if name == door.names[0]]
    chosen = own or [door for door in found if name in door.names]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise UsageError(f"{name!r} may be any of: {', '.join(door.names[0] for door in chosen)}")
    shown = ", ".join(door.names[0] for door in found) or "nothing: no Service has pods"
    raise UsageError(f"nothing to forward is called {name!r}", why=f"names: {shown}")


def _ways(door: Door, siblings: Sequence[Door], ports: Sequence[str]) -> list[Way]:
    asked = [parse_port(text) for text in ports] or [(0, str(door.port))]
    taken: set[int] = {local for local, _ in asked if local}
    if len(taken) < len([local for local, _ in asked if local]):
        raise UsageError("a local port was given twice")
    ways = []
    for local, remote in asked:
        target = next((other.target for other in siblings if remote in (str(other.port), other.port_name)), remote)
        if not remote.isdecimal() and target == remote and remote not in {other.target for other in siblings}:
            names = ", ".join(f"{other.port} ({other.port_name})" for other in siblings)
            raise UsageError(f"{door.service} has no port {remote!r}", why=f"ports: {names}")
        if local and not is_free(local):
            raise PortTaken(f"port {local} of this machine is used by {holder_of(local)}", hint="give another, or none")
        local = local or _free_local(int(remote) if remote.isdecimal() else 0, taken)
        taken.add(local)
        ways.append(Way(local=local, target=target))
    return ways


def _free_local(wanted: int, taken: set[int]) -> int:
    if wanted >= _LOWEST_FREE_FOR_ALL and wanted not in taken and is_free(wanted):
        return wanted
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready_pod(api: Api, namespace: str, door: Door, say: Callable[[str], None]) -> Object:
    """A ready pod behind the Service, waited for: it may just be replaced. Raises StageDown."""
    deadline = time.monotonic() + _PODS_WITHIN_S
    told = False
    while True:
        listed = pods.list_pods(api, namespace, labels=door.selector)
        ready = [pod for pod in listed if pods.is_ready(pod)]
        if ready:
            return max(ready, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        why = "\n".join(f"{pods.short_name(pod)}: {pods.why_unwell(pod)}" for pod in listed) or "it has no pods"
        if time.monotonic() > deadline:
            raise StageDown(f"no pod behind {door.service} is ready", why=why)
        if not told:
            say(f"no pod behind {door.service} is ready; waiting for one")
            told = True
        time.sleep(_LOOK_EVERY_S)


@contextlib.contextmanager
def _forwarded(kubectl: Kubectl, pod: Object, ways: Sequence[Way]) -> Iterator[proc.Running]:
    pairs = [f"{way.local}:{_number(pod, way.target)}" for way in ways]
    words = ["port-forward", "--address", "127.0.0.1", f"pod/{pod['metadata']['name']}", *pairs]
    running = proc.start_tied(kubectl.argv(*words), env=kubectl.variables())
    try:
        yield running
    finally:
        running.kill()


def _number(pod: Object, target: str) -> str:
    """A port by number: pods name theirs."""
    if target.isdecimal():
        return target
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target:
                return str(port["containerPort"])
    raise UsageError(f"{pods.short_name(pod)} has no port called {target!r}")


def _wait_until_listening(running: proc.Running, ways: Sequence[Way]) -> None:
    deadline = time.monotonic() + _LISTENS_WITHIN_S
    while any(is_free(way.local) for way in ways):
        ended = running.wait(_LISTENS_POLL_S)
        if ended is not None:
            raise CommandFailed(["kubectl port-forward"], ended.status, ended.stderr)
        if time.monotonic() > deadline:
            raise StageDown("kubectl port-forward does not begin to listen", why=f"after {_LISTENS_WITHIN_S:g} s")


def _wait_until_lost(running: proc.Running, api: Api, namespace: str, pod: Object) -> None:
    """Until kubectl has lost the pod, or the pod is about to go: kubectl hears of that late, or never."""
    path = api.path_of(("v1", "Pod"), namespace=namespace, name=str(pod["metadata"]["name"]))
    while running.wait(_LOOK_EVERY_S) is None:
        with contextlib.suppress(PlError):  # the API may be away for a moment, and the forwarded port work on
            found = api.get(path)
            if found is None or found["metadata"]["uid"] != pod["metadata"]["uid"] or pods.is_leaving(found):
                return
