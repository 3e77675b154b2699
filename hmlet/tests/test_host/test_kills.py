"""Whatever is killed, the next deploy brings it back, loses nothing and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator

import psutil
import pytest

from hmlet.tests.test_host.place import PLATFORM, SERVERS, Place, kill
from hmlet.tests.waiting import wait_for

Victim = Callable[[Place], list[psutil.Process]]
MOMENTS_S = (0.4, 0.8, 1.2, 1.6, 2.2, 3.0, 4.0, 5.5, 7.0, 9.0)


def of(name: str) -> Victim:
    return lambda place: [psutil.Process(place.pids()[name])]


def child_of(name: str) -> Victim:
    return lambda place: [psutil.Process(place.pids()[name]).children()[0]]


def supervisor(place: Place) -> list[psutil.Process]:
    return [psutil.Process(place.supervisor.pid())]


def everything(place: Place) -> list[psutil.Process]:
    return place.processes()


VICTIMS: dict[str, Victim] = {
    **{name: of(name) for name in (*SERVERS, *PLATFORM)},
    "a web worker": child_of("web"),
    "a worker's child": child_of("worker"),
    "supervisord": supervisor,
    "all at once": everything,
}


@pytest.fixture
def kept(deployed: Place) -> Iterator[tuple[Place, Callable[[], None]]]:
    """The stage with a photo in it, and the check that nothing of it was lost."""
    photo, thumbnail = deployed.post()
    secrets, ports = deployed.secrets(), deployed.ports()

    def nothing_lost() -> None:
        assert deployed.thumbnail(photo) == thumbnail
        assert (deployed.secrets(), deployed.ports()) == (secrets, ports)
        assert deployed.orphans() == []
        assert '"healthy": true' in deployed.ok("ht.status", "--json")

    yield deployed, nothing_lost
    with deployed.client() as client:
        client.photos.delete(client.photos.get(photo))


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_deploy_brings_back_what_was_killed(kept: tuple[Place, Callable[[], None]], victim: str) -> None:
    place, nothing_lost = kept
    kill(VICTIMS[victim](place))
    place.deploy()
    nothing_lost()


def test_the_programs_die_with_their_supervisor(deployed: Place) -> None:
    kill(supervisor(deployed))
    wait_for(lambda: not deployed.processes(), what="no process of the stage is left", within_s=20)


def test_a_reboot_with_its_leftovers_loses_nothing(kept: tuple[Place, Callable[[], None]]) -> None:
    place, nothing_lost = kept
    pid_file = place.state.data / "postgresql/postmaster.pid"
    before = pid_file.read_text()
    kill(everything(place))
    # After a reboot the numbers in files belong to others: here to this very process, of the same user.
    pid_file.write_text("\n".join([str(os.getpid()), *before.splitlines()[1:]]) + "\n")
    (place.state.run / "supervisord.pid").write_text(f"{os.getpid()}\n")
    left = place.state.run / "supervisor.sock"
    left.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as nobody_listens:
        nobody_listens.bind(str(left))
    place.deploy()
    nothing_lost()
    assert psutil.Process().is_running()


def test_programs_that_outlived_a_supervisor_are_ended_first(kept: tuple[Place, Callable[[], None]]) -> None:
    place, nothing_lost = kept
    outlived = psutil.Popen(["sleep", "600"], env={**place.env, **place.state.tag}, start_new_session=True)
    assert "ended what was left without a supervisor: sleep" in place.deploy()
    assert outlived.wait(10) == -signal.SIGTERM
    nothing_lost()


def test_a_program_that_hangs_is_restarted(kept: tuple[Place, Callable[[], None]]) -> None:
    place, nothing_lost = kept
    web = psutil.Process(place.pids()["web"])
    for process in (web, *web.children(recursive=True)):
        process.suspend()
    said = place.deploy()
    assert "✓ web" in said
    assert "✓ postgresql" not in said
    assert place.pids()["web"] != web.pid
    nothing_lost()


@pytest.mark.slow
@pytest.mark.parametrize("after_s", MOMENTS_S)
def test_a_first_deploy_killed_at_any_moment_can_be_destroyed_or_completed(place: Place, after_s: float) -> None:
    killed(place, after_s)
    if MOMENTS_S.index(after_s) % 2:
        place.deploy()
        photo, thumbnail = place.post()
        assert place.thumbnail(photo) == thumbnail
        assert place.orphans() == []
    place.destroy()
    assert place.processes() == []
    assert not place.state.folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.8, 1.5, 2.5, 4.0])
def test_a_restart_killed_at_any_moment_is_completed_by_the_next(
    kept: tuple[Place, Callable[[], None]], edited: Callable[[str, str], None], after_s: float
) -> None:
    place, nothing_lost = kept
    before = place.pids()
    edited("hmlet/photos/flesh/jobs/services.py", f"\n# changed {after_s}\n")
    killed(place, after_s)
    place.deploy()
    pids = place.pids()
    assert all(pids[name] != before[name] for name in PLATFORM), "they must run the changed code"
    assert all(pids[name] == before[name] for name in SERVERS)
    nothing_lost()


def killed(place: Place, after_s: float) -> None:
    """A deploy that is killed after a time, if it takes that long."""
    deploy = place.begin("ht.deploy", start_new_session=True)
    try:
        deploy.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.kill(deploy.pid, signal.SIGKILL)
        deploy.communicate()
