"""What a deploy would do: each release as it should be, as helm left it, and as it is. Makes no write.

A release is upgraded when what it renders to, objects or hooks, is not what its deployed revision holds. Values that
render to the same make no revision: nothing in the cluster would move. Where the revision is right and the live objects
are not, only those objects are put right, and no revision is made either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from pl import steps
from pl.cluster.platform import ClusterPlatform, Release
from pl.errors import ReleaseInvalid, UsageError
from pl.release import changes, live
from pl.release.changes import Change
from pl.release.deployed import History, histories
from pl.release.live import Standing
from pl.release.manifest import Manifest
from pl.release.render import Renderer
from pl.release.target import Target
from pl.release.values import Values, merged
from pl.release.verified import Verified

Action = Literal["install", "upgrade", "restore", "clean", "uninstall", "unchanged"]
"""``restore`` puts drifted objects right, ``clean`` only removes what others added."""

_RENDERS = "renders"
_VERIFIED = "verified.json"
_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """What would be done about one release.

    ``revision`` is the one that serves, 0 for none. ``unfinished`` says what a killed run left and what comes first
    for that reason. ``refusals`` is what the server would not accept: such a release fails before anything is written.
    """

    name: str
    action: Action
    why: str
    revision: int
    changes: tuple[Change, ...] = ()
    additions: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()
    unfinished: str = ""
    skips_hooks: bool = False
    """Whether an upgrade leaves its hooks out, because all that they work with is as it was."""
    status: str = ""
    """What helm calls the latest revision, with its number."""
    release: Release | None = None
    values: Values | None = None
    manifest: Manifest | None = None
    """What it renders to; for one that is to go, what it is made of."""
    standings: tuple[Standing, ...] = ()

    @property
    def is_idle(self) -> bool:
        return self.action == "unchanged" and not self.unfinished

    def as_json(self) -> dict[str, object]:
        return {
            "release": self.name,
            "action": self.action,
            "why": self.why,
            "revision": self.revision,
            "unfinished": self.unfinished,
            "refusals": list(self.refusals),
            "changes": [change.as_json() for change in self.changes],
            "additions": [change.as_json() for change in self.additions],
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a deploy would do, in the platform's order; what goes comes last.

    ``digest`` follows from all that would be changed, and from what: who applies a plan by its digest applies what
    was reviewed, or nothing.
    """

    releases: tuple[ReleasePlan, ...]
    digest: str
    removes_additions: bool = False

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do. What others added is no reason to do something, unless it is to go."""
        return all(release.is_idle for release in self.releases)

    @property
    def has_additions(self) -> bool:
        return any(release.additions for release in self.releases)

    def as_json(self) -> dict[str, object]:
        return {"digest": self.digest, "releases": [release.as_json() for release in self.releases]}


def plan(
    platform: ClusterPlatform,
    target: Target,
    *,
    references: Mapping[str, str],
    digests: Mapping[str, str],
    names: Sequence[str] = (),
    remove_additions: bool = False,
) -> Plan:
    """What a deploy would do to all releases, or to ``names`` and those that they need.

    ``references`` are those of the project's images by name, ``digests`` those of its SecretObjects. Raises
    ReleaseInvalid, UsageError for a name that is none, and what the API raises.
    """
    wanted = with_needs(platform.releases, names)
    _check_references(platform, wanted, references)
    found = histories(target.api, target.namespace)

    def compare(release: Release) -> _Compared:
        values = merged(release, references=references, digests=digests)
        return _compared(target, release, values, found.get(release.name))

    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        compared = list(pool.map(compare, wanted))
    new = {one.release.name for one in compared if one.deployed is None}
    planned = [
        _decided(
            one,
            standings,
            target.namespace,
            remove_additions=remove_additions,
            # What a hook did once is gone with a database that is made anew.
            may_skip_hooks=new.isdisjoint(one.release.needs),
        )
        for one, standings in zip(compared, _look(target, compared), strict=True)
    ]
    if not names:
        known = {release.name for release in platform.releases}
        planned += [_superfluous(name, one) for name, one in sorted(found.items()) if name not in known and one.is_ours]
    return Plan(
        releases=tuple(planned),
        digest=_digest(planned, removes_additions=remove_additions),
        removes_additions=remove_additions,
    )


def plan_anew(before: ReleasePlan, target: Target, *, remove_additions: bool) -> ReleasePlan:
    """The plan for one release of the platform, after something was done to it."""
    if before.release is None or before.values is None:
        raise ValueError(f"{before.name} is not in the platform")
    history = histories(target.api, target.namespace, before.name).get(before.name)
    compared = _compared(target, before.release, before.values, history)
    (standings,) = _look(target, [compared])
    return _decided(compared, standings, target.namespace, remove_additions=remove_additions, may_skip_hooks=False)


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """A release as it should be, beside its revision that serves. ``revision`` is 0 where there is none."""

    release: Release
    values: Values
    history: History | None
    revision: int
    deployed: Manifest | None
    rendered: Manifest


def _compared(target: Target, release: Release, values: Values, history: History | None) -> _Compared:
    base = history.way_back if history else None
    renderer = Renderer(target.helm, target.folder / _RENDERS, kube_version=target.kube_version)
    return _Compared(
        release=release,
        values=values,
        history=history,
        revision=base.number if base else 0,
        deployed=base.manifest() if base else None,
        rendered=renderer.render(release, values, is_upgrade=base is not None),
    )


def _look(target: Target, compared: Sequence[_Compared]) -> list[list[Standing]]:
    """How the objects of each release stand, with all questions asked at once; none for what is not installed."""
    questions = [
        live.questions(one.release.name, target.namespace, one.rendered.objects) if one.deployed else []
        for one in compared
    ]
    verified = Verified(target.folder / _VERIFIED, mark=target.kube_version)
    answers = iter(live.standings(target.api, [question for group in questions for question in group], verified))
    return [[next(answers) for _ in group] for group in questions]


def _decided(
    one: _Compared, standings: Sequence[Standing], namespace: str, *, remove_additions: bool, may_skip_hooks: bool
) -> ReleasePlan:
    rendered, deployed = one.rendered, one.deployed
    action: Action
    skips_hooks = may_skip_hooks and deployed is not None and rendered.has_nothing_new_for_hooks(deployed)
    if deployed is None:
        action, why = "install", "it is not there"
        found = changes.created(rendered.objects, namespace)
    else:
        found = changes.of_standings(standings, changes.steady(deployed, rendered, namespace))
        if not changes.is_same(deployed, rendered):
            action, why = "upgrade", f"it renders to something else than revision {one.revision}"
            if not skips_hooks:
                found += changes.of_hooks(deployed, rendered, namespace)
            found += changes.removed(deployed, rendered, namespace)
        elif found or any(standing.refusal for standing in standings):
            action, why = "restore", f"live objects are not as in revision {one.revision}"
        elif remove_additions and any(standing.additions for standing in standings):
            action, why = "clean", "somebody added fields by hand"
        else:
            action, why = "unchanged", ""
    return ReleasePlan(
        name=one.release.name,
        action=action,
        why=why,
        revision=one.revision,
        changes=tuple(found),
        additions=tuple(changes.additions(standings)),
        refusals=tuple(f"{standing.ref}: {standing.refusal}" for standing in standings if standing.refusal),
        unfinished=_unfinished(one.history),
        skips_hooks=skips_hooks,
        status=_status(one.history),
        release=one.release,
        values=one.values,
        manifest=rendered,
        standings=tuple(standings),
    )


def _unfinished(history: History | None) -> str:
    if history is None or not history.is_unfinished:
        return ""
    back = history.way_back
    first = f"back to revision {back.number} first" if back else "what is there of it goes first"
    return f"revision {history.latest.number} was left {history.latest.status}: {first}"


def _superfluous(name: str, history: History) -> ReleasePlan:
    base = history.way_back or history.latest
    return ReleasePlan(
        name=name,
        action="uninstall",
        why="the platform has no such release any more",
        revision=base.number,
        status=_status(history),
        changes=(Change(where=f"release/{name}", path="", sort="removed"),),
        manifest=base.manifest(),
    )


def _status(history: History | None) -> str:
    return f"{history.latest.number} {history.latest.status}" if history else ""


def with_needs(releases: Sequence[Release], names: Sequence[str]) -> list[Release]:
    by_name = {release.name: release for release in releases}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise UsageError(f"no release is called {unknown[0]!r}", why=f"releases: {', '.join(by_name)}")
    wanted = steps.with_needs({release.name: release.needs for release in releases}, names or by_name)
    return [release for release in releases if release.name in wanted]


def _check_references(platform: ClusterPlatform, releases: Sequence[Release], references: Mapping[str, str]) -> None:
    """An image of ours without a reference would be taken for one of somebody else's."""
    own = {image.name for image in platform.images}
    for release in releases:
        lacking = sorted({image for image in release.images.values() if image in own and image not in references})
        if lacking:
            raise ReleaseInvalid(
                release.name, f"the images {', '.join(lacking)} have no reference yet", hint="build them"
            )


def _digest(planned: Sequence[ReleasePlan], *, removes_additions: bool) -> str:
    """Over what would be changed, whole and unmasked, and over what it would be changed from."""
    content = [
        [
            one.name,
            one.action,
            one.status,
            one.manifest and [one.manifest.objects, one.manifest.hooks],
            changes.plain(one.changes),
            changes.plain(one.additions if removes_additions else ()),
        ]
        for one in planned
        if not one.is_idle
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
