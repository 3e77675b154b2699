"""Programs that run beside this one: their output, a Ctrl-C that is passed on, and death with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pl import proc
from pl.errors import CommandMissing

PYTHON_PATH = Path(__file__).resolve().parents[2]


def test_what_it_prints_and_its_status_are_had_at_the_end() -> None:
    script = "import sys; print(sys.stdin.read()); print('bad', file=sys.stderr); sys.exit(3)"
    result = proc.start_tied([sys.executable, "-c", script], env={}, input="värde").wait(20)
    assert result is not None
    assert (result.status, result.stdout, result.stderr) == (3, "värde\n", "bad\n")


def test_more_output_than_a_pipe_holds_stops_nothing() -> None:
    result = proc.start_tied([sys.executable, "-c", "print('x' * 1_000_000)"], env={}).wait(20)
    assert result is not None
    assert len(result.stdout) == 1_000_001


def test_it_hears_an_interrupt_when_that_is_passed_on(tmp_path: Path) -> None:
    up = tmp_path / "up"
    script = (
        "import pathlib, sys, time\n"
        "try:\n"
        f"    pathlib.Path({str(up)!r}).touch(); time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('taken back'); sys.exit(1)"
    )
    running = proc.start_tied([sys.executable, "-c", script], env={})
    deadline = time.monotonic() + 20
    while not up.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert running.wait(0.01) is None
    assert os.getpgid(running.pid) != os.getpgid(0)  # the terminal's Ctrl-C goes to our group alone
    running.interrupt()
    result = running.wait(20)
    assert result is not None
    assert (result.status, result.stdout) == (1, "taken back\n")


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandMissing, match="no-such-program"):
        proc.start_tied(["no-such-program"], env={"PATH": os.defpath})


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_it_does_not_outlive_a_parent_that_is_killed() -> None:
    script = (
        "import sys, time\n"
        "from pl import proc\n"
        "print(proc.start_tied([sys.executable, '-c', 'import time; time.sleep(60)'], env={}).pid, flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(PYTHON_PATH)}, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it outlived its parent"
        time.sleep(0.01)
