"""Which cluster a stage's kubeconfig leads to: recorded on first contact, and looked at before anything is changed.

A cluster is known by the UID of its namespace kube-system, which lives as long as the cluster does.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pl.cluster.api import Api
from pl.errors import ApiRefused, ClusterMistaken, StateInvalid
from pl.files import write_whole

_PATH = "/api/v1/namespaces/kube-system"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """``cluster`` and ``server`` are for people; ``uid`` is what tells clusters apart."""

    cluster: str
    server: str
    uid: str

    def __str__(self) -> str:
        return f"{self.cluster} at {self.server} (UID {self.uid})"


def found(api: Api) -> Identity:
    """Who the cluster is that answers now: one request. Raises ApiRefused, ClusterAway."""
    namespace = api.get(_PATH)
    if namespace is None:
        raise ApiRefused(
            f"get {_PATH}",
            status=404,
            reason="NotFound",
            message="a cluster without kube-system cannot be told from others",
            context=api.access.context,
        )
    return Identity(cluster=api.access.cluster, server=api.access.server, uid=str(namespace["metadata"]["uid"]))


def recorded(file: Path) -> Identity | None:
    """Who it was on first contact, None where there was none yet. Raises StateInvalid."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Identity(cluster=str(content["cluster"]), server=str(content["server"]), uid=str(content["uid"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise StateInvalid(
            f"{file} is damaged",
            why="it says which cluster is the stage's",
            hint=f"make sure that the kubeconfig beside it leads to the right one, then: rm {file}",
        ) from None


def record(file: Path, identity: Identity) -> None:
    write_whole(file, json.dumps(asdict(identity), indent=1))


def check(api: Api, file: Path, *, uid: str = "") -> Identity:
    """See that the cluster that answers is the recorded one; record it where none is.

    With ``uid``, it must be that cluster anyway. Raises ClusterMistaken.
    """
    now = found(api)
    before = recorded(file)
    if uid and now.uid != uid:
        raise ClusterMistaken(
            f"the context {api.access.context} leads to another cluster than the stage's",
            why=f"the stage's: UID {uid}\nfound:       {now}\nnothing was changed there",
            hint="lead the context there; or if this cluster is meant, change cluster_uid in the stage's file",
        )
    if before is None:
        record(file, now)
    elif before.uid != now.uid:
        raise ClusterMistaken(
            f"the context {api.access.context} leads to another cluster than before",
            why=f"recorded: {before}\nfound:    {now}\nnothing was changed in either",
            hint=f"lead the context back; or if the other one is meant from now on: rm {file}, then bootstrap",
        )
    return now
