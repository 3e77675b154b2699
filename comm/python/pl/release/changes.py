"""The lines of a diff: what would change, field by field, with secrets masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pl.cluster.api import Object
from pl.release.fields import ABSENT, FieldChange, Ref, differences, written
from pl.release.live import Standing
from pl.release.manifest import Manifest
from pl.release.masking import masked

Sort = Literal["created", "changed", "removed", "drifted", "missing", "foreign"]

_KEEP = ("helm.sh/resource-policy", "keep")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One line of a diff. ``where`` is an object ("Deployment/web"), ``path`` a field of it, empty where the
    object as a whole comes or goes.

    ``old`` is what is live, ``new`` what would be, secrets masked; ABSENT where there is no such field. ``by`` is who
    put a foreign field there. ``raw`` are both as they are, for digests alone.
    """

    where: str
    path: str
    sort: Sort
    old: object = ABSENT
    new: object = ABSENT
    by: str = ""
    raw: tuple[object, object] = (ABSENT, ABSENT)

    def __repr__(self) -> str:
        return f"Change({self.where} {self.path} {self.sort}: {self.old!r} → {self.new!r})"

    def as_json(self) -> dict[str, object]:
        """As a script reads it: without ``old`` or ``new`` where there is none."""
        found: dict[str, object] = {"object": self.where, "path": self.path, "sort": self.sort}
        found.update({key: value for key, value in (("old", self.old), ("new", self.new)) if value is not ABSENT})
        return {**found, "by": self.by} if self.by else found


def created(objects: Iterable[Object], namespace: str) -> list[Change]:
    return [Change(where=str(Ref.of(obj, namespace)), path="", sort="created") for obj in objects]


def of_standings(standings: Iterable[Standing], steady: frozenset[Ref]) -> list[Change]:
    """What is to be changed in live objects. Those in ``steady`` are not meant to change: there, it drifted."""
    return list(_of_standings(standings, steady))


def additions(standings: Iterable[Standing]) -> list[Change]:
    """What others put into live objects."""
    return [
        Change(
            where=str(standing.ref),
            path=written(addition.path),
            sort="foreign",
            old=masked(standing.ref, addition.path, addition.value),
            by=addition.manager,
            raw=(addition.value, ABSENT),
        )
        for standing in standings
        for addition in standing.additions
    ]


def removed(deployed: Manifest, rendered: Manifest, namespace: str) -> list[Change]:
    """Objects that helm would delete, because they are no longer rendered."""
    left = {Ref.of(obj, namespace) for obj in rendered.objects}
    return [
        Change(where=str(ref), path="", sort="removed")
        for ref, obj in ((Ref.of(obj, namespace), obj) for obj in deployed.objects)
        if ref not in left and not is_kept(obj)
    ]


def of_hooks(deployed: Manifest, rendered: Manifest, namespace: str) -> list[Change]:
    """How hooks differ from those that ran last: they leave nothing live to compare with."""
    before = {Ref.of(hook, namespace): hook for hook in deployed.hooks}
    after = {Ref.of(hook, namespace): hook for hook in rendered.hooks}
    found = []
    for ref in dict.fromkeys((*before, *after)):
        for change in differences(before.get(ref, ABSENT), after.get(ref, ABSENT)):
            sort: Sort = "created" if ref not in before else "removed" if ref not in after else "changed"
            found.append(_change(ref, change, sort, called=f"{ref} (hook)"))
    return found


def steady(deployed: Manifest, rendered: Manifest, namespace: str) -> frozenset[Ref]:
    """The objects that are rendered as they were deployed."""
    before = {Ref.of(obj, namespace): obj for obj in deployed.objects}
    after = {Ref.of(obj, namespace): obj for obj in rendered.objects}
    return frozenset(ref for ref, obj in after.items() if not differences(before.get(ref, ABSENT), obj))


def is_same(deployed: Manifest, rendered: Manifest) -> bool:
    """Whether an upgrade would be about nothing."""
    return not any(
        len(old) != len(new) or differences(list(old), list(new))
        for old, new in ((deployed.objects, rendered.objects), (deployed.hooks, rendered.hooks))
    )


def _of_standings(standings: Iterable[Standing], steady: frozenset[Ref]) -> Iterator[Change]:
    for standing in standings:
        if standing.is_missing:
            sort: Sort = "missing" if standing.ref in steady else "created"
            yield Change(where=str(standing.ref), path="", sort=sort)
        for change in standing.changes:
            yield _change(standing.ref, change, "drifted" if standing.ref in steady else "changed")


def _change(ref: Ref, change: FieldChange, sort: Sort, *, called: str = "") -> Change:
    whole = not change.path  # an object that comes or goes is named, and its fields are not
    return Change(
        where=called or str(ref),
        path=written(change.path),
        sort=sort,
        old=ABSENT if whole else masked(ref, change.path, change.old),
        new=ABSENT if whole else masked(ref, change.path, change.new),
        raw=(change.old, change.new),
    )


def is_kept(obj: Object) -> bool:
    """Whether helm is told to leave the object when it would delete it."""
    key, value = _KEEP
    return ((obj.get("metadata") or {}).get("annotations") or {}).get(key) == value


def plain(changes: Sequence[Change]) -> list[object]:
    """For a digest: everything, as it is, in a form that JSON has."""
    return [
        [change.where, change.path, change.sort, change.by, *(_plain(value) for value in change.raw)]
        for change in changes
    ]


def _plain(value: object) -> object:
    return {"absent": True} if value is ABSENT else value
