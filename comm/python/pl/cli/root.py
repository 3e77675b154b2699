"""The commands of the root's shell: ``python -m pl.cli.root NAME ARGS`` is what ``comm/bin/pl.NAME`` runs."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from pl.cli import commandline

COMMANDS = ("bootstrap", "doctor", "lint", "lock", "new", "test")


def checkout() -> Path:
    """The checkout whose shell this is."""
    return Path(os.environ["PL_CHECKOUT"])


def main(words: list[str]) -> None:
    name = words[0] if words else ""
    if name not in COMMANDS:
        sys.exit(f"one of {', '.join(COMMANDS)} must be named")
    commandline.run(importlib.import_module(f"pl.cli.root_{name}").app, f"pl.{name}", words[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
