"""What is installed: the revisions that helm keeps, one Secret each, read with one request."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pl.cluster.api import Api, Object
from pl.errors import ClusterAway
from pl.release.helm import LABELS
from pl.release.manifest import Manifest, parsed

_SECRETS = ("v1", "Secret")
_PENDING = frozenset({"pending-install", "pending-upgrade", "pending-rollback", "uninstalling"})


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One revision of a release. ``status`` is helm's word: deployed, failed, superseded, pending-upgrade ..."""

    release: str
    number: int
    status: str
    is_ours: bool
    packed: str

    def content(self) -> Mapping[str, Any]:
        """All that helm keeps of it: chart, config, manifest, hooks, info. Raises ClusterAway where it is damaged."""
        try:
            packed = base64.b64decode(base64.b64decode(self.packed))
            text = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
            content: Mapping[str, Any] = json.loads(text)
        except (binascii.Error, OSError, EOFError, ValueError) as error:
            raise ClusterAway(
                f"the Secret of {self.release}, revision {self.number},",
                why=f"it is damaged: {error}",
                hint=f"helm rollback {self.release} to another revision",
            ) from None
        return content

    def manifest(self) -> Manifest:
        content = self.content()
        hooks = [hook["manifest"] for hook in content.get("hooks") or ()]
        return parsed([content.get("manifest") or "", *hooks])

    def text(self) -> str:
        """The manifest as helm rendered it, without hooks."""
        return str(self.content().get("manifest") or "")


@dataclass(frozen=True, kw_only=True)
class History:
    """The revisions of a release, oldest first; at least one."""

    revisions: tuple[Revision, ...]

    @property
    def latest(self) -> Revision:
        return self.revisions[-1]

    @property
    def deployed(self) -> Revision | None:
        """The one that serves, as far as helm knows: not the newest one that ever served."""
        return next((found for found in reversed(self.revisions) if found.status == "deployed"), None)

    @property
    def is_unfinished(self) -> bool:
        """Whether somebody works on it, was killed over it, or failed to take it back."""
        return self.latest.status in _PENDING or (self.latest.status == "failed" and self.way_back is not None)

    @property
    def is_ours(self) -> bool:
        return any(revision.is_ours for revision in self.revisions)

    @property
    def way_back(self) -> Revision | None:
        """Where to take an unfinished release back to; None where nothing ever worked, or all of it was to go.

        A rollback or an upgrade that is killed between its last two writes leaves none that is deployed. Then the
        newest superseded one is what served.
        """
        if self.deployed or self.latest.status == "uninstalling":
            return self.deployed
        return next((found for found in reversed(self.revisions) if found.status == "superseded"), None)


def histories(api: Api, namespace: str, release: str = "") -> dict[str, History]:
    """All releases of a namespace by name, or one. Those that were uninstalled are not among them."""
    labels = "owner=helm" + (f",name={release}" if release else "")
    found, _ = api.list(api.path_of(_SECRETS, namespace=namespace), labels=labels)
    by_name: dict[str, list[Revision]] = {}
    for secret in found:
        revision = _revision(secret)
        by_name.setdefault(revision.release, []).append(revision)
    return {name: _history(revisions) for name, revisions in by_name.items() if _is_there(revisions)}


def _history(revisions: Sequence[Revision]) -> History:
    return History(revisions=tuple(sorted(revisions, key=lambda revision: revision.number)))


def _is_there(revisions: Sequence[Revision]) -> bool:
    return max(revisions, key=lambda revision: revision.number).status != "uninstalled"


def _revision(secret: Object) -> Revision:
    labels = secret["metadata"]["labels"]
    return Revision(
        release=labels["name"],
        number=int(labels["version"]),
        status=labels["status"],
        is_ours=all(labels.get(key) == value for key, value in LABELS.items()),
        packed=secret["data"]["release"],
    )
