"""PostgreSQL refuses root, so root's stages run it as somebody else; an ordinary user needs nothing of the kind."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hmlet.tests.test_host.place import Place, copy_checkout, kill, place_of
from hmlet.tests.waiting import wait_for

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root does is tried by root alone: run this as root")


def server(place: Place) -> psutil.Process:
    return psutil.Process(place.pids()["postgresql"])


@as_root
def test_roots_database_is_not_root_in_its_own_eyes(deployed: Place) -> None:
    mapped = Path(f"/proc/{server(deployed).pid}/uid_map").read_text().split()
    assert mapped == ["1", "0", "1"]
    assert (deployed.state.data / "postgresql").stat().st_uid == 0


@as_root
@pytest.mark.slow
def test_where_namespaces_are_denied_the_database_runs_as_nobody(checkout: Path, folder: Path) -> None:
    denied = (sys.executable, str(Path(__file__).with_name("without_namespaces.py")))
    state = folder / "private"
    state.mkdir(mode=0o700)  # root's own, and nobody may not pass through it
    with place_of(Place(checkout=checkout, states=state / "s", argv_before=denied)) as place:
        place.deploy()
        photo, thumbnail = place.post()
        assert server(place).username() == "nobody"
        assert (place.state.data / "postgresql").stat().st_uid == 65_534
        outside = Path(server(place).exe()).parents[3]
        assert outside.parent == Path("/var/tmp")  # noqa: S108
        kill([psutil.Process(place.supervisor.pid())])
        wait_for(lambda: not place.processes(), what="the database died with its supervisor")
        place.deploy()
        assert place.thumbnail(photo) == thumbnail
        place.destroy()
        assert not outside.exists()


@pytest.fixture
def somebody() -> Iterator[str]:
    """An ordinary user with a home, and a checkout of their own in it."""
    name = f"plasma-test-{secrets.token_hex(3)}"
    if os.geteuid() != 0 or not shutil.which("useradd", path="/usr/sbin:/usr/bin"):
        pytest.skip("an ordinary user can only be made by root with useradd: run this as root")
    subprocess.run(["/usr/sbin/useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
    yield name
    subprocess.run(["/usr/sbin/userdel", "--remove", name], check=True, capture_output=True)


@pytest.mark.slow
def test_an_ordinary_user_deploys_loses_nothing_and_destroys(somebody: str) -> None:
    home = Path("~" + somebody).expanduser()
    copy_checkout(home / "c")
    subprocess.run(["chown", "-R", f"{somebody}:", str(home)], check=True)

    def run(command: str) -> str:
        done = subprocess.run(
            ["su", "-", somebody, "-c", f"cd c && {command}"], capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "is deployed" in run("./hmlet/shell.py host -- ht.deploy")
    assert "a photo was posted" in run("./hmlet/shell.py host -- ht.smoke")
    mine = processes_of(somebody)
    kill([process for process in mine if "supervisord" in " ".join(process.cmdline())])
    psutil.wait_procs(mine, timeout=20)
    assert "is deployed" in run("./hmlet/shell.py host -- ht.deploy")
    assert "is gone" in run("./hmlet/shell.py host -- ht.destroy --yes")
    assert not list((home / ".local/state/plasma").iterdir())
    assert not processes_of(somebody)


def processes_of(user: str) -> list[psutil.Process]:
    found = psutil.process_iter(["username", "status"])
    return [
        process
        for process in found
        if process.info["username"] == user and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
