"""The project: settings, URLs, and the two programs (WSGI, Celery) that run it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
