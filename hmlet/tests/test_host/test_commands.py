"""What each command says, with which status, on a stage that runs and on one that does not."""

from __future__ import annotations

import json
import signal

import pexpect
import pytest
from pl.commands import APP, CLUSTER

from hmlet.tests.test_host.place import PLATFORM, SERVERS, Place, kill
from hmlet.tests.waiting import wait_for

OTHER_STAGES = ("test", "local", "stage", "prod")


def test_status_says_what_runs(deployed: Place) -> None:
    said = json.loads(deployed.run("ht.status", "--json").out)
    assert said["healthy"] is True
    assert {program["name"]: program["health"] for program in said["programs"]} == {
        **dict.fromkeys((*SERVERS, "web", "worker"), "ready"),
        "beat": "runs",
    }
    assert said["addresses"]["API"] == f"http://127.0.0.1:{deployed.ports()['web_port']}/api/v1/"
    shown = deployed.ok("ht.status")
    assert all(name in shown for name in (*SERVERS, *PLATFORM, said["addresses"]["admin"]))


def test_status_ends_with_1_when_something_is_not_healthy(deployed: Place) -> None:
    deployed.supervisor.stop("worker")
    ended = deployed.run("ht.status", "--json")
    assert ended.status == 1
    said = json.loads(ended.out)
    assert said["healthy"] is False
    assert [program["health"] for program in said["programs"] if program["name"] == "worker"] == ["does not run"]


@pytest.mark.parametrize("command", ["status", "terminal", "smoke", "logs", "backup"])
def test_on_a_stage_that_was_never_deployed_commands_say_what_to_do(place: Place, command: str) -> None:
    ended = place.run(f"ht.{command}")
    assert ended.status == 1
    assert "→ ht.deploy" in ended.err
    assert not place.state.folder.exists()


def test_credentials_of_a_stage_that_was_never_deployed(place: Place) -> None:
    terminal = place.on_terminal("ht.credentials")
    terminal.expect_exact("was never deployed")
    terminal.expect_exact("ht.deploy")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1


def test_the_logs_of_a_stage_that_died_can_still_be_read(deployed: Place) -> None:
    kill(deployed.processes())
    assert "postgresql" in deployed.ok("ht.logs", "postgresql")
    ended = deployed.run("ht.status")
    assert ended.status == 1
    assert "→ ht.deploy" in ended.err


def test_logs_are_labelled_and_an_unknown_program_is_refused_with_the_names(deployed: Place) -> None:
    shown = deployed.ok("ht.logs", "-n", "3")
    labels = {line.split()[0] for line in shown.splitlines() if line}
    assert labels >= {*PLATFORM}
    assert len([line for line in shown.splitlines() if line.startswith("web ")]) <= 3
    ended = deployed.run("ht.logs", "nonsense")
    assert ended.status == 2
    assert all(name in ended.err for name in (*SERVERS, *PLATFORM))
    app = deployed.run("ps.logs", "-n", "1", opener="hmlet/photos/shell.py")
    assert {line.split()[0] for line in app.out.splitlines()} <= {*PLATFORM}


def test_logs_follow_through_a_rotation_and_end_quietly_on_ctrl_c(deployed: Place) -> None:
    log = deployed.state.log / "followed.log"
    log.write_text("first\n")
    try:
        terminal = deployed.on_terminal("ht.logs", "-f", "followed")
        terminal.expect_exact("first")
        with log.open("a") as file:
            file.write("second\n")
        terminal.expect_exact("second")
        log.rename(log.with_suffix(".log.1"))
        log.write_text("third\n")
        terminal.expect_exact("third")
        terminal.sendintr()
        rest = terminal.read()
        terminal.close()
    finally:
        log.unlink()
        log.with_suffix(".log.1").unlink(missing_ok=True)
    assert terminal.exitstatus == 130
    assert "Traceback" not in rest


def test_a_terminal_has_the_platforms_settings(deployed: Place) -> None:
    assert "no issues" in deployed.ok("ht.terminal", "--", "python", "manage.py", "check")
    ended = deployed.run("ps.terminal", "--", "sh", "-c", "pwd; exit 7", opener="hmlet/photos/shell.py")
    assert ended.status == 7
    assert ended.out.strip() == str(deployed.checkout / "hmlet/photos/flesh")
    assert deployed.run("ht.terminal", "python manage.py shell -c 1").status != 0, "words are no shell script"


def test_smoke_proves_it(deployed: Place) -> None:
    assert deployed.ok("ht.smoke").startswith("✓ a photo was posted")
    deployed.supervisor.stop("web")
    ended = deployed.run("ht.smoke")
    assert ended.status == 1
    assert "no photo gets through" in ended.err


@pytest.mark.parametrize("stage", OTHER_STAGES)
def test_a_stage_without_a_cluster_says_what_to_do(running: Place, stage: str) -> None:
    for name in ("logs", "smoke", "status", "terminal"):
        ended = running.run(f"ht.{name}", stage=stage)
        assert ended.status == 1, (name, ended.said)
        assert "→" in ended.err, (name, ended.said)
        assert "Traceback" not in ended.err
    assert running.run("ht.env", stage=stage).status == 0


def test_the_host_stage_says_what_it_has_instead(deployed: Place) -> None:
    for name in ("skaffold", "telepresence", "forward"):
        ended = deployed.run(f"ps.{name}", opener="hmlet/photos/shell.py")
        assert ended.status == 1
        assert "instead" in ended.err
    for name in ("terminal", "logs"):
        ended = deployed.run(f"fr.{name}", opener="hmlet/frontend/shell.py")
        assert ended.status == 1
        assert "has no program on the stage host" in ended.err
    assert deployed.run("ht.add_hosts").status == 1


def test_every_command_explains_itself(running: Place) -> None:
    for code, names, opener in (("ht", CLUSTER, "hmlet/shell.py"), ("ps", APP, "hmlet/photos/shell.py")):
        for name in names:
            ended = running.run(f"{code}.{name}", "--help", opener=opener)
            assert ended.status == 0, name
            assert "Usage:" in ended.out
            assert len(ended.out.splitlines()) > 4, name


def test_ctrl_c_says_what_is_not_done_and_the_next_deploy_goes_on(place: Place) -> None:
    terminal = place.on_terminal("ht.deploy")
    terminal.expect(r"✓\S* redis")
    terminal.sendintr()
    rest = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 130, rest
    assert "interrupted" in rest
    assert "not done:" in rest
    assert "smoke" not in rest
    assert "goes on from there" in rest
    assert "Traceback" not in rest
    place.deploy()
    assert place.orphans() == []


def test_a_deploy_ended_by_a_signal_leaves_nothing_for_the_next_to_trip_over(place: Place) -> None:
    deploy = place.begin("ht.deploy")
    wait_for(lambda: place.supervisor.is_up(), what="the supervisor is up")
    deploy.send_signal(signal.SIGTERM)
    deploy.communicate(timeout=60)
    assert deploy.returncode != 0
    place.deploy()
    assert place.orphans() == []
