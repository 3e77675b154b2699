"""A cluster that exists, reached by a context of somebody's kubeconfig: looked at, never made, never destroyed.

The stage has a copy of that one context. Every command compares it with the source: other credentials for the same
cluster are taken over, and a context that leads to another cluster now is refused. Only a deploy writes there.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pl import secrets
from pl.cluster import identity, kubeconfig
from pl.cluster.api import Api, Object
from pl.cluster.namespace import namespace_fault
from pl.cluster.platform import SecretObject
from pl.cluster.readiness import default_class
from pl.cluster.secret_objects import held
from pl.cluster.state import ClusterState
from pl.cluster_env import ExistingEnv
from pl.errors import ApiRefused, ClusterUnfit, Interrupted, KubeconfigInvalid, StageDown
from pl.files import write_whole
from pl.steps import IO_BOUND_WORKERS, Progress, Step, run_steps

OLDEST = (1, 25)
"""Of Kubernetes: the first version in which Pod Security is not optional."""

_REGISTRY_TIMEOUT_S = 10.0
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SECURITY = "pod-security.kubernetes.io/enforce"


@dataclass(frozen=True, kw_only=True)
class _Right:
    verb: str
    resource: str
    group: str = ""


_ALL_VERBS = ("get", "list", "create", "patch", "delete")
_RIGHTS = tuple(
    _Right(verb=verb, group=group, resource=resource)
    for group, resource, verbs in (
        ("apps", "deployments", _ALL_VERBS),
        ("apps", "statefulsets", _ALL_VERBS),
        ("batch", "jobs", _ALL_VERBS),
        ("", "services", _ALL_VERBS),
        ("", "configmaps", _ALL_VERBS),
        ("", "secrets", _ALL_VERBS),
        ("", "serviceaccounts", _ALL_VERBS),
        ("", "persistentvolumeclaims", ("get", "list")),
        ("", "pods", ("get", "list", "watch")),
        ("", "pods/log", ("get",)),
        ("", "events", ("list", "watch")),
        ("autoscaling", "horizontalpodautoscalers", _ALL_VERBS),
        ("policy", "poddisruptionbudgets", _ALL_VERBS),
        ("networking.k8s.io", "networkpolicies", _ALL_VERBS),
        ("coordination.k8s.io", "leases", ("get", "create", "update")),
    )
    for verb in verbs
)
"""What a deploy does in the namespace."""


class ExistingCluster:
    """The cluster of one stage. ``say`` tells the user one line; ``secret_objects`` are what the stage has there."""

    def __init__(
        self,
        env: ExistingEnv,
        say: Callable[[str], None],
        secret_objects: Callable[[], Sequence[SecretObject]] = tuple,
    ) -> None:
        self.env = env
        self.state = ClusterState(env.state)
        self._say = say
        self._secret_objects = secret_objects

    def bootstrap(self, progress: Progress, *, new_ports: bool = False) -> bool:
        """Have the stage's kubeconfig and secrets, and see that the cluster has what a deploy needs.

        Nothing is written there. Returns whether anything was here. ``new_ports`` means nothing. Raises
        KubeconfigInvalid, ClusterAway, ClusterMistaken, SecretsInvalid, and StepsFailed with ClusterUnfit, which names
        all that is missing.
        """
        del new_ports
        with self._changing():
            new = not self.state.exists()
            self.state.create()
            api = self._api(first_contact=True)
            run_steps([Step(name="access", run=lambda: self._check(api))], progress)
            made = secrets.provide(self.env, lambda: held(api, self.env.namespace, self._secret_objects()))
            return new or bool(made)

    def connect(self) -> Api:
        """The cluster's API, after a look at whether it is the right cluster.

        Raises StageDown, ClusterMistaken, ClusterAway.
        """
        self.state.check()
        if not self.state.kubeconfig.exists():
            raise StageDown(
                f"the stage {self.env.stage} has never been in contact with its cluster",
                hint=self.env.command("bootstrap"),
            )
        return self._api(first_contact=False)

    def what_dies(self) -> list[str]:
        """What ``destroy`` would remove: nothing in the cluster."""
        if not os.path.lexists(self.state.folder):
            return []
        return [f"the directory {self.state.folder}: kubeconfig and generated secrets"]

    def destroy(self) -> bool:
        """Remove the stage's state. What is in the cluster stays: releases are removed before. Raises StateInvalid."""
        if not os.path.lexists(self.state.folder):
            return False
        self.state.check_removable()
        with self.state.locked(self._say):
            self.state.remove()
        return True

    # -- parts

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        self.state.check()
        try:
            with self.state.locked(self._say):
                yield
        except (KeyboardInterrupt, Interrupted):
            raise Interrupted("interrupted", hint=f"{self.env.command('bootstrap')} goes on from there") from None

    def _api(self, *, first_contact: bool) -> Api:
        """By the stage's copy of the context, which is what the source says now."""
        copied = self._source_text(needed=first_contact and not self.state.kubeconfig.exists())
        if copied and copied != self._copy_text():
            # Asked by what the source says before it is taken over.
            access = kubeconfig.read(self.env.kube_source, self.env.kube_context)
            candidate = Api(replace(access, file=self.state.kubeconfig))
            identity.check(candidate, self.state.identity, uid=self.env.cluster_uid)
            write_whole(self.state.kubeconfig, copied)
            return candidate
        api = Api.of(self.state.kubeconfig)
        identity.check(api, self.state.identity, uid=self.env.cluster_uid)
        return api

    def _source_text(self, *, needed: bool) -> str:
        """The context as a file of its own; empty where the source is gone and the copy will do."""
        if not needed and not self.env.kube_source.exists():
            return ""
        try:
            return kubeconfig.flattened(self.env.kube_source, self.env.kube_context)
        except KubeconfigInvalid as error:
            raise KubeconfigInvalid(
                error.what,
                why=error.why or f"the stage {self.env.stage} takes its context {self.env.kube_context} from there",
                hint=f"have the context {self.env.kube_context} there, or name another in env_{self.env.stage}.py",
            ) from None

    def _copy_text(self) -> str:
        try:
            return self.state.kubeconfig.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _check(self, api: Api) -> str:
        """Raises ClusterUnfit with every fault."""
        version = api.get("/version") or {}
        with ThreadPoolExecutor(IO_BOUND_WORKERS) as pool:
            lacking = pool.submit(lambda: _lacking(api, self.env.namespace))
            storage = pool.submit(lambda: _storage_fault(api, self.env.storage_class))
            registry = pool.submit(lambda: registry_fault(self.env.registry))
            faults = [_version_fault(version), *lacking.result(), *_namespace_faults(api, self.env.namespace)]
            faults += [storage.result(), registry.result()]
        found = [fault for fault in faults if fault]
        if found:
            raise ClusterUnfit(self.env.kube_context, found)
        return f"{self.env.kube_context}, Kubernetes {version.get('gitVersion', '')}"


