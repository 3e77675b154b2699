"""A checkout with the whole environment and suites of its own, for tests of the root's commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from shells import CHECKOUT, PYTHON, copied, wait_until

TIMEOUT_S = 120


@dataclass(frozen=True)
class Said:
    """What a command said and its status."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Root:
    """A checkout, and the variables and the temporary directory of who works in it."""

    checkout: Path
    env: dict[str, str]
    temporary: Path

    def run(self, *words: str, cwd: Path | None = None, **variables: str) -> Said:
        """Run a command in the root's shell."""
        done = subprocess.run(
            [self.checkout / "shell.py", "--", *words],
            cwd=cwd or self.checkout,
            env={**self.env, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in the root's shell, in a session of its own: signals to its group are the terminal's."""
        return subprocess.Popen(
            [self.checkout / "shell.py", "--", *words],
            cwd=self.checkout,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def suites(self, text: str) -> None:
        (self.checkout / "suites.toml").write_text(text, encoding="utf-8")

    def write(self, name: str, text: str) -> Path:
        file = self.checkout / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def leftovers(self) -> list[Path]:
        """Directories of test runs that are still there."""
        return list(self.temporary.glob("pl-test-*"))

    def processes(self) -> list[psutil.Process]:
        """Processes that work for stages below the temporary directory."""
        found = []
        for process in psutil.process_iter():
            try:
                if any(str(self.temporary) in value for value in process.environ().values()):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return [process for process in found if process.pid != os.getpid()]


@contextmanager
def root_of(home: Path, env: dict[str, str]) -> Iterator[Root]:
    """A new one. Its folder is short: a stage's socket may have 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="plr-"))
    try:
        checkout = copied(folder / "c")
        for name in ("requirements/dev.txt", "suites.toml", "pyproject.toml"):
            shutil.copy2(CHECKOUT / name, checkout / name)
        temporary = folder / "t"
        temporary.mkdir()
        path = f"{Path(PYTHON).parent}:{env['PATH']}"
        # These checkouts have the whole environment, so what they execute can be measured.
        measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        root = Root(checkout, {**env, **measured, "PATH": path, "TMPDIR": str(temporary), "HOME": str(home)}, temporary)
        subprocess.run([checkout / "shell.py", "--", "true"], env=root.env, check=True, timeout=TIMEOUT_S)
        yield root
        wait_until(lambda: not root.processes(), lambda: f"still there: {root.processes()}")
    finally:
        for process in Root(folder, {}, folder / "t").processes():
            process.send_signal(signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
