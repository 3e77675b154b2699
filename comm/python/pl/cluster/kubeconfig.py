"""Kubeconfig files: what one context of them says, and one context of them as a file of its own.

What is written there and cannot be honoured is refused by name: a client that quietly ignored an impersonation or a
proxy would act as somebody else, or somewhere else.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pl.errors import KubeconfigInvalid

_CLUSTER_KEYS = frozenset(
    {
        "server",
        "certificate-authority",
        "certificate-authority-data",
        "insecure-skip-tls-verify",
        "tls-server-name",
        "disable-compression",
        "extensions",
    }
)
_USER_KEYS = frozenset(
    {
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "token",
        "tokenFile",
        "exec",
        "extensions",
    }
)


@dataclass(frozen=True, kw_only=True)
class ExecPlugin:
    """A program that prints credentials, such as ``aws eks get-token``."""

    api_version: str
    argv: tuple[str, ...]
    variables: Mapping[str, str]
    install_hint: str = ""
    provide_cluster_info: bool = False


@dataclass(frozen=True, kw_only=True)
class Access:
    """How one context reaches its cluster. Its text form shows no credentials."""

    file: Path
    context: str
    cluster: str
    user: str
    server: str
    """The API server's address, without a slash at its end."""
    namespace: str = ""
    ca: str = field(default="", repr=False)
    """PEM. The system's authorities are trusted when it is empty."""
    insecure: bool = False
    tls_server_name: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    plugin: ExecPlugin | None = field(default=None, repr=False)


def read(file: Path, context: str = "") -> Access:
    """What a context of a file says; its current one where none is named. Raises KubeconfigInvalid."""
    return _Reading(file).access(context)


def flattened(file: Path, context: str = "") -> str:
    """The text of a kubeconfig with that one context, which needs no other file. It holds credentials.

    Programs that print credentials and files with a token stay what they are: what they give changes.
    Raises KubeconfigInvalid.
    """
    reading = _Reading(file)
    access = reading.access(context)
    cluster: dict[str, Any] = {"server": access.server}
    if access.ca:
        cluster["certificate-authority-data"] = _encoded(access.ca)
    if access.insecure:
        cluster["insecure-skip-tls-verify"] = True
    if access.tls_server_name:
        cluster["tls-server-name"] = access.tls_server_name
    user: dict[str, Any] = {}
    if access.certificate:
        user["client-certificate-data"] = _encoded(access.certificate)
        user["client-key-data"] = _encoded(access.key)
    if access.token:
        user["token"] = access.token
    if access.token_file:
        user["tokenFile"] = str(access.token_file)
    if access.plugin:
        user["exec"] = {**reading.entry("users", access.user)["exec"], "command": access.plugin.argv[0]}
    in_context = {"cluster": access.cluster, "user": access.user}
    if access.namespace:
        in_context["namespace"] = access.namespace
    # JSON is YAML, and every program that reads a kubeconfig reads it.
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": access.context,
            "contexts": [{"name": access.context, "context": in_context}],
            "clusters": [{"name": access.cluster, "cluster": cluster}],
            "users": [{"name": access.user, "user": user}],
        },
        indent=1,
    )


