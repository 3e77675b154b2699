"""The platform's settings with stand-ins for what a stage would set: unit tests need no variable.

With DATABASE_HOST set (and its kin), the same tests run on PostgreSQL.
"""

import os

os.environ.setdefault("DJANGO_SECRET_KEY", "unit-tests-sign-with-this-and-nothing-else-does")
os.environ.setdefault("DATABASE_NAME", ":memory:")
os.environ.setdefault("PUBLIC_URL", "http://testserver")
os.environ.setdefault("REDIS_HOST", "redis.invalid")
os.environ.setdefault("REDIS_PASSWORD", "unused")
os.environ.setdefault("S3_ENDPOINT_URL", "http://s3.invalid")
os.environ.setdefault("S3_ACCESS_KEY", "unused-access-key")
os.environ.setdefault("S3_SECRET_KEY", "unused-secret-key")

from config.settings import *  # noqa: F403

STORAGES = {
    "originals": {"BACKEND": "tests.buckets.MemoryBucket", "OPTIONS": {"bucket_name": "originals"}},
    "thumbnails": {"BACKEND": "tests.buckets.MemoryBucket", "OPTIONS": {"bucket_name": "thumbnails"}},
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"
