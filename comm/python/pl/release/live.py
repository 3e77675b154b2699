"""What is there of a release, and what applying it again would change: asked of the server, which writes nothing.

A dry run of a server-side apply is the one thing that knows defaults, conversions and who owns what. It does not show
what others added: that is read from ``managedFields`` of its answer, in which helm owns all that it applies.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pl.cluster.api import Api, Object
from pl.errors import ApiRefused
from pl.release import owners
from pl.release.fields import FieldChange, Ref, differences
from pl.release.owners import OWNER, Addition
from pl.release.verified import Verified

_THREADS = 4
_NOT_OURS = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")
_LABEL = ("app.kubernetes.io/managed-by", "Helm")


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


def standings(api: Api, asked: Sequence[Asked], verified: Verified) -> list[Standing]:
    """How each object stands. Writes nothing but ``verified``."""
    paths = [_path(api, one) for one in asked]
    listed: dict[str, Object] = {}
    # One after the other on one connection: that is less work than to make more of them.
    for collection in dict.fromkeys(_above(path) for path in paths if path):
        listed.update(_collection(api, collection))
    seen = [_seen(api, one, path, listed) for one, path in zip(asked, paths, strict=True)]
    doubtful = [
        number for number, one in enumerate(seen) if one.live is not None and not verified.holds(one.live, one.wanted)
    ]
    if doubtful:
        with ThreadPoolExecutor(max_workers=min(_THREADS, len(doubtful))) as pool:
            answers = list(pool.map(lambda number: _tried(api, seen[number], verified), doubtful))
        for number, answer in zip(doubtful, answers, strict=True):
            seen[number] = answer
    verified.save()
    return seen


def marked(obj: Object, release: str, namespace: str) -> Object:
    """The object with what helm adds to all that it applies."""
    obj = copy.deepcopy(obj)
    metadata = obj.setdefault("metadata", {})
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    metadata["labels"] = {**labels, _LABEL[0]: _LABEL[1]}
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


def _path(api: Api, asked: Asked) -> str:
    """Empty for a kind that comes with the release itself, or that this cluster does not have: helm will say."""
    try:
        return api.path_of(asked.obj, namespace=asked.namespace)
    except ApiRefused as error:
        if error.status != 404:
            raise
        return ""


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _collection(api: Api, path: str) -> dict[str, Object]:
    """The objects of a kind that have helm's label, by path. One that lost it is asked for by itself."""
    found, _ = api.list(path, labels="=".join(_LABEL))
    return {f"{path}/{obj['metadata']['name']}": obj for obj in found}


def _seen(api: Api, asked: Asked, path: str, listed: Mapping[str, Object]) -> Standing:
    """An object as it is, beside what is wanted."""
    wanted = marked(asked.obj, asked.release, asked.namespace)
    live = (listed.get(path) or api.get(path)) if path else None
    if live and (asked.is_autoscaled or owners.is_owned_by_autoscaler(live)):
        _leave_replicas(wanted, live)
    return Standing(ref=Ref.of(asked.obj, asked.namespace), path=path, wanted=wanted, live=live)


def _tried(api: Api, seen: Standing, verified: Verified) -> Standing:
    """With what the server would make of it."""
    if seen.live is None:
        return seen
    try:
        wished = api.apply(seen.path, seen.wanted, manager=OWNER, force=True, dry_run=True)
    except ApiRefused as error:
        if error.status not in (400, 409, 422):
            raise
        return replace(seen, refusal=error.message)
    changes = tuple(differences(_comparable(seen.live), _comparable(wished)))
    additions = tuple(owners.additions(wished))
    if not changes and not additions:
        verified.note(seen.live, seen.wanted)
    return replace(seen, changes=changes, additions=additions)


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
