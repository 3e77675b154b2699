"""The charts, rendered for every stage as the toolkit renders them. A cluster has the last word; these are quicker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pl.env import load

from hmlet.env_comm import HmletClusterEnv, HmletKindEnv
from hmlet.in_cluster import platform
from hmlet.tests.test_kind.rendering import (
    CHECKOUT,
    RELEASES,
    STAGES,
    Tree,
    containers,
    one,
    pods,
    refusal,
    releases,
    rendered,
    rendered_once,
    rendered_release,
    rendered_text,
)
from hmlet.tests.test_kind.restricted import assert_restricted

EVERY = pytest.mark.parametrize(("stage", "name"), [(stage, name) for stage in STAGES for name in RELEASES])
EACH_CHART = pytest.mark.parametrize("name", RELEASES)


def _chart(name: str) -> Path:
    return releases("test")[name].chart


@EVERY
def test_a_render_is_the_same_each_time_and_holds_no_secret(stage: str, name: str) -> None:
    text = rendered_text(stage, name)
    assert text == rendered_text(stage, name)
    kinds = {document["kind"] for document in yaml.safe_load_all(text) if document}
    assert "Secret" not in kinds
    assert kinds >= {"ServiceAccount", "NetworkPolicy", "PodDisruptionBudget", "Service"}


@EVERY
def test_every_pod_passes_the_restricted_standard(stage: str, name: str) -> None:
    for owner, pod in pods(rendered_once(stage, name)).items():
        assert_restricted(owner, pod)


@EVERY
def test_every_pod_is_confined_in_what_it_takes_and_may_not_ask_the_cluster(stage: str, name: str) -> None:
    objects = rendered_once(stage, name)
    accounts = {each["metadata"]["name"]: each for each in objects if each["kind"] == "ServiceAccount"}
    for owner, pod in pods(objects).items():
        assert pod["spec"]["automountServiceAccountToken"] is False, owner
        if "serviceAccountName" in pod["spec"]:
            assert accounts[pod["spec"]["serviceAccountName"]]["automountServiceAccountToken"] is False, owner
        for container in containers(pod):
            assert set(container["resources"]["requests"]) >= {"cpu", "memory"}, owner
            assert "memory" in container["resources"]["limits"], owner
            assert container["imagePullPolicy"] == "IfNotPresent", owner
        for volume in pod["spec"]["volumes"]:
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}), (owner, volume["name"])


@EVERY
def test_secrets_go_as_files_and_nothing_is_said_twice(stage: str, name: str) -> None:
    for owner, pod in pods(rendered_once(stage, name)).items():
        for container in containers(pod):
            variables = container.get("env", [])
            names = [variable["name"] for variable in variables]
            assert len(names) == len(set(names)), owner
            assert all(isinstance(variable["value"], str) for variable in variables), owner
            assert "envFrom" not in container, owner


@EVERY
def test_what_runs_on_is_probed_and_what_ends_may_end(stage: str, name: str) -> None:
    for owner, pod in pods(rendered_once(stage, name)).items():
        if owner.startswith(("Job/", "CronJob/")):
            assert pod["spec"]["restartPolicy"] == "Never", owner
            continue
        for container in pod["spec"]["containers"]:
            assert {"readinessProbe", "startupProbe"} & set(container), owner
            # A busy machine is no reason to start anew what has not even begun to serve.
            assert container["startupProbe"]["failureThreshold"] >= 300, owner
        assert "livenessProbe" in pod["spec"]["containers"][0], owner
        assert pod["spec"]["terminationGracePeriodSeconds"] >= 15, owner


@EVERY
def test_updates_take_no_pod_away_before_another_serves(stage: str, name: str) -> None:
    for each in rendered_once(stage, name):
        strategy = each.get("spec", {}).get("strategy")
        if each["kind"] == "StatefulSet":
            assert each["spec"]["podManagementPolicy"] == "Parallel"
        elif each["kind"] == "Deployment" and each["metadata"]["name"] != "backend-beat":
            assert strategy["rollingUpdate"]["maxUnavailable"] == 0
            assert strategy["rollingUpdate"]["maxSurge"] > 0
        elif each["kind"] == "Deployment":
            assert strategy == {"type": "Recreate"}
            assert each["spec"]["replicas"] == 1


@pytest.mark.parametrize(("name", "deployment"), [("backend", "backend-web"), ("frontend", "frontend")])
@pytest.mark.parametrize("stage", STAGES)
def test_who_answers_requests_goes_on_while_others_still_send_them(stage: str, name: str, deployment: str) -> None:
    pod = pods(rendered_once(stage, name))[f"Deployment/{deployment}"]
    seconds = pod["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < seconds < pod["spec"]["terminationGracePeriodSeconds"] - 20


@EVERY
def test_selectors_find_the_pods_that_they_mean(stage: str, name: str) -> None:
    objects = rendered_once(stage, name)
    templates = pods(objects)
    labels = {owner: pod["metadata"]["labels"] for owner, pod in templates.items()}
    for each in objects:
        spec = each.get("spec", {})
        if each["kind"] in {"Deployment", "StatefulSet"} or each["kind"] == "PodDisruptionBudget":
            _one_of(spec["selector"]["matchLabels"], labels)
        elif each["kind"] == "Service":
            pod = templates[_one_of(spec["selector"], labels)]
            offered = {port["name"] for container in containers(pod) for port in container.get("ports", ())}
            assert {port["targetPort"] for port in spec["ports"]} <= offered
        elif each["kind"] == "NetworkPolicy":
            assert _matching(spec["podSelector"]["matchLabels"], labels)
    policies = [each["spec"]["podSelector"]["matchLabels"] for each in objects if each["kind"] == "NetworkPolicy"]
    for owner, its in labels.items():
        assert any(policy.items() <= its.items() for policy in policies), f"no network policy is about {owner}"


def _matching(selector: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [owner for owner, its in labels.items() if selector.items() <= its.items()]


def _one_of(selector: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]) -> str:
    (owner,) = _matching(selector, labels)
    return owner


@EVERY
def test_everything_says_what_it_is_a_part_of(stage: str, name: str) -> None:
    for each in rendered_once(stage, name):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == name
        assert "app.kubernetes.io/name" in labels
        if each["kind"] != "PersistentVolumeClaim":  # of which a chart's new version must not change anything
            assert {"app.kubernetes.io/component", "app.kubernetes.io/part-of", "helm.sh/chart"} <= set(labels)


@EVERY
def test_a_stage_says_only_what_it_has_otherwise_than_the_chart(stage: str, name: str) -> None:
    release = releases(stage)[name]
    assert release.values is not None
    defaults = yaml.safe_load((release.chart / "values.yaml").read_text(encoding="utf-8"))
    said = yaml.safe_load(release.values.read_text(encoding="utf-8")) or {}
    for path, value in _leaves(said):
        known: Any = defaults
        for key in path:
            known = known.get(key, ...) if isinstance(known, dict) else ...
        assert value != known, f"{'.'.join(path)} is the chart's own value"


def _leaves(tree: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, tree


@EACH_CHART
def test_a_schema_is_closed_all_the_way_down_and_knows_every_default(name: str) -> None:
    schema = json.loads((_chart(name) / "values.schema.json").read_text(encoding="utf-8"))
    for place, node in _nodes(schema):
        if node.get("type") == "object":
            # Labels and the like have keys of their own, and texts for values.
            assert node["additionalProperties"] in (False, {"type": "string"}), place
    defaults = yaml.safe_load((_chart(name) / "values.yaml").read_text(encoding="utf-8"))
    _same_keys(schema, schema, defaults, name)


def _nodes(node: object, place: str = "") -> Iterator[tuple[str, Tree]]:
    if isinstance(node, dict):
        yield place, node
        for key, value in node.items():
            yield from _nodes(value, f"{place}/{key}")


def _same_keys(schema: Tree, node: Tree, defaults: Tree, place: str) -> None:
    if "$ref" in node:
        node = schema["definitions"][node["$ref"].rpartition("/")[2]]
    known = node.get("properties", {})
    if node.get("type") != "object" or not known or place.endswith((".requests", ".limits")):
        return
    optional = {"limits"} if place.endswith(".resources") else set()
    assert set(known) - optional <= set(defaults) <= set(known), place
    for key in defaults:
        _same_keys(schema, known[key], defaults[key], f"{place}.{key}")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("postgresql", "imag"),
        ("postgresql", "persistence.sise"),
        ("redis", "settings.maxMemory"),
        ("minio", "buckets.origin"),
        ("backend", "web.autoscaling.maxReplica"),
        ("backend", "web.resources.limits.memorry"),
        ("backend", "global"),
        ("frontend", "service.nodeport"),
    ],
)
def test_a_mistyped_key_fails_with_its_path(name: str, path: str) -> None:
    assert f"{path}: the chart knows no such key (this test)" in refusal("test", name, {path: "1"})


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("postgresql", "persistence.size", "lots"),
        ("redis", "settings.maxmemory", 1),
        ("minio", "buckets.originals", "Not_A_Bucket"),
        ("backend", "publicUrl", ""),
        ("backend", "publicUrl", "https://photos.example/app"),
        ("backend", "images.web", ""),
        ("backend", "logLevel", "LOUD"),
        ("frontend", "service.type", "ExternalName"),
        ("frontend", "service.nodePort", 80),
        ("frontend", "storage.publicUrl", ""),
    ],
)
def test_a_value_that_cannot_be_fails_with_its_path(name: str, path: str, value: object) -> None:
    assert f"{path}: " in refusal("test", name, {path: value})


@pytest.mark.parametrize(
    ("name", "owner", "path", "value"),
    [
        ("postgresql", "StatefulSet/postgresql", "settings.maxConnections", 50),
        ("redis", "StatefulSet/redis", "settings.maxmemory", "64mb"),
        ("minio", "StatefulSet/minio", "identities", []),
        ("frontend", "Deployment/frontend", "photoMaxBytes", 1048576),
    ],
)
def test_another_configuration_replaces_the_pods(name: str, owner: str, path: str, value: object) -> None:
    assert _annotations("test", name, owner, {path: value}) != _annotations("test", name, owner)


@pytest.mark.parametrize(
    ("name", "owner", "path"),
    [
        ("postgresql", "StatefulSet/postgresql", "auth.checksum"),
        ("redis", "StatefulSet/redis", "auth.checksum"),
        ("minio", "StatefulSet/minio", "auth.checksum"),
        ("backend", "Deployment/backend-web", "auth.web.checksum"),
        ("backend", "Deployment/backend-worker", "auth.worker.checksum"),
        ("backend", "Deployment/backend-beat", "auth.worker.checksum"),
        ("backend", "CronJob/backend-sweep", "auth.sweeper.checksum"),
        ("backend", "CronJob/backend-backup", "auth.backup.checksum"),
        ("frontend", "Deployment/frontend", "tls.checksum"),
        ("postgresql", "StatefulSet/postgresql", "tls.checksum"),
        ("redis", "StatefulSet/redis", "tls.checksum"),
        ("minio", "StatefulSet/minio", "tls.checksum"),
        ("minio", "StatefulSet/minio", "encryption.checksum"),
        ("frontend", "Deployment/frontend", "storage.authorities.checksum"),
    ],
)
def test_another_secret_replaces_the_pods_that_have_it(name: str, owner: str, path: str) -> None:
    assert _annotations("test", name, owner, {path: "another"}) != _annotations("test", name, owner)


def test_another_secret_replaces_no_pod_that_has_it_not() -> None:
    change = {"auth.sweeper.checksum": "another"}
    for owner in ("Deployment/backend-web", "Deployment/backend-worker"):
        assert _annotations("test", "backend", owner, change) == _annotations("test", "backend", owner)


def _annotations(stage: str, name: str, owner: str, changes: Mapping[str, Any] | None = None) -> object:
    return pods(rendered(stage, name, changes).objects)[owner]["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("name", "path", "deployment"),
    [
        ("backend", "web.", "backend-web"),
        ("backend", "worker.", "backend-worker"),
        ("frontend", "", "frontend"),
    ],
)
def test_either_the_chart_or_the_autoscaler_says_how_many(name: str, path: str, deployment: str) -> None:
    fixed = rendered("test", name, {f"{path}replicas": 3}).objects
    assert one(fixed, "Deployment", deployment)["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in {each["kind"] for each in fixed}
    bounds = {"enabled": True, "minReplicas": 2, "maxReplicas": 9, "cpuUtilization": 55}
    scaled = rendered("test", name, {f"{path}autoscaling": bounds}).objects
    assert "replicas" not in one(scaled, "Deployment", deployment)["spec"]
    scaler = one(scaled, "HorizontalPodAutoscaler", deployment)["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 9)
    assert scaler["scaleTargetRef"]["name"] == deployment
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 55
    upside_down = {**bounds, "minReplicas": 10}
    assert f"{path}autoscaling.minReplicas" in refusal("test", name, {f"{path}autoscaling": upside_down})


@pytest.mark.parametrize("name", RELEASES[:3])
def test_a_volume_is_of_the_class_and_size_that_a_stage_says_and_outlives_its_release(name: str) -> None:
    said = {"persistence.storageClass": "gp3", "persistence.size": "3Gi"}
    other = one(rendered("test", name, said).objects, "PersistentVolumeClaim", f"{name}-data")
    assert other["spec"]["storageClassName"] == "gp3"
    assert other["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert other["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    of_test = one(rendered_once("test", name), "PersistentVolumeClaim", f"{name}-data")
    assert "storageClassName" not in of_test["spec"], "the cluster's default"


def test_the_queue_evicts_nothing_and_keeps_a_log() -> None:
    lines = one(rendered_once("test", "redis"), "ConfigMap", "redis")["data"]["valkey.conf"].splitlines()
    assert {"maxmemory-policy noeviction", "appendonly yes"} <= set(lines)


def test_gunicorn_and_celery_run_as_many_as_the_values_say() -> None:
    changes = {"web.workers": 3, "web.threads": 5, "worker.concurrency": 7, "logLevel": "DEBUG"}
    templates = pods(rendered("test", "backend", changes).objects)
    web = templates["Deployment/backend-web"]["spec"]["containers"][0]
    worker = templates["Deployment/backend-worker"]["spec"]["containers"][0]
    assert {"--workers=3", "--threads=5"} <= set(web["command"])
    assert {"--concurrency=7", "--loglevel=DEBUG"} <= set(worker["command"])
    assert worker["resources"]["limits"]["memory"] == f"{512 + 7 * 1280}Mi", "each may decode at the same time"
    assert _environ(web)["PHOTO_MAX_BYTES"] == "104857600", "no float"
    assert _environ(web)["LOG_LEVEL"] == "DEBUG"


def test_metrics_are_for_the_scrapers_namespaces_alone_and_not_for_the_edge() -> None:
    told = rendered("test", "backend", {"networkPolicy.scrapers": ["monitoring"]}).objects
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    for component, port in (("web", "http"), ("worker", "metrics")):
        container = pods(told)[f"Deployment/backend-{component}"]["spec"]["containers"][0]
        assert port in {each["name"] for each in container["ports"]}
        assert _environ(container)["PROMETHEUS_MULTIPROC_DIR"].startswith("/tmp/")  # noqa: S108 - the pod's own
        [rule] = one(told, "NetworkPolicy", f"backend-{component}")["spec"]["ingress"]
        assert monitoring in rule["from"]
        assert [each["port"] for each in rule["ports"]] == [port]
    silent = {each["metadata"]["name"] for each in rendered_once("test", "backend") if each["kind"] == "NetworkPolicy"}
    assert silent == {"backend", "backend-web"}, "without scrapers nobody calls a worker"
    for stage in STAGES:
        edge = one(rendered_once(stage, "frontend"), "ConfigMap", "frontend")["data"]["edge.conf"]
        assert re.search(r"location ~ \^/metrics\(/\|\$\) \{\s+include \S+;\s+return 404;", edge)


def _environ(container: Tree) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_the_migration_needs_nothing_that_its_release_brings() -> None:
    (hook,) = rendered("test", "backend").hooks
    annotations = hook["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation", "or the log of a failure is gone"
    spec = hook["spec"]["template"]["spec"]
    assert "serviceAccountName" not in spec
    sources = [source for volume in spec["volumes"] for source in volume if source != "name"]
    assert set(sources) == {"projected", "secret", "emptyDir"}


def test_a_migration_says_what_it_works_with() -> None:
    def inputs(**changes: object) -> str | None:
        (hook,) = rendered("test", "backend", {"migration.inputs": "a", **changes}).hooks
        found: str | None = hook["metadata"]["annotations"].get("pl/inputs")
        return found

    first = inputs()
    assert first == inputs(**{"images.web": "registry/hmlet-web:other", "logLevel": "DEBUG"})
    for changes in (
        {"migration.inputs": "b"},
        {"database.host": "elsewhere"},
        {"admin.username": "root"},
        {"auth.admin.checksum": "c"},
    ):
        assert inputs(**changes) not in (first, None), changes
    assert inputs(**{"migration.inputs": ""}) is None, "what is not known is always run"


def test_each_program_has_the_keys_of_its_own_identity() -> None:
    had = {
        owner: {source["secret"]["name"] for volume in pod["spec"]["volumes"] for source in _sources(volume)}
        for owner, pod in pods(rendered_once("prod", "backend")).items()
    }
    assert had == {
        "Deployment/backend-web": {"backend-auth"},
        "Deployment/backend-worker": {"backend-worker-auth"},
        "Deployment/backend-beat": {"backend-worker-auth"},
        "CronJob/backend-sweep": {"backend-sweeper-auth"},
        "CronJob/backend-integrity": {"backend-sweeper-auth"},
        "CronJob/backend-backup": {"backend-backup-auth"},
        "Job/backend-migration": {"backend-auth", "backend-admin-auth"},
    }


def _sources(volume: Tree) -> list[Tree]:
    if "secret" in volume:
        return [{"secret": {"name": volume["secret"]["secretName"]}}]
    return list(volume.get("projected", {"sources": []})["sources"])


def test_database_queue_and_storage_may_all_be_elsewhere() -> None:
    changes = {
        "database": {"host": "db.example.com", "port": 6432, "sslMode": "verify-full", "secretName": "rds"},
        "redis": {"host": "queue.example.com", "port": 6380, "tls": True, "secretName": "cache", "secretKey": "auth"},
        "storage.endpoint": "https://s3.eu-central-1.amazonaws.com",
        "storage.publicEndpoint": "https://s3.eu-central-1.amazonaws.com",
        "storage.region": "eu-central-1",
        "storage.secretNames": {"web": "s3-web", "worker": "s3-worker", "sweeper": "s3-sweeper", "backup": "s3-backup"},
    }
    assert set(releases("prod", installed=())) == {"backend", "frontend"}
    objects = rendered("prod", "backend", changes, installed=()).objects
    pod = pods(objects)["Deployment/backend-web"]
    environ = _environ(pod["spec"]["containers"][0])
    assert (environ["DATABASE_HOST"], environ["DATABASE_PORT"]) == ("db.example.com", "6432")
    assert (environ["DATABASE_SSLMODE"], environ["REDIS_TLS"]) == ("verify-full", "1")
    assert (environ["S3_REGION"], environ["S3_ENDPOINT_URL"]) == ("eu-central-1", changes["storage.endpoint"])
    (volume,) = (volume for volume in pod["spec"]["volumes"] if "projected" in volume)
    taken = [
        (source["secret"]["name"], item["key"], item["path"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    ]
    assert taken == [
        ("backend-auth", "django-secret-key", "django-secret-key"),
        ("rds", "password", "database-password"),
        ("cache", "auth", "redis-password"),
        ("s3-web", "access-key", "s3-access-key"),
        ("s3-web", "secret-key", "s3-secret-key"),
    ]
    assert not [label for label in pod["metadata"]["labels"] if label.endswith("-client")]
    egress = one(objects, "NetworkPolicy", "backend")["spec"]["egress"]
    assert {port["port"] for rule in egress for port in rule["ports"]} == {53, 6432, 6380, 443}
    edge = one(rendered("prod", "frontend", installed=()).objects, "ConfigMap", "frontend")["data"]["edge.conf"]
    assert "$storage" not in edge


def test_with_a_certificate_the_edge_speaks_tls_and_sends_others_there() -> None:
    objects = rendered("prod", "frontend").objects
    conf = one(objects, "ConfigMap", "frontend")["data"]["edge.conf"]
    assert conf.count("listen 8443 ssl") == 2
    assert "return 308 https://hmlet.photos.prod$request_uri;" in conf
    assert "X-Forwarded-Proto https;" in conf
    ports = {port["name"] for port in one(objects, "Service", "frontend")["spec"]["ports"]}
    assert ports == {"http", "https"}
    without = rendered("test", "frontend").objects
    assert "ssl" not in one(without, "ConfigMap", "frontend")["data"]["edge.conf"]


@pytest.mark.parametrize("stage", STAGES)
def test_only_who_may_talk_to_a_data_release_has_its_label(stage: str) -> None:
    for name in RELEASES[:3]:
        (rule,) = one(rendered_once(stage, name), "NetworkPolicy", name)["spec"]["ingress"]
        assert rule["from"] == [{"podSelector": {"matchLabels": {f"{name}-client": "true"}}}]
    for pod in pods(rendered_once(stage, "backend")).values():
        assert {f"{name}-client" for name in RELEASES[:3]} <= set(pod["metadata"]["labels"])
    (edge,) = pods(rendered_once(stage, "frontend")).values()
    assert [label for label in edge["metadata"]["labels"] if label.endswith("-client")] == ["minio-client"]


def _settings(stage: str, changes: Mapping[str, Any]) -> dict[str, str]:
    web = pods(rendered(stage, "backend", changes).objects)["Deployment/backend-web"]["spec"]["containers"][0]
    return {variable["name"]: variable["value"] for variable in web["env"]}


def test_limits_and_times_go_from_the_stages_fields_into_settings() -> None:
    settings = releases("test")["backend"].settings
    assert settings["logins"] == {
        "windowSeconds": 900,
        "failures": 10,
        "failuresOfAddress": 1000,
        "failuresOfAccount": 100,
    }
    assert settings["jobs"] == {"keptDays": 30, "backgroundAtOnce": 1}
    assert settings["thumbnails"] == {"keptHours": 24}
    assert settings["diffs"] == {"kept": False, "keptHours": 24}
    changes = {
        "logins.failures": 7,
        "logins.failuresOfAccount": 0,
        "jobs.keptDays": 3,
        "thumbnails.keptHours": 5,
        "diffs.kept": True,
        "diffs.keptHours": 6,
    }
    told = _settings("test", {**changes, "jobs.backgroundAtOnce": 4, "trustedProxies": ["edge", "10.0.0.0/8"]})
    assert {
        name: told[name] for name in told if name.startswith(("LOGIN", "JOBS", "THUMBNAILS", "DIFFS", "TRUSTED"))
    } == {
        "LOGIN_WINDOW_S": "900",
        "LOGIN_FAILURES_MAX": "7",
        "LOGIN_FAILURES_OF_ADDRESS_MAX": "1000",
        "LOGIN_FAILURES_OF_ACCOUNT_MAX": "0",
        "JOBS_KEPT_DAYS": "3",
        "JOBS_BACKGROUND_AT_ONCE": "4",
        "THUMBNAILS_KEPT_HOURS": "5",
        "DIFFS_KEEP": "1",
        "DIFFS_KEPT_HOURS": "6",
        "TRUSTED_PROXIES": "edge 10.0.0.0/8",
    }


@pytest.mark.parametrize("stage", STAGES)
def test_web_believes_the_edges_pods_and_no_others(stage: str) -> None:
    trusted = _settings(stage, {})["TRUSTED_PROXIES"]
    edge = rendered_once(stage, "frontend")
    service = one(edge, "Service", trusted)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    labels = pods(edge)["Deployment/frontend"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


@pytest.mark.parametrize("stage", STAGES)
def test_the_edge_tells_browsers_to_come_by_https_where_there_is_tls(stage: str) -> None:
    files = one(rendered_once(stage, "frontend"), "ConfigMap", "frontend")["data"]
    encrypted = stage in {"stage", "prod"}
    for text in (files["own.headers"], files["edge.conf"]):
        assert ('Strict-Transport-Security "max-age=31536000" always;' in text) is encrypted


def test_the_authorities_of_services_elsewhere_go_as_a_file_that_settings_name() -> None:
    changes = {
        "authorities": {"secretName": "authorities", "key": "all.pem", "checksum": "one"},
        "database.sslMode": "verify-full",
        "redis.tls": True,
        "storage.endpoint": "https://s3.example",
        "storage.encryption": {"kind": "aws:kms", "key": "alias/photos"},
    }
    objects = rendered("test", "backend", changes).objects
    for owner, pod in pods(objects).items():
        told = _environ(pod["spec"]["containers"][0])
        assert {told[f"{part}_CA_PATH"] for part in ("DATABASE", "REDIS", "S3")} == {
            "/run/secrets/hmlet/authorities.crt"
        }, owner
        assert (told["DATABASE_SSLMODE"], told["REDIS_TLS"]) == ("verify-full", "1")
        assert (told["S3_ENCRYPTION"], told["S3_ENCRYPTION_KEY"]) == ("aws:kms", "alias/photos")
        sources = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "secrets")["projected"][
            "sources"
        ]
        assert {"name": "authorities", "items": [{"key": "all.pem", "path": "authorities.crt"}]} in [
            source["secret"] for source in sources
        ], owner
    web = pods(objects)["Deployment/backend-web"]["metadata"]["annotations"]
    other = rendered("test", "backend", {**changes, "authorities.checksum": "another"}).objects
    assert web != pods(other)["Deployment/backend-web"]["metadata"]["annotations"]


@pytest.mark.parametrize("stage", STAGES)
def test_flower_is_there_where_it_is_asked_for_and_nothing_leads_to_it(stage: str) -> None:
    assert not [name for name in pods(rendered_once(stage, "backend")) if "flower" in name]
    objects = rendered(stage, "backend", {"flower": {"enabled": True, "image": "registry.example/flower:2"}}).objects
    pod = pods(objects)["Deployment/backend-flower"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.example/flower:2"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    # Neither what opens the database or the storage, nor any door but the queue's.
    assert not any("hmlet-web" in str(value) or "S3" in str(value) for value in _environ(container).values())
    secrets = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert secrets["credentials"]["secret"]["secretName"] == "backend-flower-auth"
    keys = [item["key"] for source in secrets["secrets"]["projected"]["sources"] for item in source["secret"]["items"]]
    assert keys == ["redis-password"]
    labels = pod["metadata"]["labels"]
    assert {name for name in labels if name.endswith("-client")} <= {"redis-client"}
    assert one(objects, "Service", "backend-flower")["spec"]["type"] == "ClusterIP"
    # All of the release's pods are kept from others; web's door is opened to the edge, and flower's to nobody.
    policies = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
    admitting = [spec for spec in policies if spec["podSelector"]["matchLabels"].items() <= labels.items()]
    assert len(admitting) == 1
    assert admitting[0]["ingress"] == []
    assert "Ingress" in admitting[0]["policyTypes"]
    edge = one(rendered_once(stage, "frontend"), "ConfigMap", "frontend")["data"]
    assert not any("flower" in text or "5555" in text for text in edge.values())
    worker = pods(objects)["Deployment/backend-worker"]["spec"]["containers"][0]
    assert "--task-events" in worker["command"]


def test_a_kind_stage_of_https_has_tls_at_its_edge_by_a_certificate_that_is_made() -> None:
    env = load(CHECKOUT, project="hmlet", stage="local", instance="charts")
    assert isinstance(env, HmletKindEnv)
    # A field of the class, as env_STAGE.py would set it, and what followed from it.
    object.__setattr__(env, "scheme", "https")
    for name in ("ca_file", "web_url", "storage_url"):
        vars(env).pop(name, None)
    made = platform(env)
    edge = next(release for release in made.releases if release.name == "frontend")
    assert edge.settings["tls"] == {"secretName": "frontend-tls"}
    assert edge.settings["service"] == {"type": "NodePort", "tlsNodePort": env.edge_node_port}
    assert edge.secrets == {"tls.checksum": "frontend-tls"}
    (pair,) = [secret for secret in made.secrets if secret.name == "frontend-tls"]
    assert set(pair.keys) == {"tls.crt", "tls.key"}
    assert env.certificates() == {"edge": (env.web_host, env.storage_host)}
    assert env.ca_file
    service = one(rendered_release(edge).objects, "Service", "frontend")
    ports = {port["name"]: port.get("nodePort") for port in service["spec"]["ports"]}
    assert ports == {"http": None, "https": env.edge_node_port}


@pytest.mark.parametrize("stage", ["stage", "prod"])
def test_where_people_come_the_certificate_is_none_of_the_toolkits(stage: str) -> None:
    env = load(CHECKOUT, project="hmlet", stage=stage, instance="charts")
    assert isinstance(env, HmletClusterEnv)
    assert env.certificates() == {}
    assert env.ca_file == ""
    assert "frontend-tls" not in [secret.name for secret in platform(env).secrets]
