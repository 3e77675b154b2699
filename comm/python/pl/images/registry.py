"""What a registry has, asked over HTTP: a millisecond where it is on this machine."""

from __future__ import annotations

import http.client
import ipaddress

from pl.cluster.engine import Engine
from pl.errors import CommandFailed, RegistryAway

_TIMEOUT_S = 10.0
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ABSENT = ("not found", "manifest unknown", "name unknown")


def holds(reference: str, engine: Engine) -> bool:
    """Whether HOST[:PORT]/PATH:TAG can be pulled. Raises RegistryAway.

    One on this machine is asked itself. Any other wants a login, which is Docker's affair: its client asks.
    """
    host, _, rest = reference.partition("/")
    path, _, tag = rest.rpartition(":")
    if not _on_this_machine(host):
        return _known_to_client(reference, host, engine)
    connection = http.client.HTTPConnection(host, timeout=_TIMEOUT_S)
    try:
        connection.request("HEAD", f"/v2/{path}/manifests/{tag}", headers={"Accept": ", ".join(_KINDS)})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise RegistryAway(host, why=str(error)) from None
    finally:
        connection.close()
    if status in (401, 403):
        return _known_to_client(reference, host, engine)
    if status not in (200, 404):
        raise RegistryAway(host, why=f"it answered {status} when asked for {reference}")
    return status == 200


def _on_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] or host
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _known_to_client(reference: str, host: str, engine: Engine) -> bool:
    try:
        engine.run("buildx", "imagetools", "inspect", "--raw", reference)
    except CommandFailed as error:
        if any(word in error.output.lower() for word in _ABSENT):
            return False
        raise RegistryAway(host, why=error.output.strip(), hint=f"docker login {host}, then repeat") from None
    return True
