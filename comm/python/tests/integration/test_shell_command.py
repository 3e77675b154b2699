"""``shell.py STAGE -- CMD ARGS`` is the command itself, in the stage's environment."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from shells import PYTHON, wait_until

PRINT_ARGV = "import sys, json; json.dump(sys.argv[1:], sys.stdout)"


def run(argv: Sequence[object], **kwargs: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([str(word) for word in argv], capture_output=True, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(params=["root", "stage", "app"])
def shell(request: pytest.FixtureRequest, checkout: Path) -> list[object]:
    commands: dict[str, list[object]] = {
        "root": [checkout / "shell.py", "--"],
        "stage": [checkout / "hmlet/shell.py", "host", "--"],
        "app": [checkout / "hmlet/photos/shell.py", "host", "--"],
    }
    return commands[request.param]


@pytest.mark.parametrize("status", [0, 1, 2, 7, 126, 127, 255])
def test_the_status_is_the_commands(shell: list[object], env: dict[str, str], status: int) -> None:
    assert run([*shell, "sh", "-c", f"exit {status}"], env=env).returncode == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_a_command_that_dies_by_a_signal_is_seen_to(shell: list[object], env: dict[str, str], number: int) -> None:
    assert run([*shell, "sh", "-c", f"kill -{int(number)} $$"], env=env).returncode == -number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command(shell: list[object], env: dict[str, str], number: int, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    told = (
        "import pathlib, signal, sys, threading\n"
        f"signal.signal({int(number)}, lambda *_: (print('heard', flush=True), sys.exit(42)))\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "while True: signal.pause()\n"
    )
    child = subprocess.Popen([*map(str, shell), sys.executable, "-c", told], env=env, stdout=subprocess.PIPE)
    wait_until(ready.exists)
    child.send_signal(number)
    assert child.communicate(timeout=20)[0] == b"heard\n"
    assert child.returncode == 42


def test_signals_that_python_ignores_are_not_ignored_by_the_command(shell: list[object], env: dict[str, str]) -> None:
    show = ["grep", "SigIgn", "/proc/self/status"]
    assert run([*shell, *show], env=env).stdout == run(show, env=env).stdout


def test_streams_pass_through_byte_for_byte(shell: list[object], env: dict[str, str]) -> None:
    everything = bytes(range(256)) * 5000
    done = run([*shell, "sh", "-c", "tee /dev/stderr"], env=env, input=everything)
    assert done.stdout == everything
    assert done.stderr == everything


def test_a_closed_input_and_other_descriptors_pass_through(shell: list[object], env: dict[str, str]) -> None:
    reading, writing = os.pipe()
    assert (
        run([*shell, "bash", "-c", f"echo third >&{writing}; cat"], env=env, input=b"", pass_fds=[writing]).stdout
        == b""
    )
    os.close(writing)
    assert os.read(reading, 99) == b"third\n"
    os.close(reading)


ARGUMENTS = ["a b", "", "two\nlines", "*", "$HOME `id` \\ \"'", "--", "-x", "--help", "🛠️ ü", "\t", "~", "host"]


def test_arguments_arrive_as_they_were_given(shell: list[object], env: dict[str, str]) -> None:
    done = run([*shell, sys.executable, "-c", PRINT_ARGV, *ARGUMENTS], env=env)
    assert json.loads(done.stdout) == ARGUMENTS


def test_arguments_that_are_no_text_arrive_too(shell: list[object], env: dict[str, str]) -> None:
    done = run([*shell, "printf", "%s", os.fsdecode(b"\xff\xfe")], env=env)
    assert done.stdout == b"\xff\xfe"


def test_the_working_directory_is_the_callers(shell: list[object], env: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "a place"
    place.mkdir()
    assert run([*shell, "pwd"], env=env, cwd=place).stdout.decode() == f"{place}\n"


def test_a_working_directory_that_was_removed_is_no_obstacle(
    checkout: Path, env: dict[str, str], tmp_path: Path
) -> None:
    script = 'mkdir "$1/gone"; cd "$1/gone"; rmdir "$1/gone"; shift; exec "$@"'
    there = ["sh", "-c", script, "sh", tmp_path, checkout / "hmlet/shell.py"]
    assert run([*there, "host", "--", "echo", "fine"], env=env).stdout == b"fine\n"
    assert run([*there, "hots", "--", "echo", "fine"], env=env).returncode == 2


def test_a_command_that_is_not_there_is_127_and_one_that_cannot_run_126(
    shell: list[object], env: dict[str, str], tmp_path: Path
) -> None:
    missing = run([*shell, "no-such-command"], env=env)
    assert (missing.returncode, missing.stdout) == (127, b"")
    assert b"no-such-command: not found" in missing.stderr
    plain = tmp_path / "plain"
    plain.write_text("text", encoding="ascii")
    refused = run([*shell, plain], env=env)
    assert (refused.returncode, refused.stdout) == (126, b"")
    assert b"Permission denied" in refused.stderr


def test_the_interpreter_is_the_checkouts(shell: list[object], env: dict[str, str], checkout: Path) -> None:
    asked = "import sys, pl.env, hmlet.env_comm; print(sys.prefix, pl.env.__file__)"
    done = run([*shell, "python", "-c", asked], env={**env, "VIRTUAL_ENV": "/elsewhere", "PYTHONHOME": ""})
    assert done.stdout.decode().split() == [str(checkout / ".venv"), str(checkout / "comm/python/pl/env.py")]


def test_every_exported_variable_is_a_field_and_every_field_is_exported(checkout: Path, env: dict[str, str]) -> None:
    compare = (
        "import os; from pl.env import current\n"
        "before = {name.split('=')[0] for name in open('/dev/stdin').read().split(chr(0))}\n"
        "exports = current().exports()\n"
        "assert {name: os.environ.get(name) for name in exports} == exports\n"
        "assert set(os.environ) - before - set(exports) <= {'LC_CTYPE', 'PWD', 'SHLVL', '_', 'OLDPWD'}\n"
    )
    before = "\0".join(f"{name}={value}" for name, value in env.items()).encode()
    for stage in ("host", "test", "local", "stage", "prod"):
        for entry in ("hmlet/shell.py", "hmlet/photos/shell.py", "hmlet/frontend/shell.py"):
            done = run([checkout / entry, stage, "--", "python", "-c", compare], env=env, input=before)
            assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


def test_a_changed_file_of_the_stage_is_seen_by_the_next_shell(fresh: Path, env: dict[str, str]) -> None:
    ask = [fresh / "hmlet/shell.py", "host", "--", "printenv", "HT_LOG_LEVEL"]
    assert run(ask, env=env).stdout == b"INFO\n"
    assert run(ask, env=env).stdout == b"INFO\n"
    (fresh / "hmlet/shared_values.py").write_text("LEVEL = 'ERROR'\n", encoding="ascii")
    file = fresh / "hmlet/env_host.py"
    text = file.read_text(encoding="utf-8") + "\n    from hmlet.shared_values import LEVEL as log_level\n"
    file.write_text(text, encoding="utf-8")
    assert run(ask, env=env).stdout == b"ERROR\n"
    assert run(ask, env=env).stdout == b"ERROR\n"
    for level in ("DEBUG", "ERROR") * 3:  # of one size, and often within one second
        (fresh / "hmlet/shared_values.py").write_text(f"LEVEL = '{level}'\n", encoding="ascii")
        assert run(ask, env=env).stdout.decode() == f"{level}\n"


def test_state_that_moved_is_seen_by_the_next_shell(checkout: Path, env: dict[str, str], tmp_path: Path) -> None:
    ask = [checkout / "hmlet/shell.py", "host", "--", "printenv", "PL_STATE"]
    assert run(ask, env=env).stdout.decode().startswith(env["XDG_STATE_HOME"])
    moved = {**env, "XDG_STATE_HOME": str(tmp_path / "moved")}
    assert run(ask, env=moved).stdout.decode().startswith(moved["XDG_STATE_HOME"])
    assert run(ask, env=env).stdout.decode().startswith(env["XDG_STATE_HOME"])


@pytest.mark.parametrize("text", ["", "damaged", "\x1e\x1e", "a\x1eb\x1ec"])
def test_a_damaged_cache_is_made_again(fresh: Path, env: dict[str, str], text: str) -> None:
    ask = [fresh / "hmlet/shell.py", "host", "--", "printenv", "PL_STAGE"]
    assert run(ask, env=env).stdout == b"host\n"
    for file in (fresh / ".deps/env").iterdir():
        file.write_text(text, encoding="utf-8")
    assert run(ask, env=env).stdout == b"host\n"


def test_wrong_fields_are_one_failure_that_names_all_of_them(fresh: Path, env: dict[str, str]) -> None:
    for name, mistake in [
        ("hmlet/env_host.py", "web_port = 'x'\n    web_hots = 'y'"),
        ("hmlet/photos/env_comm.py", "code = 3"),
    ]:
        file = fresh / name
        file.write_text(file.read_text(encoding="utf-8") + f"\n    {mistake}\n", encoding="utf-8")
    done = run([fresh / "hmlet/photos/shell.py", "host", "--", "true"], env=env, cwd=fresh)
    told = done.stderr.decode()
    assert done.returncode == 1
    assert done.stdout == b""
    assert "3 wrong fields" in told
    assert "hmlet/env_host.py: web_port: must be a port" in told
    assert "hmlet/env_host.py: web_hots: no such field; web_host was meant?" in told
    assert "hmlet/photos/env_comm.py: code: must be str" in told
    assert "Traceback" not in told


USAGE_ERRORS = [
    ("hmlet/shell.py", ["hots"], "no stage is called 'hots'"),
    ("hmlet/shell.py", ["hots", "--", "true"], "no stage is called 'hots'"),
    ("hmlet/shell.py", ["comm"], "no stage is called 'comm'"),
    ("hmlet/shell.py", ["--", "true"], "a stage must be named"),
    ("hmlet/shell.py", [], "a stage must be named"),
    ("hmlet/shell.py", ["host", "ls"], "a command is written after --, and 'ls' was not"),
    ("hmlet/shell.py", ["host", "--"], "a command must follow --"),
    ("hmlet/photos/shell.py", ["hots"], "no stage is called 'hots'"),
    ("hmlet/frontend/shell.py", [""], "no stage is called ''"),
    ("shell.py", ["host"], "the root's shell has no stages, and 'host' was given"),
]


@pytest.mark.parametrize(("entry", "words", "wanted"), USAGE_ERRORS)
def test_what_makes_no_sense_is_refused_before_anything_is_made(
    fresh: Path, env: dict[str, str], entry: str, words: list[str], wanted: str
) -> None:
    before = sorted(fresh.rglob(".deps/*"))
    done = run([fresh / entry, *words], env=env, cwd=fresh)
    assert done.returncode == 2
    assert done.stdout == b""
    told = done.stderr.decode()
    assert wanted in told.splitlines()[0]
    if entry != "shell.py":
        assert [line.split()[0] for line in told.splitlines() if line.startswith("  ")] == [
            "host",
            "test",
            "local",
            "stage",
            "prod",
        ]
    assert not (fresh / ".venv").exists()
    assert sorted(fresh.rglob(".deps/*")) == before


@pytest.mark.parametrize("wrong", ["No", "a b", "-", "x" * 21])
def test_an_instance_that_cannot_be_used_is_refused_before_anything_is_made(
    fresh: Path, env: dict[str, str], wrong: str
) -> None:
    done = run([fresh / "hmlet/shell.py", "host", "--", "true"], env={**env, "PL_INSTANCE": wrong})
    assert done.returncode == 2
    assert b"PL_INSTANCE" in done.stderr
    assert not (fresh / ".venv").exists()


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["host", "--help"]])
def test_help_is_no_error_and_lists_the_stages(checkout: Path, env: dict[str, str], words: list[str]) -> None:
    done = run(
        [checkout / "hmlet/shell.py", *words], env={**env, "LC_ALL": "C", "PYTHONUTF8": "0"}, cwd=checkout / "hmlet"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"usage: ./shell.py STAGE [-- CMD ARGS]" in done.stdout
    assert b"  host   the platform as processes on this machine" in done.stdout


def test_an_entry_script_outside_a_shell_names_the_command_that_opens_one(checkout: Path, env: dict[str, str]) -> None:
    done = run(["./cluster.py", "deploy", "a b"], env=env, cwd=checkout / "hmlet")
    assert done.returncode == 2
    assert b"./shell.py host -- ./cluster.py deploy 'a b'" in done.stderr


@pytest.mark.parametrize("python", ["{checkout}/.venv/bin/python", "{checkout}/.venv/bin/python3", PYTHON, ""])
def test_an_entry_script_inside_a_shell_runs_in_the_checkouts_interpreter(
    fresh: Path, env: dict[str, str], python: str
) -> None:
    script = fresh / "hmlet/cluster.py"
    script.write_text(
        "import pathlib, sys\n"
        f"sys.path.insert(0, {str(fresh / 'comm/python')!r})\n"
        "from pl import entry\n"
        "entry._enter(pathlib.Path(__file__).resolve(), 'PL_ROOT')\n"
        "print(sys.prefix, *sys.argv[1:])\n",
        encoding="utf-8",
    )
    call = [python.format(checkout=fresh), script, "deploy", "a b"] if python else ["ht.deploy", "a b"]
    done = run([fresh / "hmlet/shell.py", "host", "--", *call], env=env, timeout=30)
    assert (done.returncode, done.stdout.decode()) == (0, f"{fresh}/.venv deploy a b\n")