class _Reading:
    """One file, read once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._content = _parsed(file)

    def access(self, context: str) -> Access:
        wanted = context or str(self._content.get("current-context") or "")
        if not wanted:
            raise self._wrong("has no current-context", f"contexts: {self._names('contexts')}")
        chosen = self.entry("contexts", wanted)
        names = {part: str(chosen.get(part) or "") for part in ("cluster", "user", "namespace")}
        cluster = self.entry("clusters", names["cluster"])
        # A context without a user is anonymous.
        user = self.entry("users", names["user"]) if names["user"] else {}
        self._refuse(f"cluster {names['cluster']}", cluster, _CLUSTER_KEYS)
        self._refuse(f"user {names['user']}", user, _USER_KEYS)
        server = str(cluster.get("server") or "").rstrip("/")
        if not server.startswith("https://"):
            raise self._wrong(f"cluster {names['cluster']}: its server must be an https address, not {server!r}")
        certificate, key = self._pem(user, "client-certificate"), self._pem(user, "client-key")
        if bool(certificate) != bool(key):
            raise self._wrong(f"user {names['user']}: a client certificate and its key go together")
        token_file = user.get("tokenFile")
        return Access(
            file=self._file,
            context=wanted,
            cluster=names["cluster"],
            user=names["user"],
            server=server,
            namespace=names["namespace"],
            ca=self._pem(cluster, "certificate-authority"),
            insecure=cluster.get("insecure-skip-tls-verify") is True,
            tls_server_name=str(cluster.get("tls-server-name") or ""),
            certificate=certificate,
            key=key,
            token=str(user.get("token") or ""),
            token_file=self._beside(token_file) if token_file else None,
            plugin=self._plugin(names["user"], user["exec"]) if user.get("exec") else None,
        )

    def entry(self, part: str, name: str) -> dict[str, Any]:
        """What stands under a name in ``contexts``, ``clusters`` or ``users``."""
        for item in self._items(part):
            if item.get("name") == name:
                found = item.get(part.removesuffix("s")) or {}
                if isinstance(found, dict):
                    return found
        raise self._wrong(f"has no {part.removesuffix('s')} {name!r}", f"{part}: {self._names(part)}")

    def _items(self, part: str) -> list[dict[str, Any]]:
        items = self._content.get(part) or []
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    def _names(self, part: str) -> str:
        return ", ".join(str(item.get("name")) for item in self._items(part)) or "none"

    def _refuse(self, owner: str, entry: Mapping[str, Any], known: frozenset[str]) -> None:
        foreign = sorted(str(key) for key, value in entry.items() if value and key not in known)
        if foreign:
            raise self._wrong(f"{owner} has {', '.join(foreign)}, which pl does not know how to honour")

    def _pem(self, entry: Mapping[str, Any], key: str) -> str:
        """The text of a certificate or key: in the file, or in a file that it names. Data win, as for kubectl."""
        data = entry.get(f"{key}-data")
        if data:
            try:
                return base64.b64decode(str(data), validate=True).decode("ascii")
            except (binascii.Error, UnicodeDecodeError):
                raise self._wrong(f"{key}-data is no PEM text in base64") from None
        place = entry.get(key)
        if not place:
            return ""
        try:
            return self._beside(place).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise self._wrong(f"{key}: {self._beside(place)} cannot be read: {error}") from None

    def _beside(self, place: object) -> Path:
        return (self._file.parent / str(place)).absolute()

    def _plugin(self, user: str, entry: Mapping[str, Any]) -> ExecPlugin:
        command = str(entry.get("command") or "")
        if not command:
            raise self._wrong(f"user {user}: exec names no command")
        if entry.get("interactiveMode") == "Always":
            raise self._wrong(f"user {user}: {command} wants to ask on a terminal, and there may be none")
        if "/" in command:
            command = str(self._beside(command))
        return ExecPlugin(
            api_version=str(entry.get("apiVersion") or "client.authentication.k8s.io/v1"),
            argv=(command, *(str(word) for word in entry.get("args") or ())),
            variables={str(item["name"]): str(item["value"]) for item in entry.get("env") or ()},
            install_hint=str(entry.get("installHint") or "").strip(),
            provide_cluster_info=entry.get("provideClusterInfo") is True,
        )

    def _wrong(self, fault: str, why: str = "") -> KubeconfigInvalid:
        return KubeconfigInvalid(f"{self._file} {fault}", why=why)


def _parsed(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise KubeconfigInvalid(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # The error's own text would quote the file, which holds credentials.
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise KubeconfigInvalid(f"{file} is not YAML{place}") from None
    if not isinstance(content, dict):
        raise KubeconfigInvalid(f"{file} is no kubeconfig")
    return content


def _encoded(pem: str) -> str:
    return base64.b64encode(pem.encode("ascii")).decode("ascii")
