"""Destroy asks, removes everything of the stage, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pexpect
import psutil

from hmlet.tests.test_host.place import Place, kill


def listening() -> set[int]:
    found = psutil.net_connections(kind="tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN and each.laddr}


def test_destroy_leaves_no_process_no_port_and_no_directory(place: Place) -> None:
    place.deploy()
    ports = set(place.ports().values())
    assert ports <= listening()
    place.destroy()
    assert place.processes() == []
    assert not ports & listening()
    assert list((place.states / "plasma").iterdir()) == []
    assert "there is nothing to destroy" in place.ok("ht.destroy", "--yes")


def test_destroy_refuses_where_nobody_can_be_asked(deployed: Place) -> None:
    ended = deployed.run("ht.destroy")
    assert ended.status == 1
    assert "add --yes" in ended.err
    assert str(deployed.state.folder) in ended.err
    assert '"healthy": true' in deployed.ok("ht.status", "--json")


def test_destroy_asks_on_a_terminal(place: Place) -> None:
    place.ok("ht.bootstrap")
    for answer, status in (("no", 1), ("yes", 0)):
        terminal = place.on_terminal("ht.destroy")
        terminal.expect("Type yes to go on: ")
        terminal.sendline(answer)
        terminal.expect("is gone" if answer == "yes" else "nothing was done")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == status
        assert place.state.folder.exists() == (answer == "no")


def test_destroy_removes_a_state_that_is_half_made_or_damaged(place: Place) -> None:
    place.ok("ht.bootstrap")
    (place.state.folder / "version").write_bytes(b"\xff\x00")
    (place.state.folder / "tasks.json").write_text("[")
    (place.state.folder / ".tasks.json.4711").write_text("{")
    shutil.rmtree(place.state.folder / "secrets")
    kill([psutil.Process(place.supervisor.pid())])
    refused = place.run("ht.deploy")
    assert refused.status == 1
    assert "is of version" in refused.err
    place.destroy()
    assert place.processes() == []
    assert not place.state.folder.exists()


def test_destroy_refuses_what_is_not_a_stages(place: Place) -> None:
    place.state.folder.mkdir(parents=True)
    thesis = place.state.folder / "thesis.txt"
    thesis.write_text("years of work")
    for command in (["ht.destroy", "--yes"], ["ht.deploy"], ["ht.bootstrap", "--new-ports"]):
        ended = place.run(*command)
        assert ended.status == 1
        assert "thesis.txt" in ended.err
        assert [entry.name for entry in place.state.folder.iterdir()] == ["thesis.txt"]
    thesis.unlink()


def test_destroy_refuses_a_state_of_a_newer_version(place: Place) -> None:
    place.state.folder.mkdir(parents=True)
    version = place.state.folder / "version"
    version.write_text("2\n")
    ended = place.run("ht.destroy", "--yes")
    assert ended.status == 1
    assert "the checkout that made it" in ended.err
    assert [entry.name for entry in place.state.folder.iterdir()] == ["version"]
    version.write_text("0\n")
    assert "is gone" in place.ok("ht.destroy", "--yes")


def test_destroy_ends_a_supervisor_that_hangs(place: Place) -> None:
    place.ok("ht.bootstrap")
    hanging = psutil.Process(place.supervisor.pid())
    hanging.suspend()
    place.destroy()
    assert place.processes() == []
    assert not Path(place.state.folder).exists()
