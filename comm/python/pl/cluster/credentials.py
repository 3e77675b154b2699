"""Who a client is to an API server: a certificate, or a token, which a program may print and a file may change."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pl import proc
from pl.cluster.kubeconfig import Access, ExecPlugin
from pl.errors import ClusterLoginFailed, CommandFailed, CommandMissing, CommandTimedOut

_PLUGIN_TIMEOUT_S = 60.0
_EARLY = timedelta(seconds=30)
"""A token that ends within this time is not sent any more."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What is shown to the server. Either part may be empty."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    expires: datetime | None = None


class Credentials:
    """The credential of an access, made anew when it ends. Any thread may ask."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._printed: Credential | None = None

    def current(self) -> Credential:
        """Raises ClusterLoginFailed, CommandMissing."""
        access = self._access
        if access.plugin is None:
            return Credential(token=self._token(), certificate=access.certificate, key=access.key)
        with self._lock:
            if self._printed is None or _has_ended(self._printed):
                self._printed = _printed(access, access.plugin)
            return self._printed

    def forget(self, refused: Credential) -> bool:
        """A credential was refused. Returns whether there may be a better one now."""
        with self._lock:
            if self._access.plugin is None:
                return False
            if self._printed == refused:
                self._printed = None
            return True

    def _token(self) -> str:
        file = self._access.token_file
        if self._access.token or file is None:
            return self._access.token
        try:
            return file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ClusterLoginFailed(
                f"{self._access.context}: the file of its token cannot be read", why=str(file)
            ) from None


def _has_ended(credential: Credential) -> bool:
    return credential.expires is not None and datetime.now(UTC) + _EARLY >= credential.expires


def _printed(access: Access, plugin: ExecPlugin) -> Credential:
    """Run the program. What it prints is a credential: no message quotes it."""
    name = plugin.argv[0]
    spec: dict[str, Any] = {"interactive": False}
    if plugin.provide_cluster_info:
        spec["cluster"] = {"server": access.server}
        if access.ca:
            import base64

            spec["cluster"]["certificate-authority-data"] = base64.b64encode(access.ca.encode()).decode()
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    env = {**os.environ, **plugin.variables, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    try:
        result = proc.run(plugin.argv, env=env, timeout_s=_PLUGIN_TIMEOUT_S, check=False)
    except CommandMissing:
        raise CommandMissing(
            name, hint=plugin.install_hint or f"the context {access.context} logs in by it: install it"
        ) from None
    except CommandTimedOut:
        raise ClusterLoginFailed(
            f"{name} printed no credential within {_PLUGIN_TIMEOUT_S:g} s",
            why=f"the context {access.context} logs in by it",
        ) from None
    if result.status != 0:
        why = CommandFailed(plugin.argv, result.status, result.stderr).why
        raise ClusterLoginFailed(
            f"{name} failed (exit status {result.status})",
            why=why or f"the context {access.context} logs in by it",
            hint="log in again with its own command, then repeat",
        )
    try:
        status = json.loads(result.stdout)["status"]
        expires = status.get("expirationTimestamp")
        credential = Credential(
            token=str(status.get("token") or ""),
            certificate=str(status.get("clientCertificateData") or ""),
            key=str(status.get("clientKeyData") or ""),
            expires=datetime.fromisoformat(expires) if expires else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        credential = Credential()
    if not credential.token and not credential.certificate:
        raise ClusterLoginFailed(
            f"{name} printed no credential", why=f"an ExecCredential was expected; the context is {access.context}"
        )
    return credential
