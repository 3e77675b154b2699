"""What the photos platform consists of on the host stage."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pl import proc
from pl.digest import text_digest
from pl.env import Secret
from pl.host.platform import NotReadyError, Platform, Program, Task
from pl.host.postgresql import make_database, postgresql
from pl.host.probes import http_status
from pl.host.state import StageState
from pl.host.storage import storage
from pl.host.valkey import ask, valkey

from hmlet import sources
from hmlet.env_host import HostEnv

_DATABASE = "hmlet"
_USER = "hmlet"
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""As in the worker's image: each image is decoded by a process of its own, which asks for its memory anew."""


def platform(env: HostEnv) -> Platform:
    """Servers, web, worker and beat, and what must be done before they start."""
    state = StageState(env.state)
    flesh = env.root / "photos/flesh"
    settings = _settings(env)
    python = str(Path(sys.prefix).resolve() / "bin/python")
    code, work_code = sources.web_code(flesh), sources.work_code(flesh)

    def manage(*words: str, password: Secret | None = None) -> None:
        environ = {"PATH": os.defpath, "LANG": "C.UTF-8", **settings, **state.tag}
        stdin = f"{password.reveal()}\n" if password else ""
        proc.run([python, "manage.py", *words], env=environ, cwd=flesh, input=stdin, timeout_s=300)

    def celery(*words: str) -> tuple[str, ...]:
        return (python, "-m", "celery", "--app", "config", *words, "--loglevel", env.log_level)

    return Platform(
        programs=(
            postgresql(
                state,
                port=env.database_port,
                user=_USER,
                password=env.database_password,
                pl_path=env.checkout / "comm/python",
            ),
            valkey(state, port=env.redis_port, password=env.redis_password),
            storage(state, port=env.storage_port, access_key=env.storage_access_key, secret_key=env.storage_secret_key),
            Program(
                name="web",
                argv=(python, "-m", "gunicorn", "config.wsgi", *_gunicorn(env)),
                cwd=flesh,
                env=settings | {"PROMETHEUS_MULTIPROC_DIR": str(state.run / "metrics-web")},
                needs=("check", "migrations", "buckets", "admin", "redis"),
                code=code,
                port=env.web_port,
                check_ready=lambda: _answers(env.web_port),
                stop_within_s=40,
            ),
            Program(
                name="worker",
                argv=celery(
                    "worker", "--concurrency", str(env.worker_processes), "--without-gossip", "--without-mingle"
                ),
                cwd=flesh,
                env=settings | _HUGE_PAGES,
                needs=("check", "migrations", "buckets", "redis"),
                code=work_code,
                check_ready=lambda: _listens(env.redis_port, env.redis_password),
                stop_within_s=60,
            ),
            Program(
                name="beat",
                argv=celery("beat", "--schedule", str(state.run / "beat-schedule"), "--pidfile", ""),
                cwd=flesh,
                env=settings,
                needs=("check", "migrations", "redis"),
                code=work_code,
            ),
        ),
        tasks=(
            # Before anything is stopped: code that cannot even be imported leaves the old processes as they are.
            Task(
                name="check",
                run=lambda: manage("check"),
                fingerprint=text_digest(python, code),
            ),
            Task(
                name="database",
                run=lambda: make_database(
                    _DATABASE, port=env.database_port, user=_USER, password=env.database_password
                ),
                fingerprint=_DATABASE,
                needs=("postgresql",),
            ),
            Task(
                name="migrations",
                run=lambda: manage("migrate", "--no-input", "--skip-checks", "--verbosity", "0"),
                # Where packages are follows from the lock.
                fingerprint=sources.schema(flesh, python),
                needs=("check", "database"),
            ),
            Task(
                name="buckets",
                run=lambda: manage("ensure_buckets"),
                fingerprint=text_digest(env.originals_bucket, env.thumbnails_bucket),
                needs=("storage",),
            ),
            Task(
                name="admin",
                run=lambda: manage("ensure_user", env.admin_username, "--superuser", password=env.admin_password),
                fingerprint=text_digest(env.admin_username, env.admin_password.reveal()),
                needs=("migrations",),
            ),
        ),
        shell_env=settings,
        shell_cwd=flesh,
        scheduled={"integrity": (python, "manage.py", "integrity")},
    )


def _settings(env: HostEnv) -> dict[str, str]:
    """The flesh's settings (the table in doc/architecture.rst). Secrets go as the paths of their files."""
    return {
        "DJANGO_SECRET_KEY_FILE": str(env.django_secret_key.path),
        "DATABASE_HOST": "127.0.0.1",
        "DATABASE_PORT": str(env.database_port),
        "DATABASE_NAME": _DATABASE,
        "DATABASE_USER": _USER,
        "DATABASE_PASSWORD_FILE": str(env.database_password.path),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(env.redis_port),
        "REDIS_PASSWORD_FILE": str(env.redis_password.path),
        "S3_ENDPOINT_URL": env.storage_url,
        "S3_ACCESS_KEY_FILE": str(env.storage_access_key.path),
        "S3_SECRET_KEY_FILE": str(env.storage_secret_key.path),
        "S3_ORIGINALS_BUCKET": env.originals_bucket,
        "S3_THUMBNAILS_BUCKET": env.thumbnails_bucket,
        "PUBLIC_URL": env.web_url,
        "LOG_LEVEL": env.log_level,
        "PHOTO_MAX_BYTES": str(env.photo_max_bytes),
        "JOBS_KEPT_DAYS": str(env.jobs_kept_days),
        "JOBS_BACKGROUND_AT_ONCE": str(env.jobs_background_at_once),
        "THUMBNAILS_KEPT_HOURS": str(env.thumbnails_kept_hours),
        "DIFFS_KEEP": str(int(env.diffs_kept)),
        "DIFFS_KEPT_HOURS": str(env.diffs_kept_hours),
        "LOGIN_WINDOW_S": str(env.login_window_s),
        "LOGIN_FAILURES_MAX": str(env.login_failures_max),
        "LOGIN_FAILURES_OF_ADDRESS_MAX": str(env.login_failures_of_address_max),
        "LOGIN_FAILURES_OF_ACCOUNT_MAX": str(env.login_failures_of_account_max),
    }


def _gunicorn(env: HostEnv) -> tuple[str, ...]:
    return (
        *("--config", "config/gunicorn.py", "--preload"),
        *("--bind", f"127.0.0.1:{env.web_port}"),
        *("--workers", str(env.web_processes), "--threads", str(env.web_threads)),
    )


def _listens(redis_port: int, redis_password: Secret) -> None:
    """Whether a worker is there, busy or not.

    When it is ready it subscribes to Celery's remote control, a pattern, and nobody else subscribes to any. The queue
    knows that in a millisecond; asking the worker itself takes an import of Celery.
    """
    if ask(redis_port, redis_password, "PUBSUB", "NUMPAT") == ":0\r\n":
        raise NotReadyError("it does not listen to the queue")


def _answers(port: int) -> None:
    status = http_status(port, "/healthz/ready")
    if status != 200:
        raise NotReadyError(f"/healthz/ready answered {status}")
