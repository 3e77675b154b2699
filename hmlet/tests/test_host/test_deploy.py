"""A deploy changes what must change, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from hmlet.tests.test_host.place import PLATFORM, SERVERS, Place

Edit = Callable[[str, str], None]
FLESH = "hmlet/photos/flesh"


def restarted(place: Place, before: dict[str, int]) -> set[str]:
    return {name for name, pid in place.pids().items() if before.get(name) != pid}


def test_a_second_deploy_restarts_nothing_and_writes_nothing(deployed: Place) -> None:
    pids, files = deployed.pids(), deployed.files()
    said = deployed.deploy()
    assert "nothing to do" in said
    assert deployed.pids() == pids
    assert deployed.files() == files
    assert deployed.ok("ht.diff") == "nothing would change\n"
    assert deployed.run("ht.diff", "--exit-code").status == 0
    assert json.loads(deployed.run("ht.diff", "--json").out)["changes"] == []


def test_a_changed_view_restarts_web_alone(deployed: Place, edited: Edit) -> None:
    before = deployed.pids()
    edited(f"{FLESH}/gallery/api/views.py", "\n# changed\n")
    assert deployed.run("ht.diff", "--exit-code").status == 1
    review = json.loads(deployed.run("ht.diff", "--json").out)
    changes = {(change["name"], change["action"]) for change in review["changes"]}
    assert changes == {("web", "restart"), ("check", "run")}
    assert restarted(deployed, before) == set(), "diff must change nothing"
    said = deployed.deploy()
    assert restarted(deployed, before) == {"web"}
    assert "smoke" in said


@pytest.mark.parametrize("file", ["jobs/services.py", "gallery/tasks.py", "imaging/renditions.py"])
def test_a_changed_task_or_service_restarts_all_that_runs_it_and_no_server(
    deployed: Place, edited: Edit, file: str
) -> None:
    before = deployed.pids()
    edited(f"{FLESH}/{file}", "\n# changed\n")
    said = deployed.deploy()
    assert restarted(deployed, before) == set(PLATFORM)
    assert "migrations" not in said


def test_migrations_run_before_the_programs_that_rely_on_them(deployed: Place, edited: Edit) -> None:
    before = deployed.pids()
    edited(f"{FLESH}/jobs/models.py", "\n# changed\n")
    lines = deployed.deploy().splitlines()
    order = [line.split()[1] for line in lines if line.startswith("✓")]
    assert order.index("check") < order.index("migrations") < min(order.index(name) for name in PLATFORM)
    assert restarted(deployed, before) == set(PLATFORM)


def test_no_task_imports_what_only_web_runs(deployed: Place) -> None:
    code = """
import importlib, sys
from fnmatch import fnmatch
from pathlib import Path
import django
from django.conf import settings
django.setup()
import config.celery, gallery.warm
for app in settings.INSTALLED_APPS:
    if importlib.util.find_spec(app + ".tasks"):
        importlib.import_module(app + ".tasks")
from hmlet.sources import WEB_ALONE
here = Path.cwd()
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if file and Path(file).is_relative_to(here):
        parts = Path(file).relative_to(here).parts
        # Django's admin imports every admin.py for whoever sets Django up.
        if parts[-1] != "admin.py" and any(fnmatch(part, alone) for part in parts for alone in WEB_ALONE):
            print(file)
"""
    assert deployed.ok("ht.terminal", "--", "env", "DJANGO_SETTINGS_MODULE=config.settings", "python", "-c", code) == ""


def test_code_that_cannot_be_imported_leaves_what_runs_alone(deployed: Place, edited: Edit) -> None:
    before = deployed.pids()
    edited(f"{FLESH}/gallery/api/views.py", "\nthis is no Python\n")
    ended = deployed.run("ht.deploy")
    assert ended.status == 1
    assert "check failed" in ended.err
    assert "SyntaxError" in ended.err
    assert "not tried, because of that: web" in ended.err
    assert deployed.pids() == before
    assert "ready" in deployed.ok("ht.status")


def test_a_migration_that_fails_leaves_the_old_web_running(deployed: Place, edited: Edit) -> None:
    before = deployed.pids()
    migration = deployed.checkout / FLESH / "jobs/migrations/0999_fails.py"
    last = max(file.stem for file in migration.parent.glob("0*.py"))
    migration.write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        f"    dependencies = [('jobs', '{last}')]\n    operations = [migrations.RunSQL('SELECT no_such_column')]\n"
    )
    try:
        ended = deployed.run("ht.deploy")
    finally:
        migration.unlink()
    assert ended.status == 1
    assert "no_such_column" in ended.err
    assert deployed.pids() == before
    assert "ready" in deployed.ok("ht.status")


def test_a_program_that_cannot_start_shows_its_log_and_leaves_the_others(deployed: Place, edited: Edit) -> None:
    before = deployed.pids()
    edited(f"{FLESH}/config/wsgi.py", "\nraise RuntimeError('planted')\n")
    ended = deployed.run("ht.deploy")
    assert ended.status == 1
    assert "Error: planted" in ended.err
    assert str(deployed.state.log / "web.log") in ended.err
    pids = deployed.pids()
    assert {name: pids[name] for name in (*SERVERS, "worker", "beat")} == {
        name: before[name] for name in (*SERVERS, "worker", "beat")
    }
    assert deployed.run("ht.status").status == 1


def test_a_changed_lock_restarts_what_runs_from_it(deployed: Place, edited: Edit) -> None:
    before = deployed.pids()
    photo, thumbnail = deployed.post()
    edited("requirements/dev.txt", "\n# changed\n")
    deployed.deploy()
    assert restarted(deployed, before) == {*SERVERS, *PLATFORM}
    environment = (deployed.checkout / ".venv").resolve()
    assert all(
        str(environment) in " ".join(process.cmdline())
        or "pixeltable" in process.exe()
        or process.name() == "supervisord"
        for process in deployed.processes()
        if process.pid in deployed.pids().values()
    )
    assert deployed.thumbnail(photo) == thumbnail


def test_a_named_part_is_deployed_with_what_it_needs_and_nothing_else(place: Place) -> None:
    place.deploy("web")
    running = {name for name, info in place.supervisor.processes().items() if info.runs}
    assert running == {*SERVERS, "web"}
    assert "nothing to do" in place.deploy("web")
    review = json.loads(place.run("ht.diff", "--json").out)
    assert {"worker", "beat"} <= {change["name"] for change in review["changes"]}


def test_a_part_that_was_left_out_is_restarted_by_the_next_deploy(deployed: Place, edited: Edit) -> None:
    before = deployed.pids()
    edited(f"{FLESH}/jobs/services.py", "\n# changed\n")
    deployed.deploy("web")
    assert restarted(deployed, before) == {"web"}
    deployed.ok("ht.bootstrap")
    deployed.deploy()
    assert restarted(deployed, before) == set(PLATFORM)


def test_an_unknown_part_is_refused_with_the_names(deployed: Place) -> None:
    ended = deployed.run("ht.deploy", "nonsense")
    assert ended.status == 2
    assert all(name in ended.err for name in ("nonsense", *SERVERS, *PLATFORM))


def test_bootstrap_starts_the_servers_and_then_does_nothing(place: Place) -> None:
    assert "host is up" in place.ok("ht.bootstrap")
    assert {name for name, info in place.supervisor.processes().items() if info.runs} == set(SERVERS)
    before = place.pids()
    assert "host is already up" in place.ok("ht.bootstrap")
    assert place.pids() == before
