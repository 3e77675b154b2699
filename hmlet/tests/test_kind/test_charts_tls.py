"""TLS behind the edge, as the charts render it for a stage that says so, and a stage's field that says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from pl.cluster.platform import ClusterPlatform
from pl.env import load

from hmlet.env_comm import DataService, HmletClusterEnv
from hmlet.in_cluster import platform
from hmlet.tests.test_kind.rendering import (
    CHECKOUT,
    RELEASES,
    STAGES,
    Tree,
    containers,
    one,
    pods,
    rendered,
    rendered_once,
    rendered_release,
)
from hmlet.tests.test_kind.restricted import assert_restricted

SERVICES: tuple[DataService, ...] = get_args(DataService)


def _platform(stage: str, speaking: tuple[DataService, ...] = SERVICES) -> tuple[HmletClusterEnv, ClusterPlatform]:
    env = load(CHECKOUT, project="hmlet", stage=stage, instance="charts")
    assert isinstance(env, HmletClusterEnv)
    # A field of the class, as env_STAGE.py would set it.
    object.__setattr__(env, "tls_services", speaking)
    return env, platform(env)


def _objects(made: ClusterPlatform, name: str) -> tuple[Tree, ...]:
    release = next(release for release in made.releases if release.name == name)
    manifest = rendered_release(release)
    return (*manifest.objects, *manifest.hooks)


def _told(pod: Tree) -> Mapping[str, str]:
    return {variable["name"]: variable["value"] for variable in pod["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("stage", STAGES)
def test_the_field_reaches_servers_and_clients_and_no_pod_is_less_confined(stage: str) -> None:
    _, made = _platform(stage)
    for name in RELEASES:
        for owner, pod in pods(_objects(made, name)).items():
            assert_restricted(owner, pod)
            if name == "backend":
                told = _told(pod)
                assert (told["DATABASE_SSLMODE"], told["REDIS_TLS"]) == ("verify-full", "1"), owner
                assert told["S3_ENDPOINT_URL"] == "https://minio:9000", owner
                assert told["DATABASE_CA_PATH"] == told["REDIS_CA_PATH"] == told["S3_CA_PATH"], owner
    edge = one(_objects(made, "frontend"), "ConfigMap", "frontend")["data"]["edge.conf"]
    assert edge.count("proxy_pass https://$storage;") == 2
    for words in ("proxy_ssl_verify on;", "proxy_ssl_name minio;", "proxy_ssl_trusted_certificate "):
        assert words in edge, words


@pytest.mark.parametrize("stage", STAGES)
def test_without_the_field_nobody_is_asked_for_a_certificate(stage: str) -> None:
    for name in RELEASES[:3]:
        objects = rendered_once(stage, name)
        (pod,) = pods(objects).values()
        assert "hostAliases" not in pod["spec"]
        assert "tls" not in {volume["name"] for volume in pod["spec"]["volumes"]}
        assert "HTTPS" not in str(pod)
    assert "proxy_ssl" not in one(rendered_once(stage, "frontend"), "ConfigMap", "frontend")["data"]["edge.conf"]


def test_postgresql_admits_over_the_network_with_tls_alone() -> None:
    objects = rendered("test", "postgresql", {"tls.secretName": "its-own"}).objects
    files = one(objects, "ConfigMap", "postgresql")["data"]
    rules = [line.split() for line in files["pg_hba.conf"].splitlines() if line]
    assert rules == [["local", "all", "all", "trust"], ["hostssl", "all", "all", "all", "scram-sha-256"]]
    assert "ssl = on" in files["postgresql.conf"]
    assert "hba_file = '/etc/postgresql/pg_hba.conf'" in files["postgresql.conf"]
    (pod,) = pods(objects).values()
    volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "tls")
    # A key that others may read is none to PostgreSQL; one of root's may be read by its group.
    assert volume["secret"] == {"secretName": "its-own", "defaultMode": 0o440}
    for container in containers(pod):
        assert {"name": "tls", "mountPath": "/run/secrets/postgresql-tls", "readOnly": True} in container[
            "volumeMounts"
        ]


def test_valkey_has_no_port_without_tls_and_is_probed_with_it() -> None:
    files = one(rendered("test", "redis", {"tls.secretName": "its-own"}).objects, "ConfigMap", "redis")["data"]
    settings = dict(line.split(maxsplit=1) for line in files["valkey.conf"].splitlines() if line and line[0] != "#")
    assert (settings["port"], settings["tls-port"], settings["tls-auth-clients"]) == ("0", "6379", "no")
    assert "--tls --cacert /run/secrets/redis-tls/ca.crt ping" in files["ping.sh"]


def test_minio_is_probed_and_bootstrapped_over_tls_under_the_name_of_its_certificate() -> None:
    (pod,) = pods(rendered("test", "minio", {"tls.secretName": "its-own"}).objects).values()
    server, bootstrap = pod["spec"]["containers"]
    probes = [server[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert {probe["scheme"] for probe in probes} == {"HTTPS"}
    assert bootstrap["command"][-1] == "https://minio:9000"
    assert {"ip": "127.0.0.1", "hostnames": ["minio"]} in pod["spec"]["hostAliases"]
    volumes = {volume["name"]: volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume}
    paths = {item["key"]: item["path"] for item in volumes["tls"]["items"]}
    assert paths == {"tls.crt": "public.crt", "tls.key": "private.key", "ca.crt": "CAs/ca.crt"}
    # What bootstraps needs no key of the server's.
    assert "tls" not in {mount["name"] for mount in bootstrap["volumeMounts"]}
    assert [item["key"] for item in volumes["authority"]["items"]] == ["ca.crt"]


@pytest.mark.parametrize("stage", ["test", "local"])
def test_a_kind_stage_makes_the_certificates_and_tells_programs_of_the_authority_alone(stage: str) -> None:
    env, made = _platform(stage)
    assert env.certificates() == {name: (name, f"{name}.hmlet.svc") for name in SERVICES}
    keys: dict[str, Any] = {secret.name: set(secret.keys) for secret in made.secrets}
    assert [keys[f"{name}-tls"] for name in SERVICES] == [{"tls.crt", "tls.key", "ca.crt"}] * 3
    assert keys["authorities"] == {"ca.crt"}
    digests = {release.name: release.secrets for release in made.releases}
    for name in SERVICES:
        assert digests[name]["tls.checksum"] == f"{name}-tls"
    assert digests["backend"]["authorities.checksum"] == "authorities"
    assert digests["frontend"]["storage.authorities.checksum"] == "authorities"


@pytest.mark.parametrize("stage", ["stage", "prod"])
def test_elsewhere_the_secrets_of_these_names_are_somebody_elses_to_make(stage: str) -> None:
    env, made = _platform(stage)
    assert env.certificates() == {}
    assert not {"postgresql-tls", "redis-tls", "minio-tls", "authorities"} & {secret.name for secret in made.secrets}
    settings = {release.name: release.settings for release in made.releases}
    assert settings["minio"]["tls"] == {"secretName": "minio-tls"}
    assert settings["backend"]["authorities"] == {"secretName": "authorities"}


def test_one_service_may_speak_tls_and_others_not() -> None:
    env, made = _platform("test", ("redis",))
    assert set(env.certificates()) == {"redis"}
    told = _told(pods(_objects(made, "backend"))["Deployment/backend-web"])
    assert (told["DATABASE_SSLMODE"], told["REDIS_TLS"]) == ("prefer", "1")
    assert told["S3_ENDPOINT_URL"] == "http://minio:9000"
    assert "proxy_ssl" not in one(_objects(made, "frontend"), "ConfigMap", "frontend")["data"]["edge.conf"]


def test_a_stage_whose_storage_encrypts_gives_minio_its_key_and_nobody_else() -> None:
    env, plain = _platform("test", ())
    assert "minio-encryption" not in {secret.name for secret in plain.secrets}
    object.__setattr__(env, "storage_encrypted", True)
    made = platform(env)
    (secret,) = [secret for secret in made.secrets if env.storage_kms_key in secret.keys.values()]
    assert (secret.name, set(secret.keys)) == ("minio-encryption", {"kms-key"})
    objects = _objects(made, "minio")
    (pod,) = pods(objects).values()
    server, bootstrap = pod["spec"]["containers"]
    assert _told(pod)["MINIO_KMS_SECRET_KEY_FILE"] == "/run/secrets/minio/kms-key"
    assert "encryption" in {mount["name"] for mount in server["volumeMounts"]}
    assert "encryption" not in {mount["name"] for mount in bootstrap["volumeMounts"]}
    assert json.loads(one(objects, "ConfigMap", "minio")["data"]["rights.json"])["encrypted"] is True
