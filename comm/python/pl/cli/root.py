"""The commands of the root's shell: ``python -m pl.cli.root NAME ARGS`` is what ``comm/bin/pl.NAME`` runs."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

from pl.cli.commandline import run_app

COMMANDS = ("bootstrap", "doctor", "lint", "lock", "new", "test")


def checkout() -> Path:
    """The checkout whose shell this is."""
    return Path(os.environ["PL_CHECKOUT"])


def main(words: list[str]) -> None:
    name = words[0] if words else ""
    if name not in COMMANDS:
        sys.exit(f"one of {', '.join(COMMANDS)} must be named")
    # Being told to end is like Ctrl-C: what was begun is cleaned up. SIGINT, too, because a shell starts what it puts
    # into the background with SIGINT ignored, tests would inherit that, and some of them are about Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means what it says
            signal.signal(number, signal.default_int_handler)
    sys.argv = [f"pl.{name}", *words[1:]]
    run_app(importlib.import_module(f"pl.cli.root_{name}").app)


if __name__ == "__main__":
    main(sys.argv[1:])
