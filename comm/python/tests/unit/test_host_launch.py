"""What programs are started through: variables, umask, identity, and death with their parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pl.host import launch

CHECKOUT = Path(__file__).resolve().parents[4]
SHOW = (
    "import json, os;"
    "print(json.dumps({'uid': os.geteuid(), 'umask': os.umask(0), 'env': dict(os.environ), 'cwd': os.getcwd()}))"
)


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "key").write_text("K{0}")
    (tmp_path / "secret").write_text("S")
    return {
        "argv": [sys.executable, "-c", SHOW],
        "cwd": str(tmp_path),
        "env": {"PATH": os.defpath, "PLAIN": "1"},
        "secret_env": {"BOTH": {"template": '"{0},{1}"', "files": [str(tmp_path / "key"), str(tmp_path / "secret")]}},
        "refuses_root": False,
        "stop_signal": "TERM",
        "code": "",
    }


def launched(spec: dict[str, Any], folder: Path, **options: Any) -> "subprocess.Popen[str]":
    file = folder / "web.json"
    file.write_text(json.dumps(spec))
    argv = [sys.executable, "-m", "pl.host.launch", str(file), "digest"]
    env = {"PYTHONPATH": str(CHECKOUT / "comm/python"), "FROM_OUTSIDE": "1"}
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True, **options)


def test_a_program_has_its_own_variables_its_secrets_and_a_strict_umask(spec: dict[str, Any], tmp_path: Path) -> None:
    out, _ = launched(spec, tmp_path).communicate(timeout=20)
    shown = json.loads(out)
    shown["env"].pop("LC_CTYPE", None)  # Python's own
    assert shown["env"] == {"PATH": os.defpath, "PLAIN": "1", "BOTH": '"K{0},S"'}
    assert shown["umask"] == 0o077
    assert shown["cwd"] == str(tmp_path)


def test_it_leaves_the_digest_that_it_was_started_with(spec: dict[str, Any], tmp_path: Path) -> None:
    launched(spec, tmp_path).communicate(timeout=20)
    assert Path(launch.started_file(str(tmp_path / "web.json"))).read_text() == "digest"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("web.started.")]


@pytest.mark.skipif(os.geteuid() != 0, reason="what root does is tried by root alone: run this as root")
def test_a_server_that_refuses_root_is_not_root(spec: dict[str, Any], tmp_path: Path) -> None:
    spec["refuses_root"] = True
    out, _ = launched(spec, tmp_path).communicate(timeout=20)
    assert json.loads(out)["uid"] != 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
@pytest.mark.parametrize("refuses_root", [False, True])
def test_a_program_dies_with_its_parent(spec: dict[str, Any], tmp_path: Path, *, refuses_root: bool) -> None:
    spec.update(argv=[sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"])
    spec.update(refuses_root=refuses_root, stop_signal="INT")
    file = tmp_path / "web.json"
    file.write_text(json.dumps(spec))
    argv = [sys.executable, "-m", "pl.host.launch", str(file), "digest"]
    script = f"import subprocess, time; print(subprocess.Popen({argv!r}).pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(CHECKOUT / "comm/python")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert parent.stdout.readline() == "up\n"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it outlived its parent"
        time.sleep(0.01)


def test_setpriv_keeps_the_one_capability_that_the_server_needs() -> None:
    words = launch.setpriv("INT")
    assert words[0] == "setpriv"
    assert words[-1] == "--"
    assert "+dac_override" in words
    assert words[words.index("--pdeathsig") + 1] == "INT"
    assert "--pdeathsig" not in launch.setpriv("")
