"""Throw-away checkouts, shells behind a pseudo-terminal, and the screen that a person would see."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pexpect
import pyte

CHECKOUT = Path(__file__).resolve().parents[4]
PYTHON = os.path.realpath(str(getattr(sys, "_base_executable", sys.executable)))
"""The real interpreter: no shim that looks for one, and not the checkout's own."""
DEADLINE_S = 30.0
NOT_TAKEN_OVER = ("KUBECONFIG", "VIRTUAL_ENV", "ZDOTDIR", "PROMPT_COMMAND", "PS1", "EDITOR", "VISUAL")
"""What would change what is tried; zsh takes vi's keys for who edits with vi, which npm makes of everybody."""
OURS = ("PL_", "HT_", "PS_", "FR_")
PARTS = ("shell.py", "comm", "hmlet", "requirements")
EMOJI = "🏠🛠🐣🤖🔥"


def environment(home: Path) -> dict[str, str]:
    """The variables of somebody who works on this machine, outside every shell of ours, with a home of their own."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((*OURS, "COV_", "COVERAGE_", "XDG_", "PYTHON")) and name not in NOT_TAKEN_OVER
    }
    of_a_shell = os.environ.get("PL_PATH", "").split(":")
    path = [part for part in os.environ["PATH"].split(":") if part not in of_a_shell and "pyenv/shims" not in part]
    return {
        **variables,
        "PATH": ":".join([str(Path(PYTHON).parent), *path]),
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "SHELL": "/bin/bash",
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(caches / "uv")),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(caches / "pip")),
    }


def copied(to: Path, *, installer: bool = True) -> Path:
    """A checkout as ``git clone`` would make it of the working tree, with a lock of two packages, and uv on request."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout
    for name in map(os.fsdecode, filter(None, listed.split(b"\0"))):
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, to / name)
    (to / "requirements/dev.txt").write_text(locked("iniconfig", "packaging"), encoding="utf-8")
    if installer:
        for fetched in (CHECKOUT / ".deps").glob("uv-????????????????"):
            shutil.copytree(fetched, to / ".deps" / fetched.name, copy_function=os.link)
    return to


def locked(*packages: str) -> str:
    """The parts of the real lock that are about these packages."""
    lines = (CHECKOUT / "requirements/dev.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    assert all(f"\n{package}==" in "".join(lines) for package in packages), packages
    kept, of = [], ""
    for line in lines:
        if line[0] not in " #\n":
            of = line.partition("==")[0]
        if of in packages:
            kept.append(line)
    return "".join(kept)


def wait_until(what: Callable[[], object], said: Callable[[], str] = str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition. ``said`` tells what there was instead, when it did not come about."""
    give_up = time.monotonic() + deadline_s
    while not what():
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {deadline_s:g} s:\n{said()}")
        time.sleep(0.01)


class Terminal:
    """A program behind a pseudo-terminal, and its screen."""

    def __init__(
        self, argv: list[str], env: Mapping[str, str], cwd: Path, *, columns: int = 80, lines: int = 24
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._child = pexpect.spawn(argv[0], argv[1:], env=dict(env), cwd=str(cwd), dimensions=(lines, columns))
        self._child.delaybeforesend = None
        self.raw = b""

    def send(self, keys: str) -> None:
        self._child.send(keys.encode())

    def look(self) -> list[str]:
        """Read what has come, and return the lines of the screen without what is blank at their ends."""
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            while True:
                read = self._child.read_nonblocking(65536, timeout=0)
                self.raw += read
                self._stream.feed(read)
        # An emoji that this terminal draws over one column has the second blank of our prompt after it.
        return [
            line.rstrip().replace(" (", "(", 1) if line[:1] in EMOJI else line.rstrip() for line in self.screen.display
        ]

    def shows(self, text: str) -> bool:
        return any(text in line for line in self.look())

    def wait_for(self, text: str) -> None:
        wait_until(lambda: self.shows(text), lambda: f"{text!r} in\n" + "\n".join(self.look()))

    def prompt(self) -> str:
        """The line that the cursor is in."""
        return self.look()[self.screen.cursor.y]

    def wait_for_prompt(self, start: str) -> None:
        """Wait for an empty prompt that starts so. The screen here knows no variation selectors."""
        start = start.replace("\N{VARIATION SELECTOR-16}", "")
        wait_until(
            lambda: self.prompt().startswith(start) and self.prompt().endswith(("$", "#", "%", ">")),
            lambda: f"a prompt {start!r} in\n" + "\n".join(self.look()),
        )

    def clear(self) -> None:
        """Leave nothing on the screen but a line that says so and a prompt."""
        self.send("clear; echo CLEA''RED\r")
        wait_until(
            lambda: self.look()[0] == "CLEARED" and self.screen.cursor.y == 1 and self.screen.cursor.x > 0,
            lambda: "\n".join(self.look()),
        )

    def run(self, command: str, prompt: str) -> list[str]:
        """Type a command, wait for the prompt after it, and return the lines that it printed."""
        self.clear()
        self.send(f"{command}; echo DO''NE\r")
        self.wait_for("DONE")
        self.wait_for_prompt(prompt)
        shown = self.look()
        typed = next(number for number, line in enumerate(shown) if "echo DO''NE" in line)
        return shown[typed + 1 : shown.index("DONE")]

    def end(self) -> int:
        """Wait for the program's end and return its status."""
        wait_until(lambda: self.look() and not self._child.isalive(), lambda: "\n".join(self.look()))
        self._child.wait() if self._child.isalive() else None
        return 128 + self._child.signalstatus if self._child.signalstatus else int(self._child.exitstatus or 0)

    def close(self) -> None:
        self._child.close(force=True)


@contextlib.contextmanager
def terminal(argv: list[str], env: Mapping[str, str], cwd: Path, **size: int) -> Iterator[Terminal]:
    opened = Terminal(argv, env, cwd, **size)
    try:
        yield opened
    finally:
        opened.close()
