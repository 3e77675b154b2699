"""Names of the subcommands, for what must not import them: the scripts on PATH and the entry scripts' first checks.

A test compares these with what the command line offers.
"""

import contextlib
import os
from pathlib import Path

CLUSTER = (
    "add_hosts",
    "backup",
    "bootstrap",
    "credentials",
    "deploy",
    "destroy",
    "diff",
    "env",
    "logs",
    "python",
    "remove_hosts",
    "restore",
    "smoke",
    "status",
    "terminal",
)
APP = ("forward", "logs", "skaffold", "telepresence", "terminal", "test")


def put_on_path(folder: Path, code: str, entry: str, names: tuple[str, ...]) -> None:
    """Write ``folder/.bin/CODE.NAME`` for each subcommand of an entry script. Changes nothing where all is right."""
    bin_folder = folder / ".bin"
    checkout = Path(__file__).resolve().parents[3]
    up = os.path.relpath(checkout, bin_folder)
    wanted = {
        f"{code}.{name}": f'#!/bin/sh\nexec "${{0%/*}}/{up}/.venv/bin/python" "${{0%/*}}/../{entry}" {name} "$@"\n'
        for name in names
    }
    bin_folder.mkdir(exist_ok=True)
    for name, text in wanted.items():
        script = bin_folder / name
        with contextlib.suppress(FileNotFoundError):
            if script.read_text(encoding="utf-8") == text:
                continue
        half = bin_folder / f".{name}.{os.getpid()}"
        half.write_text(text, encoding="utf-8")
        half.chmod(0o755)
        half.replace(script)
    for stale in bin_folder.glob(f"{code}.*"):
        if stale.name not in wanted:
            stale.unlink(missing_ok=True)
