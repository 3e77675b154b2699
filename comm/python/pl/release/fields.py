"""Where two objects differ, field by field, and how such a field is called for people.

A path is a tuple of segments: a key, or ``[name]`` for the item of a list that has that name. It is written
``spec.template.spec.containers[web].env[DEBUG].value``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pl.cluster.api import Object

Path = tuple[str, ...]

_ITEM_KEYS = ("name", "mountPath", "containerPort", "port", "key", "ip", "type", "kind", "uid")
"""By what items of the API's lists are told apart; the first that all items have, each with a value of its own."""
_PLAIN = re.compile(r"[\w-]+\Z")


class Absent:
    """What a field holds that is not there."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


@dataclass(frozen=True, kw_only=True)
class Ref:
    """Which object: of the cluster, whatever version of its API it was read by."""

    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Object, namespace: str = "") -> Ref:
        """``namespace`` is for an object that names none."""
        metadata = obj.get("metadata") or {}
        group, slash, _ = str(obj.get("apiVersion", "")).rpartition("/")
        return cls(
            group=group if slash else "",
            kind=str(obj.get("kind", "")),
            namespace=str(metadata.get("namespace") or namespace),
            name=str(metadata.get("name", "")),
        )

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """A field that differs. ``old`` or ``new`` is ABSENT where it is only on one side, with all that is below it."""

    path: Path
    old: object
    new: object


def written(path: Path) -> str:
    """A path as people read it; a key with dots in it is quoted."""
    text = ""
    for segment in path:
        if segment.startswith("["):
            text += segment
        elif _PLAIN.match(segment):
            text += f".{segment}"
        else:
            text += f'["{segment}"]'
    return text.removeprefix(".")


def differences(old: object, new: object, path: Path = ()) -> list[FieldChange]:
    """What is to be changed in ``old`` to have ``new``, in the order of the fields."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in dict.fromkeys((*old, *new)):
            found += differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, str(key)))
        return found
    if isinstance(old, list) and isinstance(new, list):
        return _list_differences(old, new, path)
    return [] if _same(old, new) else [FieldChange(path=path, old=old, new=new)]


def item_name(item: Mapping[str, Any], key: str) -> str:
    return f"[{item[key]}]"


def _list_differences(old: list[Any], new: list[Any], path: Path) -> list[FieldChange]:
    if _same(old, new):
        return []
    key = _key_of(old, new)
    if not key:
        if len(old) == len(new) and all(isinstance(item, Mapping) for item in (*old, *new)):
            pairs = enumerate(zip(old, new, strict=True))
            return [change for number, (a, b) in pairs for change in differences(a, b, (*path, f"[{number}]"))]
        return [FieldChange(path=path, old=old, new=new)]
    before = {item_name(item, key): item for item in old}
    after = {item_name(item, key): item for item in new}
    found = []
    for name in dict.fromkeys((*before, *after)):
        found += differences(before.get(name, ABSENT), after.get(name, ABSENT), (*path, name))
    # The order of variables and containers means something.
    return found or [FieldChange(path=path, old=list(before), new=list(after))]


def _key_of(old: Sequence[Any], new: Sequence[Any]) -> str:
    items = (*old, *new)
    if not all(isinstance(item, Mapping) for item in items):
        return ""
    for key in _ITEM_KEYS:
        if all(isinstance(item.get(key), str | int) for item in items) and all(
            len({item[key] for item in side}) == len(side) for side in (old, new)
        ):
            return key
    return ""


def _same(old: object, new: object) -> bool:
    """Equal, and not just to Python: 1 and true are two things in YAML."""
    if isinstance(old, bool) is not isinstance(new, bool):
        return False
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_same(a, b) for a, b in zip(old, new, strict=True))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    return old == new
