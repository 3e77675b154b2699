"""The WSGI application: ``gunicorn config.wsgi --worker-class gthread``."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from gallery.warm import modules_import  # noqa: E402 - the apps are ready only now

modules_import()
