"""Whether a registry can be pushed to, as far as that can be told without a login."""

from __future__ import annotations

from pathlib import Path

from api_servers import serving
from pl.cluster.existing import registry_fault


def test_a_certificate_that_only_docker_trusts_is_no_fault(tmp_path: Path) -> None:
    with serving(tmp_path, lambda h, _: h.say({})) as told:
        # This machine, under an address that counts as another: it is asked with TLS.
        host = told.address.removeprefix("https://").replace("127.0.0.1", "0.0.0.0")  # noqa: S104
        assert registry_fault(f"{host}/team") == ""


def test_a_registry_that_nobody_runs_is_named() -> None:
    assert "the registry 127.0.0.1:9 cannot be reached" in registry_fault("127.0.0.1:9/team")
