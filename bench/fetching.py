"""What benchmarks need and the platform does not: fetched by hash into .cache/bench, once."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".cache/bench"


def fetched(folder: Path, what: bytes, fetch: Callable[[Path], None]) -> None:
    """Have ``fetch`` fill an empty ``folder``, unless it did so completely, and for the same ``what``, before."""
    stamp = folder / ".complete"
    digest = hashlib.sha256(what).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"fetching {folder.name} for {folder.parent.name}", file=sys.stderr)
    fetch(folder)
    stamp.write_text(digest)


def packages(requirements: Path, folder: Path) -> None:
    """Those of a file of hashed requirements, for PYTHONPATH. Raises CalledProcessError."""
    hashed = ["--require-hashes", "--no-deps", "--quiet", "-r", str(requirements)]
    fetched(
        folder,
        requirements.read_bytes(),
        lambda empty: run([*pip(), "install", "--target", str(empty), *hashed]),
    )


def pip() -> list[str]:
    # .venv has none: the interpreter that it was made of does.
    python = getattr(sys, "_base_executable", sys.executable)
    return [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]


def run(argv: list[str], cwd: Path | None = None) -> None:
    subprocess.run(argv, cwd=cwd, check=True)
