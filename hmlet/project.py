"""hmlet, as the toolkit sees it: the one thing that ``cluster.py`` and ``app.py`` name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pl.project import Project

from hmlet.env_comm import HmletClusterEnv, HmletEnv
from hmlet.smoke import smoke

if TYPE_CHECKING:
    from pl.cluster.platform import ClusterPlatform
    from pl.host.platform import Platform
    from pl.project import Backups

    from hmlet.env_host import HostEnv


def _host_platform(env: HostEnv) -> Platform:
    from hmlet.host import platform

    return platform(env)


def _cluster_platform(env: HmletClusterEnv) -> ClusterPlatform:
    from hmlet.in_cluster import platform

    return platform(env)


def _backups() -> Backups:
    from hmlet.backups import PhotosBackups

    return PhotosBackups()


def _addresses(env: HmletEnv) -> dict[str, str]:
    return {"API": env.api_url, "admin": env.admin_url, "docs": env.docs_url, "status": f"{env.web_url}/status/"}


def _credentials(env: HmletEnv) -> dict[str, str]:
    return {env.admin_username: env.admin_password.reveal()}


PROJECT = Project(
    env=HmletEnv,
    host_platform=_host_platform,
    cluster_platform=_cluster_platform,
    smoke=smoke,
    addresses=_addresses,
    credentials=_credentials,
    backups=_backups,
)
