"""What all stages of hmlet share. Fields set here are defaults; env_STAGE.py says what differs."""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import Mapping
from secrets import token_bytes
from typing import ClassVar, Literal

from pl.certificates import authority_of
from pl.cluster_env import ClusterEnv, ExistingEnv, KindEnv
from pl.env import Port, Secret, StageEnv, chosen_port, generated_secret

EDGE_CERTIFICATE = "edge"
DataService = Literal["postgresql", "redis", "minio"]
"""A release that keeps data. Its name is its Service's, and its certificate's."""


class HmletEnv(StageEnv):
    """The photos platform in one stage."""

    prefix: ClassVar[str] = "HT"
    code = "ht"

    scheme: Literal["http", "https"] = "http"
    web_host: str
    web_port: Port
    storage_host: str

    originals_bucket: str = "hmlet-originals"
    thumbnails_bucket: str = "hmlet-thumbnails"
    photo_max_bytes: int = 100 * 1024 * 1024

    jobs_kept_days: int = 30
    """How long jobs that ended are listed."""
    jobs_background_at_once: int = 1
    """How many jobs that nobody waits for run at once, over all workers."""
    thumbnails_kept_hours: int = 24
    """How long an image that became no photo is kept, and its thumbnail."""
    diffs_kept: bool = False
    """Whether comparisons are kept that do not say so."""
    diffs_kept_hours: int = 24
    """How long one that is not kept is there, and the files of any."""

    login_window_s: int = 900
    login_failures_max: int = 10
    """Failed logins of an account from one address within the window; 0: no limit."""
    login_failures_of_address_max: int = 100
    login_failures_of_account_max: int = 100

    backup_recipients: tuple[str, ...] = ()
    """Public keys of age whose owners can open this stage's backups; the stage's own on this machine when empty."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    admin_username: str = "admin"
    admin_password: Secret = generated_secret()
    smoke_password: Secret = generated_secret()
    django_secret_key: Secret = generated_secret()

    @functools.cached_property
    def web_url(self) -> str:
        """Where people and clients reach the platform."""
        return address(self.scheme, self.web_host, self.web_port)

    @functools.cached_property
    def storage_url(self) -> str:
        """The S3 endpoint that signed URLs name. The edge serves both, by host name."""
        return address(self.scheme, self.storage_host, self.web_port)

    @functools.cached_property
    def ca_file(self) -> str:
        """The path of the authority that clients must trust to reach it; empty where this machine trusts it anyway."""
        return ""

    @functools.cached_property
    def api_url(self) -> str:
        return f"{self.web_url}/api/v1/"

    @functools.cached_property
    def admin_url(self) -> str:
        return f"{self.web_url}/admin/"

    @functools.cached_property
    def docs_url(self) -> str:
        return f"{self.web_url}/docs/"


def _kms_key() -> str:
    return f"hmlet:{b64encode(token_bytes(32)).decode()}"


class HmletClusterEnv(HmletEnv, ClusterEnv):
    """What the stages in a cluster add. Data services may be elsewhere: then they are not ``installed``."""

    namespace = "hmlet"
    installed: tuple[DataService, ...] = ("postgresql", "redis", "minio")
    """Which of the data services run in the cluster."""
    tls_services: tuple[DataService, ...] = ()
    """Which of the data services are talked to over TLS alone. Those that are installed then speak nothing else."""

    backups_bucket: str = "hmlet-backups"

    database_host: str = "postgresql"
    database_port: Port = 5432
    database_name: str = "hmlet"
    database_user: str = "hmlet"
    redis_host: str = "redis"
    redis_port: Port = 6379
    storage_endpoint: str = ""
    """S3 as the platform's own programs reach it; the MinIO that is installed when empty."""
    storage_region: str = "us-east-1"
    storage_encrypted: bool = False
    """Whether the MinIO that is installed encrypts what is put from now on. What is encrypted cannot be read without
    ``storage_kms_key`` again: it stays on."""

    database_password: Secret = generated_secret()
    redis_password: Secret = generated_secret()
    storage_kms_key: Secret = generated_secret(_kms_key)
    """As MinIO takes it: a name, and 32 bytes in base64."""
    storage_root_user: Secret = generated_secret()
    storage_root_password: Secret = generated_secret()
    storage_web_access_key: Secret = generated_secret()
    storage_web_secret_key: Secret = generated_secret()
    storage_worker_access_key: Secret = generated_secret()
    storage_worker_secret_key: Secret = generated_secret()
    storage_sweeper_access_key: Secret = generated_secret()
    storage_sweeper_secret_key: Secret = generated_secret()
    storage_backup_access_key: Secret = generated_secret()
    storage_backup_secret_key: Secret = generated_secret()


class HmletKindEnv(HmletClusterEnv, KindEnv):
    """A KIND cluster on this machine. With ``scheme = "https"`` its edge has TLS, with ``tls_services`` what is behind
    it, by certificates that are made.
    """

    # All who use it come from one address.
    login_failures_of_address_max = 1000

    web_port = chosen_port()
    edge_node_port: Port = 30080
    """The edge's port on the node: kind.yaml maps it to ``web_port``."""

    def certificates(self) -> Mapping[str, tuple[str, ...]]:
        edge = {EDGE_CERTIFICATE: (self.web_host, self.storage_host)} if self.scheme == "https" else {}
        speaking = [name for name in self.installed if name in self.tls_services]
        return {**edge, **{name: (name, f"{name}.{self.namespace}.svc") for name in speaking}}

    @functools.cached_property
    def ca_file(self) -> str:
        return str(authority_of(self.state).path) if self.scheme == "https" else ""


class HmletExistingEnv(HmletClusterEnv, ExistingEnv):
    """A cluster that exists, with TLS at its edge."""

    scheme = "https"
    web_port = 443


def address(scheme: str, host: str, port: int) -> str:
    """A URL, with its port unless that follows from the scheme."""
    return f"{scheme}://{host}" if port in (80, 443) else f"{scheme}://{host}:{port}"
