"""What a warm shell costs: no third-party package, and a fixed handful of the standard library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shells import CHECKOUT, PYTHON

ALLOWED = {
    "__future__",
    "hashlib",
    "_hashlib",
    "_blake2",
    "_sha3",
    "warnings",  # os.execvpe looks along PATH with it
    "pl",
    "pl.shell",
    "pl.venv",
}


def _imported(argv: list[str | Path], env: dict[str, str]) -> set[str]:
    done = subprocess.run(
        [PYTHON, "-I", "-S", "-X", "importtime", *argv], env=env, capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize(
    "words", [["shell.py"], ["hmlet/shell.py", "host"], ["hmlet/photos/shell.py", "host"]], ids=" ".join
)
def test_a_warm_shell_imports_next_to_nothing(checkout: Path, env: dict[str, str], words: list[str]) -> None:
    argv: list[str | Path] = [checkout / words[0], *words[1:], "--", "true"]
    _imported(argv, env)
    floor = _imported(["-c", "import os"], env)
    names = {name for name in _imported(argv, env) - floor if not name.startswith("encodings")}
    assert names <= ALLOWED
    assert {"pl.shell", "pl.venv"} <= names


def test_the_benchmark_runs_and_prints_a_difference_and_a_ratio() -> None:
    done = subprocess.run(
        [sys.executable, CHECKOUT / "bench/shell.py", "5"], env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert "over " in done.stdout
    assert "ratio " in done.stdout
