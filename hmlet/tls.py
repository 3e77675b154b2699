"""Who speaks TLS in a cluster, at the edge and behind it, and by whose certificates: values of releases, and Secrets.

Where the stage makes certificates, its Secrets hold them. Elsewhere, Secrets of the same names are somebody else's to
make: nobody trusts an authority that one machine's state holds.
"""

from __future__ import annotations

from collections.abc import Iterable

from pl.certificates import authority_of, certificate_of, key_of
from pl.cluster.platform import SecretObject
from pl.env import Secret

from hmlet.env_comm import EDGE_CERTIFICATE, DataService, HmletClusterEnv

_EDGE = "frontend-tls"
_AUTHORITIES = "authorities"


def secrets(env: HmletClusterEnv) -> Iterable[SecretObject]:
    """Those that the stage makes."""
    if _makes(env, EDGE_CERTIFICATE):
        yield SecretObject(name=_EDGE, keys=_pair(env, EDGE_CERTIFICATE))
    services = [name for name in _speaking(env) if _makes(env, name)]
    authority = {"ca.crt": authority_of(env.state)}
    for name in services:
        yield SecretObject(name=f"{name}-tls", keys={**_pair(env, name), **authority})
    if services:
        yield SecretObject(name=_AUTHORITIES, keys=authority)


def of_server(env: HmletClusterEnv, name: DataService) -> dict[str, object]:
    """Values of a data service."""
    return {"tls": {"secretName": f"{name}-tls"}} if name in env.tls_services else {}


def of_server_digests(env: HmletClusterEnv, name: DataService) -> dict[str, str]:
    return {"tls.checksum": f"{name}-tls"} if name in _speaking(env) and _makes(env, name) else {}


def of_database(env: HmletClusterEnv) -> dict[str, object]:
    """Values of the backend, as those that follow."""
    return {"sslMode": "verify-full"} if "postgresql" in env.tls_services else {}


def of_queue(env: HmletClusterEnv) -> dict[str, object]:
    return {"tls": True} if "redis" in env.tls_services else {}


def storage_endpoint(env: HmletClusterEnv) -> str:
    scheme = "https" if "minio" in env.tls_services else "http"
    return env.storage_endpoint or f"{scheme}://minio:9000"


def of_clients(env: HmletClusterEnv) -> dict[str, object]:
    return {"authorities": {"secretName": _AUTHORITIES}} if _speaking(env) else {}


def of_clients_digests(env: HmletClusterEnv) -> dict[str, str]:
    made = any(_makes(env, name) for name in _speaking(env))
    return {"authorities.checksum": _AUTHORITIES} if made else {}


def encrypts_at_the_edge(env: HmletClusterEnv) -> bool:
    """Whether it has a certificate that the stage makes."""
    return _makes(env, EDGE_CERTIFICATE)


def of_edge(env: HmletClusterEnv) -> dict[str, object]:
    """The edge's own values, where the stage says what its certificate is."""
    return {"tls": {"secretName": _EDGE if encrypts_at_the_edge(env) else ""}}


def of_edges_storage(env: HmletClusterEnv) -> dict[str, object]:
    """What the edge knows of the storage behind it."""
    return of_clients(env) if "minio" in _speaking(env) else {}


def of_edge_digests(env: HmletClusterEnv) -> dict[str, str]:
    of_storage = of_clients_digests(env) if "minio" in _speaking(env) else {}
    of_itself = {"tls.checksum": _EDGE} if encrypts_at_the_edge(env) else {}
    return {**of_itself, **{f"storage.{path}": name for path, name in of_storage.items()}}


def _speaking(env: HmletClusterEnv) -> tuple[DataService, ...]:
    return tuple(name for name in env.installed if name in env.tls_services)


def _makes(env: HmletClusterEnv, certificate: str) -> bool:
    return certificate in env.certificates()


def _pair(env: HmletClusterEnv, name: str) -> dict[str, Secret]:
    return {"tls.crt": certificate_of(env.state, name), "tls.key": key_of(env.state, name)}
