"""What all stages of hmlet share. Fields set here are defaults; env_STAGE.py says what differs."""

from __future__ import annotations

import functools
from typing import ClassVar, Literal

from pl.env import Port, Secret, StageEnv, generated_secret


class HmletEnv(StageEnv):
    """The photos platform in one stage."""

    prefix: ClassVar[str] = "HT"
    code = "ht"

    namespace: str = "hmlet"

    scheme: Literal["http", "https"] = "http"
    web_host: str
    web_port: Port
    storage_host: str
    storage_port: Port

    originals_bucket: str = "hmlet-originals"
    thumbnails_bucket: str = "hmlet-thumbnails"
    photo_max_bytes: int = 100 * 1024 * 1024

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    admin_username: str = "admin"
    admin_password: Secret = generated_secret()
    smoke_password: Secret = generated_secret()
    django_secret_key: Secret = generated_secret()

    @functools.cached_property
    def web_url(self) -> str:
        """Where people and clients reach the platform."""
        return _url(self.scheme, self.web_host, self.web_port)

    @functools.cached_property
    def storage_url(self) -> str:
        """The S3 endpoint that signed URLs name."""
        return _url(self.scheme, self.storage_host, self.storage_port)

    @functools.cached_property
    def api_url(self) -> str:
        return f"{self.web_url}/api/v1/"

    @functools.cached_property
    def admin_url(self) -> str:
        return f"{self.web_url}/admin/"

    @functools.cached_property
    def docs_url(self) -> str:
        return f"{self.web_url}/docs/"


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{host}" if port in (80, 443) else f"{scheme}://{host}:{port}"
