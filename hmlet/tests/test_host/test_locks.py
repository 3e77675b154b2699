"""Two commands that change one stage take turns."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from hmlet.tests.test_host.place import Place
from hmlet.tests.waiting import wait_for

SLOW = "\nimport time\ntime.sleep(3)\n"
Edit = Callable[[str, str], None]


def holding(place: Place) -> subprocess.Popen[str]:
    """A deploy that holds the stage and takes its time."""
    deploy = place.begin("ht.deploy")
    wait_for(lambda: str(deploy.pid) in lock_of(place), what="the deploy holds the stage")
    return deploy


def lock_of(place: Place) -> str:
    try:
        return (place.state.folder / "lock").read_text()
    except FileNotFoundError:
        return ""


def test_a_second_deploy_waits_names_the_first_and_finds_nothing_to_do(deployed: Place, edited: Edit) -> None:
    edited("hmlet/photos/flesh/config/wsgi.py", SLOW)
    first = holding(deployed)
    second = deployed.run("ht.deploy")
    out, _ = first.communicate(timeout=120)
    assert first.returncode == 0
    assert "is deployed" in out
    assert second.status == 0
    assert f"waiting for process {first.pid}" in second.err
    assert "nothing to do" in second.out


def test_a_deploy_that_waited_for_a_destroy_begins_anew(place: Place) -> None:
    place.ok("ht.bootstrap")
    destroy = place.begin("ht.destroy", "--yes")
    wait_for(lambda: str(destroy.pid) in lock_of(place) or destroy.poll() is not None, what="destroy holds the stage")
    said = place.deploy()
    destroy.communicate(timeout=120)
    assert destroy.returncode == 0
    assert "is deployed" in said
    assert '"healthy": true' in place.ok("ht.status", "--json")


def test_a_destroy_waits_for_a_deploy(place: Place) -> None:
    deploy = holding(place)
    said = place.ok("ht.destroy", "--yes")
    deploy.communicate(timeout=120)
    assert deploy.returncode == 0
    assert f"waiting for process {deploy.pid}" in said
    assert place.processes() == []
    assert not place.state.folder.exists()
