"""Names of the subcommands, for what must not import them: the scripts on PATH and the entry scripts' first checks.

A test compares these with what the command line offers.
"""

import contextlib
import os
import sys
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


def put_on_path(folder: Path, code: str, entry: str, names: tuple[str, ...]) -> Path:
    """Write ``folder/.bin/CODE.NAME`` for each subcommand of an entry script, and return ``.bin``.

    Changes nothing where all is right; says so, and goes on, where the checkout cannot be written to.
    """
    bin_folder = folder / ".bin"
    checkout = Path(__file__).resolve().parents[3]
    up = os.path.relpath(checkout, bin_folder)
    wanted = {
        f"{code}.{name}": f'#!/bin/sh\nexec "${{0%/*}}/{up}/.venv/bin/python" "${{0%/*}}/../{entry}" {name} "$@"\n'
        for name in names
    }
    try:
        _write_scripts(bin_folder, wanted)
        for stale in bin_folder.glob(f"{code}.*"):
            if stale.name not in wanted:
                stale.unlink(missing_ok=True)
    except OSError as error:
        sys.stderr.write(f"plasma: {code}.* are not on PATH as they should be: {error}\n")
    return bin_folder


def _write_scripts(bin_folder: Path, wanted: dict[str, str]) -> None:
    bin_folder.mkdir(exist_ok=True)
    for name, text in wanted.items():
        script = bin_folder / name
        if _text(script) == text and os.access(script, os.X_OK):
            continue
        half = bin_folder / f".{name}.{os.getpid()}"
        half.write_text(text, encoding="utf-8")
        half.chmod(0o755)
        half.replace(script)


def _text(script: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return script.read_text(encoding="utf-8")
    return ""
