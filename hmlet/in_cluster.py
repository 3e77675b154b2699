"""What the photos platform consists of in a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pl.cluster.platform import ClusterPlatform, Development, Image, Inside, Release, SecretObject, Suite
from pl.cluster_env import ExistingEnv
from pl.env import Secret

from hmlet import backup_keys, sources, tls
from hmlet.env_comm import DataService, HmletClusterEnv, HmletKindEnv

_POSTGRESQL = "postgres:18"
_VALKEY = "valkey/valkey:8.1"
_MINIO = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
_PYTHON = "python:3.11-slim-bookworm"

_APPS = (
    "access",
    "backups",
    "diffs",
    "gallery",
    "idempotency",
    "imaging",
    "jobs",
    "ops",
    "quotas",
    "thumbnails",
    "uploads",
)
# gunicorn and Celery both begin anew on SIGHUP. What is not listed wants another image and a deploy: that runs
# migrations, and gunicorn's master keeps the settings that it began with.
_SYNCED = Development(
    folder="/srv/hmlet",
    files=(*(f"{app}/{files}.py" for app in _APPS for files in ("*", "api/**/*", "management/**/*")), "**/*.html"),
    arguments={"SOURCE_OWNER": "10001"},
    after=("sh", "-c", "kill -HUP 1"),
)


def platform(env: HmletClusterEnv) -> ClusterPlatform:
    """Data services where they are the cluster's own, the backend, and the edge in front of it."""
    photos, frontend = env.root / "photos", env.root / "frontend"
    web = Inside(workload="deployment/backend-web", container="web")
    return ClusterPlatform(
        namespace=env.namespace,
        images=(
            Image(name="hmlet-web", context=photos / "flesh", target="web"),
            Image(name="hmlet-worker", context=photos / "flesh", target="worker"),
            Image(name="hmlet-frontend", context=frontend / "flesh"),
        ),
        secrets=tuple(_secrets(env)),
        releases=tuple(_releases(env)),
        inside={
            "": web,
            "photos": web,
            "frontend": Inside(workload="deployment/frontend", container="edge"),
        },
        places={"worker": Inside(workload="deployment/backend-worker", container="worker")},
        scheduled={"integrity": "backend-integrity", "backup": "backend-backup"},
        host_names=(env.web_host, *((env.storage_host,) if "minio" in env.installed else ())),
        edge="frontend",
        development={
            "hmlet-web": _SYNCED,
            # Web goes first: it is web that somebody waits for.
            "hmlet-worker": replace(_SYNCED, after=("sh", "-c", "(sleep 2; kill -HUP 1) >/dev/null 2>&1 &")),
            "hmlet-frontend": Development(),
        },
        suites={
            "photos": Suite(
                image=Image(name="hmlet-tests", context=photos / "flesh", dockerfile="tests.Dockerfile"), of="hmlet-web"
            )
        },
    )


