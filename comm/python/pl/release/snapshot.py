"""One look at a namespace: which pods are a release's, by who owns them, and what was not there before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pl.cluster.api import Object
from pl.release.fields import Ref


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One look at a namespace."""

    pods: tuple[Object, ...] = ()
    replica_sets: tuple[Object, ...] = ()
    jobs: tuple[Object, ...] = ()
    claims: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Before:
    """What was there before: pods and Jobs by uid, and how often each event had come."""

    pods: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()
    events: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Before:
        return cls(
            pods=frozenset(uid_of(pod) for pod in snapshot.pods),
            jobs=frozenset(uid_of(job) for job in snapshot.jobs),
            events={uid_of(event): _count(event) for event in snapshot.events},
        )


def pods_of(snapshot: Snapshot, family: frozenset[Ref], before: Before) -> list[Object]:
    """The pods of a release that were not there before, those that end left out."""
    members = makers(snapshot, family)
    return [
        pod
        for pod in snapshot.pods
        if uid_of(pod) not in before.pods
        and not pod["metadata"].get("deletionTimestamp")
        and (owner_of(pod) in members or ("Pod", pod["metadata"]["name"]) in members)
    ]


def pod_key(pod: Object) -> str:
    """What a pod is called where it is noted when things came."""
    return f"pod {uid_of(pod)}"


def makers(snapshot: Snapshot, family: frozenset[Ref]) -> dict[tuple[str, str], str]:
    """Who makes pods for the release, by kind and name, and how that is called: ReplicaSets are their Deployment's."""
    members = {pair: "/".join(pair) for pair in named(family)}
    for replica_set in snapshot.replica_sets:
        owner = owner_of(replica_set)
        if owner in members:
            members["ReplicaSet", replica_set["metadata"]["name"]] = members[owner]
    return members


def named(family: frozenset[Ref]) -> set[tuple[str, str]]:
    return {(ref.kind, ref.name) for ref in family}


def owner_of(obj: Object) -> tuple[str, str]:
    owners = obj["metadata"].get("ownerReferences") or ()
    return next(((owner["kind"], owner["name"]) for owner in owners if owner.get("controller")), ("", ""))


def new_events(snapshot: Snapshot, before: Before) -> list[Object]:
    """In the order in which they last came. Times of another machine's clock are compared with each other alone."""
    new = [event for event in snapshot.events if _count(event) > before.events.get(uid_of(event), 0)]
    return sorted(new, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))


def _count(event: Object) -> int:
    return int(event.get("count") or (event.get("series") or {}).get("count") or 1)


def uid_of(obj: Object) -> str:
    return str(obj["metadata"]["uid"])
