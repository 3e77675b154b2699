"""Who owns which field of an object, by its ``managedFields``: what other hands added, and how that becomes helm's.

A node of ``fieldsV1`` is a mapping: ``f:NAME`` is a field, ``k:{...}`` the item of a list with these keys, ``v:...`` a
value of a set, ``.`` the node itself; an empty one is a leaf.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pl.cluster.api import Object
from pl.release.fields import ABSENT, Path

OWNER = "helm"
"""The name under which helm, and a repair in its name, own fields."""

_CONTROL_PLANE = frozenset(
    {
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "cloud-controller-manager",
        "cluster-autoscaler",
        "vpa-recommender",
        "vpa-updater",
        "kubeadm",
    }
)
_SELF = "."

_Tree = dict[str, Any]
_Raw = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Addition:
    """A field that somebody else than helm and the cluster itself put there."""

    path: Path
    value: object
    manager: str


def additions(obj: Object) -> list[Addition]:
    """What foreign managers own alone. ``obj`` is one of which helm owns all that it applies: see ``live``."""
    ours = _merged_trees(entry["fieldsV1"] for entry in _entries(obj) if _is_ours(entry))
    found: dict[Path, Addition] = {}
    for entry in _entries(obj):
        if not _is_foreign(entry):
            continue
        for raw in _alone(entry["fieldsV1"], ours):
            path, value = _place(obj, raw)
            if value is not ABSENT:
                found.setdefault(path, Addition(path=path, value=value, manager=str(entry.get("manager", ""))))
    return [found[path] for path in sorted(found)]


def taken_over(obj: Object) -> list[Object]:
    """The object's ``managedFields`` with what foreign managers own alone given to helm.

    Helm's next apply does not name those fields, so the server removes them.
    """
    entries = copy.deepcopy(_entries(obj))
    helms = next((entry for entry in entries if _is_helms(entry)), None)
    if helms is None:
        return entries
    ours = _merged_trees(entry["fieldsV1"] for entry in entries if _is_ours(entry))
    for entry in entries:
        # Another version of the kind may call the field something else.
        if _is_foreign(entry) and entry.get("apiVersion") == helms.get("apiVersion"):
            for raw in list(_alone(entry["fieldsV1"], ours)):
                moved = _cut(entry["fieldsV1"], raw)
                helms["fieldsV1"] = _merged(helms["fieldsV1"], _grown(raw, moved))
    return [entry for entry in entries if entry["fieldsV1"]]


def is_owned_by_autoscaler(obj: Object) -> bool:
    """Whether the number of replicas is what a HorizontalPodAutoscaler last said. It scales as the control plane."""
    return any(
        entry.get("subresource") == "scale"
        and entry.get("manager") == "kube-controller-manager"
        and "f:replicas" in entry["fieldsV1"].get("f:spec", {})
        for entry in _entries(obj)
    )


def _entries(obj: Object) -> list[Object]:
    return [entry for entry in (obj.get("metadata") or {}).get("managedFields") or [] if entry.get("fieldsV1")]


def _is_helms(entry: Object) -> bool:
    return entry.get("manager") == OWNER and entry.get("operation") == "Apply" and not entry.get("subresource")


def _is_ours(entry: Object) -> bool:
    return entry.get("manager") == OWNER and not entry.get("subresource")


def _is_foreign(entry: Object) -> bool:
    """A subresource (status, scale) is written by controllers; who scales by hand is seen as drift."""
    return entry.get("manager") not in {OWNER, *_CONTROL_PLANE} and not entry.get("subresource")


def _alone(tree: _Tree, ours: _Tree, raw: _Raw = ()) -> Iterator[_Raw]:
    """Where ``tree`` owns what ``ours`` does not: leaves, and items of lists as a whole."""
    for key, below in tree.items():
        if key == _SELF:
            continue
        if key not in ours and (key.startswith(("k:", "v:")) or not _fields(below)):
            yield (*raw, key)
        elif _fields(below):
            yield from _alone(below, ours.get(key) or {}, (*raw, key))


def _fields(tree: _Tree) -> list[str]:
    return [key for key in tree if key != _SELF]


def _cut(tree: _Tree, raw: _Raw) -> _Tree:
    """Take a node out of a tree, and what is empty above it then."""
    key, *rest = raw
    if not rest:
        cut: _Tree = tree.pop(key)
        return cut
    cut = _cut(tree[key], tuple(rest))
    if not _fields(tree[key]):
        del tree[key]
    return cut


def _grown(raw: _Raw, leaf: _Tree) -> _Tree:
    for key in reversed(raw):
        leaf = {key: leaf}
    return leaf


def _merged_trees(trees: Iterator[_Tree]) -> _Tree:
    whole: _Tree = {}
    for tree in trees:
        whole = _merged(whole, tree)
    return whole


def _merged(one: _Tree, other: _Tree) -> _Tree:
    return {
        **one,
        **{key: _merged(one[key], below) if key in one else copy.deepcopy(below) for key, below in other.items()},
    }


def _place(obj: object, raw: _Raw) -> tuple[Path, object]:
    """The path for people, and what is there; ABSENT where that is gone or cannot be told."""
    path: Path = ()
    for key in raw:
        sort, _, rest = key.partition(":")
        if sort == "f":
            path = (*path, rest)
            obj = obj.get(rest, ABSENT) if isinstance(obj, Mapping) else ABSENT
            continue
        asked = json.loads(rest)
        items = obj if isinstance(obj, list) else []
        if sort == "k":
            path = (*path, f"[{_called(asked)}]")
            obj = next((item for item in items if _has(item, asked)), ABSENT)
        else:
            path = (*path, f"[{asked}]")
            obj = asked if asked in items else ABSENT
    return path, obj


def _called(keys: Mapping[str, object]) -> str:
    """Ports are told apart by number and protocol, of which the number says enough."""
    return str(next((value for key, value in keys.items() if key != "protocol"), ""))


def _has(item: object, keys: Mapping[str, object]) -> bool:
    # The server fills in a protocol that the owner did not name.
    return isinstance(item, Mapping) and all(item.get(key, value) == value for key, value in keys.items())
