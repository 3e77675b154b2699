"""What is there of a release, and what applying it again would change: asked of the server, which writes nothing.

A dry run of a server-side apply is the one thing that knows defaults, conversions and who owns what. It does not show
what others added: that is read from ``managedFields`` of its answer, in which helm owns all that it applies.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pl.cluster.api import Api, Object
from pl.errors import ApiRefused
from pl.release import owners
from pl.release.fields import FieldChange, Ref, differences
from pl.release.owners import OWNER, Addition

_THREADS = 4
_NOT_OURS = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")
_REPLICAS = ("spec", "replicas")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How an object of a release stands.

    ``wanted`` is what a repair would apply. ``live`` is None when it is missing. ``refusal`` is why the server would
    not have it so.
    """

    ref: Ref
    path: str
    wanted: Object
    live: Object | None
    changes: tuple[FieldChange, ...] = ()
    additions: tuple[Addition, ...] = ()
    refusal: str = ""

    @property
    def is_missing(self) -> bool:
        return self.live is None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An object of a release in a namespace, as a question."""

    release: str
    namespace: str
    obj: Object
    is_autoscaled: bool = False


def questions(release: str, namespace: str, objects: Sequence[Object]) -> list[Asked]:
    scaled = set(_autoscaled(objects))
    return [
        Asked(
            release=release,
            namespace=namespace,
            obj=obj,
            is_autoscaled=(obj.get("kind"), obj["metadata"]["name"]) in scaled,
        )
        for obj in objects
    ]


def standings(api: Api, asked: Sequence[Asked]) -> list[Standing]:
    """How each object stands. Writes nothing."""
    if not asked:
        return []

    def look(question: Asked) -> Standing:
        return _standing(api, question)

    with ThreadPoolExecutor(max_workers=min(_THREADS, len(asked))) as pool:
        return list(pool.map(look, asked))


def marked(obj: Object, release: str, namespace: str) -> Object:
    """The object with what helm adds to all that it applies."""
    obj = copy.deepcopy(obj)
    metadata = obj.setdefault("metadata", {})
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    metadata["labels"] = {**labels, "app.kubernetes.io/managed-by": "Helm"}
    metadata["annotations"] = {
        **annotations,
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": namespace,
    }
    return obj


def _autoscaled(objects: Iterable[Object]) -> Iterable[tuple[str, str]]:
    for obj in objects:
        if obj.get("kind") == "HorizontalPodAutoscaler":
            target = obj["spec"]["scaleTargetRef"]
            yield target["kind"], target["name"]


def _standing(api: Api, asked: Asked) -> Standing:
    ref = Ref.of(asked.obj, asked.namespace)
    wanted = marked(asked.obj, asked.release, asked.namespace)
    try:
        path = api.path_of(asked.obj, namespace=asked.namespace)
    except ApiRefused as error:
        if error.status != 404:
            raise
        # A kind that comes with the release itself, or that this cluster does not have: helm will say.
        return Standing(ref=ref, path="", wanted=wanted, live=None)
    live = api.get(path)
    if live is None:
        return Standing(ref=ref, path=path, wanted=wanted, live=None)
    if asked.is_autoscaled or owners.is_owned_by_autoscaler(live):
        _leave_replicas(wanted, live)
    try:
        wished = api.apply(path, wanted, manager=OWNER, force=True, dry_run=True)
    except ApiRefused as error:
        if error.status not in (400, 409, 422):
            raise
        return Standing(ref=ref, path=path, wanted=wanted, live=live, refusal=error.message)
    return Standing(
        ref=ref,
        path=path,
        wanted=wanted,
        live=live,
        changes=tuple(differences(_comparable(live), _comparable(wished))),
        additions=tuple(owners.additions(wished)),
    )


def _leave_replicas(wanted: Object, live: Object) -> None:
    """The autoscaler's number is the right one."""
    if "replicas" in (wanted.get("spec") or {}) and "replicas" in live["spec"]:
        wanted["spec"]["replicas"] = live["spec"]["replicas"]


def _comparable(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _NOT_OURS}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def repair(api: Api, standing: Standing) -> None:
    """Have an object as the release says, with one write and no revision."""
    api.apply(standing.path, standing.wanted, manager=OWNER, force=True)


def remove_additions(api: Api, standing: Standing) -> None:
    """Remove what others added to an object: helm becomes the owner, and does not want it. Two writes.

    Raises ApiRefused, with status 409, where the object was changed meanwhile.
    """
    live = api.get(standing.path)
    if live is None:
        return
    patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": owners.taken_over(live)},
    ]
    api.patch(standing.path, patch, kind="json", manager=OWNER)
    repair(api, standing)
