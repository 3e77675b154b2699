"""Which files of the flesh make what: so that only what they make is begun anew when they change."""

from __future__ import annotations

from pathlib import Path

from pl.digest import text_digest, tree_digest

_NO_CODE = ("tests", "pyproject.toml", "Dockerfile")
WEB_ALONE = (
    *("api", "pages.py", "views.py", "admin.py", "status.py", "urls.py", "wsgi.py", "gunicorn.py", "middleware.py"),
    *("templates", "static"),
)
_SCHEMA = ("*/migrations/*.py", "*/models.py", "*/apps.py", "config/settings.py")
_COMMANDS = ("ops/management/commands/ensure_user.py", "ops/management/commands/migrate_alone.py")


def web_code(flesh: Path) -> str:
    """A digest of what web runs."""
    return tree_digest(flesh, leave_out=_NO_CODE)


def work_code(flesh: Path) -> str:
    """A digest of what worker and beat run. They serve no requests: a changed view is none of their business."""
    return tree_digest(flesh, leave_out=(*_NO_CODE, *WEB_ALONE))


def schema(flesh: Path, packages: str) -> str:
    """A digest of what migrations do. ``packages`` stands for those that are installed: they have migrations too."""
    return text_digest(packages, tree_digest(flesh, leave_out=_NO_CODE, only=_SCHEMA))


def migration(flesh: Path) -> str:
    """A digest of what the migration's Job does in a cluster, where packages follow from the lock."""
    packages = tree_digest(flesh / "requirements", only=("*.txt",))
    return text_digest(schema(flesh, packages), tree_digest(flesh, only=_COMMANDS))