def _releases(env: HmletClusterEnv) -> Iterable[Release]:
    charts = env.checkout / "comm/charts"
    photos, frontend = env.root / "photos", env.root / "frontend"
    values = photos / "values" / env.stage
    data: dict[DataService, Release] = {
        "postgresql": Release(
            name="postgresql",
            chart=charts / "postgresql",
            app="photos",
            values=values / "postgresql.yaml",
            settings={"database": env.database_name, "user": env.database_user, **_server(env, "postgresql")},
            images={"image": _POSTGRESQL},
            secrets={"auth.checksum": "postgresql-auth", **tls.of_server_digests(env, "postgresql")},
        ),
        "redis": Release(
            name="redis",
            chart=charts / "redis",
            app="photos",
            values=values / "redis.yaml",
            settings=_server(env, "redis"),
            images={"image": _VALKEY},
            secrets={"auth.checksum": "redis-auth", **tls.of_server_digests(env, "redis")},
        ),
        "minio": Release(
            name="minio",
            chart=charts / "minio",
            app="photos",
            values=values / "minio.yaml",
            settings={
                "region": env.storage_region,
                "buckets": {**_buckets(env), "backups": env.backups_bucket},
                **({"encryption": {"secretName": "minio-encryption"}} if env.storage_encrypted else {}),
                **_server(env, "minio"),
            },
            images={"image": _MINIO, "bootstrap.image": _PYTHON},
            secrets={
                "auth.checksum": "minio-auth",
                **({"encryption.checksum": "minio-encryption"} if env.storage_encrypted else {}),
                **tls.of_server_digests(env, "minio"),
            },
        ),
    }
    installed = [data[name] for name in env.installed]
    yield from installed
    yield Release(
        name="backend",
        chart=photos / "chart",
        app="photos",
        values=values / "backend.yaml",
        settings={
            "publicUrl": env.web_url,
            "logLevel": env.log_level,
            "photoMaxBytes": env.photo_max_bytes,
            "jobs": {"keptDays": env.jobs_kept_days, "backgroundAtOnce": env.jobs_background_at_once},
            "thumbnails": {"keptHours": env.thumbnails_kept_hours},
            "diffs": {"kept": env.diffs_kept, "keptHours": env.diffs_kept_hours},
            "logins": {
                "windowSeconds": env.login_window_s,
                "failures": env.login_failures_max,
                "failuresOfAddress": env.login_failures_of_address_max,
                "failuresOfAccount": env.login_failures_of_account_max,
            },
            "admin": {"username": env.admin_username},
            "migration": {"inputs": sources.migration(photos / "flesh")},
            "database": {
                "host": env.database_host,
                "port": env.database_port,
                "name": env.database_name,
                "user": env.database_user,
                **tls.of_database(env),
            },
            "redis": {"host": env.redis_host, "port": env.redis_port, **tls.of_queue(env)},
            **tls.of_clients(env),
            "storage": {
                "endpoint": tls.storage_endpoint(env),
                "publicEndpoint": env.storage_url,
                "region": env.storage_region,
                "buckets": {**_buckets(env), "backups": env.backups_bucket},
            },
            "backup": {
                "recipients": list(backup_keys.known_recipients(env)),
                "about": {"project": env.root.name, "stage": env.stage, "instance": env.instance},
            },
        },
        images={"images.web": "hmlet-web", "images.worker": "hmlet-worker"},
        secrets={
            "auth.web.checksum": "backend-auth",
            "auth.worker.checksum": "backend-worker-auth",
            "auth.sweeper.checksum": "backend-sweeper-auth",
            "auth.backup.checksum": "backend-backup-auth",
            "auth.admin.checksum": "backend-admin-auth",
            **tls.of_clients_digests(env),
        },
        needs=tuple(release.name for release in installed),
        development={
            "development": True,
            "web": {"replicas": 1, "workers": 1},
            "worker": {"replicas": 1, "concurrency": 1},
        },
    )
    edge: dict[str, object] = {"publicUrl": env.web_url, "photoMaxBytes": env.photo_max_bytes}
    edge["storage"] = {
        "publicUrl": env.storage_url,
        "buckets": _buckets(env),
        "enabled": "minio" in env.installed,
        **tls.of_edges_storage(env),
    }
    if isinstance(env, HmletKindEnv):
        port = "tlsNodePort" if tls.encrypts_at_the_edge(env) else "nodePort"
        edge |= {"service": {"type": "NodePort", port: env.edge_node_port}, **tls.of_edge(env)}
    yield Release(
        name="frontend",
        chart=frontend / "chart",
        app="frontend",
        values=frontend / "values" / env.stage / "frontend.yaml",
        settings=edge,
        images={"image": "hmlet-frontend"},
        secrets=tls.of_edge_digests(env),
        needs=("backend",),
    )


def _secrets(env: HmletClusterEnv) -> Iterable[SecretObject]:
    keys = {
        "web": (env.storage_web_access_key, env.storage_web_secret_key),
        "worker": (env.storage_worker_access_key, env.storage_worker_secret_key),
        "sweeper": (env.storage_sweeper_access_key, env.storage_sweeper_secret_key),
        "backup": (env.storage_backup_access_key, env.storage_backup_secret_key),
    }
    if "postgresql" in env.installed:
        yield SecretObject(name="postgresql-auth", keys={"password": env.database_password})
    if "redis" in env.installed:
        yield SecretObject(name="redis-auth", keys={"password": env.redis_password})
    if "minio" in env.installed:
        users: dict[str, Secret | str] = {
            "root-user": env.storage_root_user,
            "root-password": env.storage_root_password,
        }
        for identity, (access, secret) in keys.items():
            users |= {f"{identity}-access-key": access, f"{identity}-secret-key": secret}
        yield SecretObject(name="minio-auth", keys=users)
        if env.storage_encrypted:
            yield SecretObject(name="minio-encryption", keys={"kms-key": env.storage_kms_key})
    of_backend = {
        "web": "backend-auth",
        "worker": "backend-worker-auth",
        "sweeper": "backend-sweeper-auth",
        "backup": "backend-backup-auth",
    }
    for identity, name in of_backend.items():
        access, secret = keys[identity]
        yield SecretObject(
            name=name,
            keys={
                "django-secret-key": env.django_secret_key,
                "database-password": env.database_password,
                "redis-password": env.redis_password,
                "s3-access-key": access,
                "s3-secret-key": secret,
            },
        )
    yield SecretObject(name="backend-admin-auth", keys={"password": env.admin_password})
    yield from tls.secrets(env)


def _server(env: HmletClusterEnv, name: DataService) -> dict[str, object]:
    """What a data service is told that is no matter of its own."""
    return {**_volume(env), **tls.of_server(env, name)}


def _buckets(env: HmletClusterEnv) -> dict[str, object]:
    return {"originals": env.originals_bucket, "thumbnails": env.thumbnails_bucket}


def _volume(env: HmletClusterEnv) -> dict[str, object]:
    """Where volumes come from, in a cluster whose default is not wanted."""
    if isinstance(env, ExistingEnv) and env.storage_class:
        return {"persistence": {"storageClass": env.storage_class}}
    return {}
