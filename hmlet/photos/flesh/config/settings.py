"""Settings of web, worker and beat, all from environment variables (the table in doc/architecture.rst)."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

from config.environ import Environ

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environ(os.environ)

SECRET_KEY = env.text("DJANGO_SECRET_KEY")
PUBLIC_URL = env.url("PUBLIC_URL")
PHOTO_MAX_BYTES = env.integer("PHOTO_MAX_BYTES", 100 * 1024 * 1024)
PHOTO_QUOTA_BYTES = env.integer("PHOTO_QUOTA_BYTES", 50 * 1024 * 1024 * 1024)
JOBS_KEPT_DAYS = env.integer("JOBS_KEPT_DAYS", 30)
JOBS_BACKGROUND_AT_ONCE = env.integer("JOBS_BACKGROUND_AT_ONCE", 1)
THUMBNAILS_KEPT_HOURS = env.integer("THUMBNAILS_KEPT_HOURS", 24)
DIFFS_KEEP = env.integer("DIFFS_KEEP", 0) == 1
DIFFS_KEPT_HOURS = env.integer("DIFFS_KEPT_HOURS", 24)
LOG_LEVEL = env.text("LOG_LEVEL", "INFO").upper()
LOG_FORMAT = env.choice("LOG_FORMAT", ("line", "json"), "line")

_public = urlsplit(PUBLIC_URL)
_https = _public.scheme == "https"

DEBUG = False
ALLOWED_HOSTS = [_public.hostname or "", "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"] if _public.netloc else []
# Networks and host names whose X-Forwarded-For and -Proto are believed: the edge's.
TRUSTED_PROXIES = env.text("TRUSTED_PROXIES", "").split()

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "ops",
    "access",
    "jobs",
    "idempotency",
    "quotas",
    "uploads",
    "gallery",
    "thumbnails",
    "diffs",
    "backups",
]

MIDDLEWARE = [
    "ops.middleware.RequestIdMiddleware",
    # Headers of every answer, so these stand before whoever answers.
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "ops.middleware.ContentSecurityMiddleware",
    "ops.middleware.ProbesMiddleware",
    "ops.middleware.RequestMetricsMiddleware",
    "ops.middleware.LengthRequiredMiddleware",
    "ops.forwarded.ForwardedMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "ops.middleware.RefusedMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_database_host = env.text("DATABASE_HOST", "")
_database_ca = env.file("DATABASE_CA_PATH")
if _database_host:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": _database_host,
            "PORT": env.integer("DATABASE_PORT", 5432),
            "NAME": env.text("DATABASE_NAME"),
            "USER": env.text("DATABASE_USER"),
            "PASSWORD": env.text("DATABASE_PASSWORD"),
            "CONN_MAX_AGE": 600,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {
                "sslmode": env.choice(
                    "DATABASE_SSLMODE", ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"), "prefer"
                ),
                **({"sslrootcert": _database_ca} if _database_ca else {}),
                "connect_timeout": 5,
                "options": "-c idle_in_transaction_session_timeout=60s",
            },
        }
    }
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": env.text("DATABASE_NAME")}}

# Object storage: two private buckets, never listed or read without a signature

S3_ENDPOINT_URL = env.url("S3_ENDPOINT_URL")
S3_PUBLIC_ENDPOINT_URL = env.url("S3_PUBLIC_ENDPOINT_URL", S3_ENDPOINT_URL)

_bucket = {
    "endpoint_url": S3_ENDPOINT_URL,
    "public_endpoint_url": S3_PUBLIC_ENDPOINT_URL,
    "access_key": env.text("S3_ACCESS_KEY"),
    "secret_key": env.text("S3_SECRET_KEY"),
    "region_name": env.text("S3_REGION", "us-east-1"),
    "verify": env.file("S3_CA_PATH"),
    "encryption": env.choice("S3_ENCRYPTION", ("none", "AES256", "aws:kms"), "none"),
    "encryption_key": env.text("S3_ENCRYPTION_KEY", ""),
}
STORAGES = {
    "originals": {
        "BACKEND": "gallery.buckets.OriginalsBucket",
        "OPTIONS": {**_bucket, "bucket_name": env.text("S3_ORIGINALS_BUCKET", "hmlet-originals")},
    },
    "thumbnails": {
        "BACKEND": "gallery.buckets.ThumbnailsBucket",
        "OPTIONS": {**_bucket, "bucket_name": env.text("S3_THUMBNAILS_BUCKET", "hmlet-thumbnails")},
    },
    "backups": {
        "BACKEND": "backups.bucket.BackupsBucket",
        "OPTIONS": {**_bucket, "bucket_name": env.text("S3_BACKUPS_BUCKET", "hmlet-backups")},
    },
    # Nothing may be stored by accident: a FileField without a named storage has nowhere to go.
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A photo up to this size is received in memory, a larger one in a temporary file.
FILE_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
FILE_UPLOAD_HANDLERS = ["gallery.uploads.InMemory", "gallery.uploads.InTemporaryFile"]

# An announced upload over this size goes to the bucket in parts.
UPLOAD_PARTS_OVER_BYTES = 64 * 1024 * 1024

# Static files. whitenoise serves them from the packages, so that nothing is to be collected.

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

# Sign-in

LOGIN_URL = "admin:login"
AUTHENTICATION_BACKENDS = ["access.backends.ThrottledBackend"]
# Failed logins within the window: of an account from one address, of an address, of an account. 0: no limit.
LOGIN_WINDOW_S = env.integer("LOGIN_WINDOW_S", 900)
LOGIN_FAILURES_MAX = env.integer("LOGIN_FAILURES_MAX", 10)
LOGIN_FAILURES_OF_ADDRESS_MAX = env.integer("LOGIN_FAILURES_OF_ADDRESS_MAX", 100)
LOGIN_FAILURES_OF_ACCOUNT_MAX = env.integer("LOGIN_FAILURES_OF_ACCOUNT_MAX", 100)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# However often its tokens are refreshed, a sign-in wants the password again after this.
SIGN_IN_LIFETIME = timedelta(days=30)
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    # A changed password ends the tokens that were given for the old one.
    "CHECK_REVOKE_TOKEN": True,
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "access.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["ops.parsers.BoundedJSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "ops.api.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "hmlet photos",
    "DESCRIPTION": "Post photos; list, publish and draft them. Only thumbnails are ever served.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {"StateEnum": "jobs.models.Job.State", "DiffStateEnum": "diffs.models.Diff.State"},
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "ops.schema.errors_everywhere"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# The browser's side of security

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True

# Language and time

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# Queue

REDIS_HOST = env.text("REDIS_HOST")
REDIS_PORT = env.integer("REDIS_PORT", 6379)
_redis, _redis_options = ("rediss", "?ssl_cert_reqs=required") if env.integer("REDIS_TLS", 0) else ("redis", "")
if (_redis_ca := env.file("REDIS_CA_PATH")) and _redis_options:
    _redis_options += f"&ssl_ca_certs={quote(_redis_ca, safe='')}"
_redis_password = quote(env.text("REDIS_PASSWORD"), safe="")
CELERY_BROKER_URL = f"{_redis}://:{_redis_password}@{REDIS_HOST}:{REDIS_PORT}/0{_redis_options}"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Longer than the longest task. Rows' leases, not this, bring back the work of a killed worker.
    "visibility_timeout": 180,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 2,
    "socket_timeout": 15,
    "socket_keepalive": True,
}
CELERY_TASK_DEFAULT_QUEUE = "hmlet"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT = 90
CELERY_TASK_TIME_LIMIT = 120
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE = {
    "reconcile jobs": {"task": "jobs.reconcile", "schedule": 5, "options": {"expires": 10}},
    "sweep jobs": {"task": "jobs.sweep", "schedule": 3600, "options": {"expires": 3600}},
    "sweep thumbnails": {"task": "thumbnails.sweep", "schedule": 600, "options": {"expires": 600}},
    "count what users hold": {"task": "gallery.usages_correct", "schedule": 3600, "options": {"expires": 3600}},
    "sweep comparisons": {"task": "diffs.sweep", "schedule": 600, "options": {"expires": 600}},
    "forget unfinished uploads": {"task": "uploads.sweep", "schedule": 600, "options": {"expires": 600}},
    "forget who was signed in": {"task": "access.sweep", "schedule": 3600, "options": {"expires": 3600}},
    "forget old idempotency keys": {"task": "idempotency.sweep", "schedule": 3600, "options": {"expires": 3600}},
}
# The sweep lists and deletes. Where that takes keys of its own, `manage.py sweep_objects` is run with them instead.
if env.integer("SWEEP_BY_BEAT", 1):
    CELERY_BEAT_SCHEDULE["sweep unreferenced objects"] = {
        "task": "gallery.objects_sweep",
        "schedule": 3600,
        "options": {"expires": 3600},
    }
# Whether web tells Prometheus, at /metrics: only where an edge keeps that from the public. Where a worker does.
METRICS_AT_WEB = env.integer("METRICS_AT_WEB", 0) == 1
METRICS_PORT = env.integer("METRICS_PORT", 0)
# Worker and beat touch it while the queue answers them, for whoever watches them.
HEARTBEAT_FILE = env.text("HEARTBEAT_FILE", "") or None

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"ids": {"()": "ops.logs.IdsFilter"}},
    "formatters": {
        "line": {
            "()": "ops.logs.LineFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s [%(request_id)s %(job_id)s] %(message)s",
        },
        "json": {"()": "ops.logs.JsonFormatter"},
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": LOG_FORMAT,
            "filters": ["ids"],
        },
    },
    "root": {"handlers": ["stdout"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # One line per task, twice: the job rows tell the same and more.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
        # A warning for each retry, with the object's key in it; what fails for good is told by whoever asked.
        "urllib3": {"level": "ERROR"},
        "PIL": {"level": "WARNING"},
    },
}

env.check()
