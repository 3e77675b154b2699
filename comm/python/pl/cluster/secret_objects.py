"""The project's Secrets in the cluster: written by the toolkit, so that no chart and no release ever holds one."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

from pl.cluster.api import Api, Object
from pl.cluster.namespace import MANAGER
from pl.cluster.platform import SecretObject
from pl.digest import text_digest
from pl.env import Secret

_LABELS = {"app.kubernetes.io/managed-by": MANAGER}
_OURS = "app.kubernetes.io/managed-by=pl"


def digests(secrets: Iterable[SecretObject]) -> dict[str, str]:
    """By name, a text that changes with what the object holds, and tells nothing of it.

    It is seen by whoever may see pods: the secrets in it are long and random, or it would help in guessing them.
    """
    return {
        secret.name: text_digest(*(part for pair in sorted(_plain(secret).items()) for part in pair))
        for secret in secrets
    }


def stale_secrets(api: Api, namespace: str, secrets: Sequence[SecretObject]) -> tuple[str, ...]:
    """The names of those that are not there, hold something else, or are no longer wanted. Changes nothing."""
    found = _found(api, namespace)
    wanted = {secret.name: _data(secret) for secret in secrets}
    stale = [name for name, data in wanted.items() if found.get(name) != data]
    return (*stale, *(name for name in found if name not in wanted))


def held(api: Api, namespace: str, secrets: Iterable[SecretObject]) -> dict[str, str]:
    """By field, the secrets of the stage that the cluster has: those that another machine made, for example."""
    found = _found(api, namespace)
    values: dict[str, str] = {}
    for secret in secrets:
        data = found.get(secret.name) or {}
        for key, value in secret.keys.items():
            if isinstance(value, Secret) and data.get(key):
                values[value.path.name] = base64.b64decode(data[key]).decode()
    return values


def ensure_secrets(api: Api, namespace: str, secrets: Sequence[SecretObject]) -> tuple[str, ...]:
    """Have the Secrets as they are wanted, and no others of ours. Returns the names of those written or deleted."""
    stale = stale_secrets(api, namespace, secrets)
    wanted = {secret.name: secret for secret in secrets}
    for name in stale:
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        if name in wanted:
            api.apply(path, _object(wanted[name]), manager=MANAGER)
        else:
            api.delete(path)
    return stale


def _found(api: Api, namespace: str) -> dict[str, Mapping[str, str]]:
    objects, _ = api.list(f"/api/v1/namespaces/{namespace}/secrets", labels=_OURS)
    return {obj["metadata"]["name"]: obj.get("data") or {} for obj in objects}


def _object(secret: SecretObject) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret.name, "labels": _LABELS},
        "type": "Opaque",
        "data": _data(secret),
    }


def _data(secret: SecretObject) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in _plain(secret).items()}


def _plain(secret: SecretObject) -> dict[str, str]:
    return {key: value.reveal() if isinstance(value, Secret) else value for key, value in secret.keys.items()}
