"""A stage whose database, queue and storage are somebody else's, by its fields and values alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pl import secrets
from pl.tools.install import program

from hmlet.env_comm import HmletExistingEnv
from hmlet.in_cluster import platform
from hmlet.tests.test_kind.rendering import CHECKOUT, containers, one, pods, rendered_release

OUTSIDE = {
    "database_password": "of the company's database",
    "redis_password": "of the company's queue",
    "storage_web_access_key": "WEB",
    "storage_web_secret_key": "web's",
    "storage_worker_access_key": "WORKER",
    "storage_worker_secret_key": "worker's",
    "storage_backup_access_key": "BACKUP",
    "storage_backup_secret_key": "backup's",
}


class ElsewhereEnv(HmletExistingEnv):
    """prod, with everything that keeps data outside of the cluster."""

    emoji = "🔥"
    kube_context = "company"
    image_registry = "registry.example.com/hmlet"
    web_host = "photos.example.com"
    storage_host = "s3.eu-central-1.amazonaws.com"
    storage_endpoint = "https://s3.eu-central-1.amazonaws.com"
    storage_region = "eu-central-1"
    installed = ()
    database_host = "hmlet.abc.eu-central-1.rds.amazonaws.com"
    redis_host = "hmlet.abc.euc1.cache.amazonaws.com"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ElsewhereEnv:
    """As somebody has it who holds a key of the stage's encrypted secrets."""
    root, state = tmp_path / "hmlet", tmp_path / "state"
    (root / "envs/prod").mkdir(parents=True)
    state.mkdir()
    for app in ("photos", "frontend"):
        (root / app).symlink_to(CHECKOUT / "hmlet" / app)
    key, file = tmp_path / "key.txt", root / "envs/prod/secrets.sops.yaml"
    subprocess.run([program(CHECKOUT, "age-keygen"), "-o", key], check=True, capture_output=True)
    public = subprocess.check_output([program(CHECKOUT, "age-keygen"), "-y", key], text=True).strip()
    file.write_text("".join(f'{name}: "{value}"\n' for name, value in OUTSIDE.items()))
    subprocess.run([program(CHECKOUT, "sops"), "encrypt", "--age", public, "--in-place", file], check=True)
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", os.fspath(key))
    made = ElsewhereEnv(checkout=CHECKOUT, root=root, stage="prod", instance="x", state=state, path=())
    secrets.provide(made)
    return made


def test_nothing_that_keeps_data_is_installed_and_all_programs_go_where_the_fields_say(env: ElsewhereEnv) -> None:
    found = {release.name: release for release in platform(env).releases}
    assert set(found) == {"backend", "frontend"}
    tls = {"database.sslMode": "require", "redis.tls": True}
    backend, frontend = rendered_release(found["backend"], tls), rendered_release(found["frontend"])
    kinds = {obj["kind"] for manifest in (backend, frontend) for obj in manifest.objects}
    assert not kinds & {"StatefulSet", "PersistentVolumeClaim", "Secret"}
    for owner, pod in pods((*backend.objects, *backend.hooks)).items():
        for container in containers(pod):
            said = {variable["name"]: variable["value"] for variable in container.get("env", ())}
            assert said["DATABASE_HOST"] == env.database_host, owner
            assert (said["DATABASE_SSLMODE"], said["REDIS_TLS"]) == ("require", "1"), owner
            assert said["REDIS_HOST"] == env.redis_host, owner
            assert said["S3_ENDPOINT_URL"] == env.storage_endpoint, owner
            assert said["S3_PUBLIC_ENDPOINT_URL"] == "https://s3.eu-central-1.amazonaws.com", owner
    edge: Any = one(tuple(frontend.objects), "ConfigMap", "frontend")["data"]["edge.conf"]
    assert env.storage_host not in edge
    assert platform(env).host_names == (env.web_host,), "the storage's name is not the edge's to give"


def test_its_passwords_and_keys_come_from_the_encrypted_file(env: ElsewhereEnv) -> None:
    objects = {secret.name: secret.keys for secret in platform(env).secrets}
    programs = ("", "-worker", "-sweeper", "-backup", "-admin")
    assert set(objects) == {f"backend{program}-auth" for program in programs}
    of_web = {
        key: value if isinstance(value, str) else value.reveal() for key, value in objects["backend-auth"].items()
    }
    assert of_web["database-password"] == OUTSIDE["database_password"]
    assert of_web["redis-password"] == OUTSIDE["redis_password"]
    assert (of_web["s3-access-key"], of_web["s3-secret-key"]) == ("WEB", "web's")
    assert len(of_web["django-secret-key"]) == 40, "what nobody gave is generated"
