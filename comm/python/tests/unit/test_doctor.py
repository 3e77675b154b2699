"""The doctor finds what is wrong on a machine that is made wrong for it, and says how to mend it."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path

import pytest
from pl import doctor, env
from pl.tools.shelf import Shelf

CHECKOUT = Path(__file__).resolve().parents[4]


def _machine(folder: Path, **variables: str) -> doctor.Machine:
    return doctor.Machine(checkout=CHECKOUT, instance="doctor", environ=variables, state_home=folder)


@pytest.mark.parametrize(("version", "well"), [((3, 10), False), ((3, 11), True), ((3, 9), False), ((3, 14), True)])
def test_python_must_be_new_enough(version: tuple[int, int], well: bool) -> None:
    found = doctor.python(version)
    assert found.well is well
    assert well or "3.11" in found.remedy


def test_the_environment_of_another_checkout_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    for lock in ("uv.txt", "dev.txt"):
        (tmp_path / "requirements" / lock).write_text("", encoding="utf-8")
    machine = doctor.Machine(checkout=tmp_path, instance="doctor", environ={}, state_home=tmp_path)
    assert doctor.environment(machine).remedy == "./shell.py makes it"
    assert doctor.environment(_machine(tmp_path)).well


def test_disk_space_is_looked_for_where_the_state_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.disk(_machine(tmp_path / "not/yet/there")).well
    monkeypatch.setattr(doctor, "DISK_NEEDED", 2**60)
    assert "free at least" in doctor.disk(_machine(tmp_path)).remedy


def test_state_that_is_not_there_yet_is_well(tmp_path: Path) -> None:
    assert doctor.state(_machine(tmp_path / "state/plasma")).well


def test_state_that_others_may_change_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "plasma"
    folder.mkdir()
    folder.chmod(0o777)
    assert doctor.state(_machine(folder)).remedy == f"chmod go-w {folder}"
    folder.chmod(0o700)
    assert doctor.state(_machine(folder)).well


def test_state_of_another_user_is_not_ours(tmp_path: Path) -> None:
    folder = Path("/usr")
    if os.geteuid() == 0:  # to whom nothing is closed: it is the owner that tells
        folder = tmp_path / "plasma"
        folder.mkdir()
        os.chown(folder, 12345, 12345)
    assert "XDG_STATE_HOME" in doctor.state(_machine(folder)).remedy


def test_a_port_in_somebody_elses_hands_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (before,) = doctor.ports(_machine(tmp_path))
    assert before.well, before
    port = env.load(CHECKOUT, project="hmlet", stage="host", instance="doctor").fields()
    number = next(field.value for field in port if field.name == "web_port")
    with socket.create_server(("127.0.0.1", number)):
        (finding,) = doctor.ports(_machine(tmp_path))
    assert finding.found == f"taken: {number}"
    assert "--new-ports" in finding.remedy


@pytest.mark.parametrize(
    ("variables", "well"),
    [
        ({}, False),
        ({"LANG": "C"}, False),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "C.utf8"}, True),
        ({"LANG": "C.UTF-8", "LC_ALL": "POSIX"}, False),
    ],
)
def test_the_locale_is_what_programs_will_take_it_for(tmp_path: Path, variables: dict[str, str], well: bool) -> None:
    found = doctor.locale(_machine(tmp_path, **variables))
    assert found.well is well
    assert not found.required


def test_programs_that_are_missing_make_no_machine_unfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = list(doctor.programs(_machine(tmp_path)))
    assert {"Chromium", "zsh", "a Docker engine"} <= {finding.name for finding in found if not finding.well}
    assert not any(finding.required for finding in found)


@pytest.mark.parametrize(("count", "well"), [("128\n", False), ("512\n", True)])
def test_too_few_inotify_instances_for_clusters_are_found(tmp_path: Path, count: str, well: bool) -> None:
    setting = tmp_path / "max_user_instances"
    setting.write_text(count, encoding="ascii")
    found = doctor.inotify(setting)
    assert found.well is well
    assert not found.required


def test_what_a_killed_test_run_left_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert list(doctor.stale_stages()) == []
    left = tmp_path / "pl-test-abc"
    left.mkdir(mode=0o700)
    (left / "checkout").write_text(str(CHECKOUT), encoding="utf-8")
    (finding,) = doctor.stale_stages()
    assert finding.found == str(left)


def test_a_directory_that_others_may_write_to_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    planted = tmp_path / "pl-test-evil"
    planted.mkdir()
    planted.chmod(0o777)
    (planted / "checkout").write_text(str(tmp_path), encoding="utf-8")
    assert list(doctor.stale_stages()) == []


def _checkout_with_kind(folder: Path, *, stages: tuple[str, ...] = ("host", "local")) -> doctor.Machine:
    (folder / "acme").mkdir()
    for name in ("comm", *stages):
        (folder / f"acme/env_{name}.py").write_text("", encoding="utf-8")
    (folder / "comm").mkdir()
    artifact = 'linux-amd64 = { url = "https://example.org/kind" }'
    (folder / "comm/tools.toml").write_text(f'[kind]\nversion = "1.0"\n{artifact}\n', encoding="utf-8")
    bin_folder = str(folder / ".deps/bin")
    return doctor.Machine(checkout=folder, instance="doctor", environ={"PATH": bin_folder}, state_home=folder)


def _write_kind(to: Path) -> None:
    to.write_text("#!/bin/sh\n", encoding="utf-8")


def _put_kind(machine: doctor.Machine) -> Path:
    shelf = Shelf(machine.checkout / ".deps")
    with shelf.alone(print):
        shelf.put("kind", "1.0", "a" * 64, _write_kind)
        shelf.link("kind", "1.0", "a" * 64)
    return shelf.bin / "kind"


def test_a_tool_that_is_not_there_is_named_with_the_stages_that_need_it(tmp_path: Path) -> None:
    (finding,) = doctor.tools(_checkout_with_kind(tmp_path))
    assert finding.found == "not there: kind"
    assert finding.remedy == "pl.bootstrap; only local need them"
    assert not finding.required


def test_a_tool_that_is_there_is_well_until_it_was_changed(tmp_path: Path) -> None:
    machine = _checkout_with_kind(tmp_path)
    program = _put_kind(machine)
    (finding,) = doctor.tools(machine)
    assert finding.found == "kind 1.0"
    assert finding.well
    seen = program.stat()
    program.write_text("#!/bin/tr\n", encoding="utf-8")
    os.utime(program.resolve(), ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert next(iter(doctor.tools(machine))).found == "not there: kind"


def test_another_program_of_a_tools_name_on_path_is_found(tmp_path: Path) -> None:
    machine = _checkout_with_kind(tmp_path)
    ours = _put_kind(machine)
    (tmp_path / "sys").mkdir()
    other = tmp_path / "sys/kind"
    other.write_text("#!/bin/sh\n", encoding="utf-8")
    other.chmod(0o755)
    turned = dataclasses.replace(machine, environ={"PATH": f"{other.parent}:{ours.parent}"})
    _, finding = doctor.tools(turned)
    assert finding.found == f"{other} is not ours"
    assert len(list(doctor.tools(dataclasses.replace(machine, environ={"PATH": f"{ours.parent}:{other.parent}"})))) == 1


def test_where_all_stages_are_host_no_tool_is_looked_for(tmp_path: Path) -> None:
    assert list(doctor.tools(_checkout_with_kind(tmp_path, stages=("host",)))) == []


def test_a_wrong_list_of_tools_is_a_finding(tmp_path: Path) -> None:
    machine = _checkout_with_kind(tmp_path)
    (tmp_path / "comm/tools.toml").write_text("[kind", encoding="utf-8")
    (finding,) = doctor.tools(machine)
    assert "tools.toml cannot be used" in finding.found
    assert finding.remedy