def registry_fault(registry: str) -> str:
    """Why images could not be pushed to a registry (HOST[:PORT][/PATH]), or nothing.

    That it wants a login is none, nor is a certificate that only Docker trusts: both are Docker's affair.
    """
    host = registry.partition("/")[0]
    name = host.rpartition(":")[0] or host
    # As Docker does it: a registry on this machine may do without TLS, and no proxy leads to it.
    plain = name in _LOOPBACK or host in _LOOPBACK
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}) if plain else urllib.request.ProxyHandler())
    try:
        with opener.open(f"{'http' if plain else 'https'}://{host}/v2/", timeout=_REGISTRY_TIMEOUT_S) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return "" if isinstance(reason, ssl.SSLError) else f"the registry {host} cannot be reached: {reason}"
    return "" if status in (200, 401) else f"what answers at {host} is no registry (status {status} for /v2/)"


def _version_fault(version: Object) -> str:
    try:
        found = int(version["major"]), int(str(version["minor"]).rstrip("+"))
    except (KeyError, ValueError):
        return "the cluster does not say its version"
    wanted = ".".join(map(str, OLDEST))
    return "" if found >= OLDEST else f"Kubernetes is {found[0]}.{found[1]}, and {wanted} is the oldest that will do"


def _lacking(api: Api, namespace: str) -> list[str]:
    """What the user of the context may not do, a line for each resource."""
    if _may(api, namespace, _Right(verb="*", group="*", resource="*")):
        return []
    with ThreadPoolExecutor(IO_BOUND_WORKERS) as pool:
        allowed = list(pool.map(lambda right: _may(api, namespace, right), _RIGHTS))
    denied: dict[str, list[str]] = {}
    for right, may in zip(_RIGHTS, allowed, strict=True):
        if not may:
            resource = f"{right.resource}.{right.group}" if right.group else right.resource
            denied.setdefault(resource, []).append(right.verb)
    return [
        f"its user may not {', '.join(verbs)} {resource} in the namespace {namespace}"
        for resource, verbs in denied.items()
    ]


def _namespace_faults(api: Api, name: str) -> list[str]:
    """Where a deploy would have to make the namespace, and may not."""
    try:
        fault = namespace_fault(api, name)
    except ApiRefused as error:
        if error.status != 403:
            raise
        fault = "may not be looked at"
    if not fault or _may(api, "", _Right(verb="create" if fault == "not there" else "patch", resource="namespaces")):
        return []
    modes = " ".join(f"{mode}=restricted" for mode in _modes())
    return [
        f"the namespace {name}: {fault}, and its user may not mend that",
        f"whoever may: kubectl create namespace {name}; kubectl label namespace {name} {modes}",
    ]


def _may(api: Api, namespace: str, right: _Right) -> bool:
    resource, _, part = right.resource.partition("/")
    attributes = {
        "namespace": namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": part,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer["status"].get("allowed"))


def _storage_fault(api: Api, wanted: str) -> str:
    try:
        classes, _ = api.list("/apis/storage.k8s.io/v1/storageclasses")
    except ApiRefused as error:
        # Who may not look at what belongs to the whole cluster may still use it.
        return "" if error.status == 403 else f"{error.what}: {error.message}"
    names = sorted(str(item["metadata"]["name"]) for item in classes)
    if wanted:
        return "" if wanted in names else f"there is no storage class {wanted}; there are: {', '.join(names) or 'none'}"
    return "" if default_class(classes) else f"no storage class is the default; there are: {', '.join(names) or 'none'}"


def _modes() -> tuple[str, ...]:
    return tuple(_SECURITY.replace("enforce", mode) for mode in ("enforce", "audit", "warn"))
