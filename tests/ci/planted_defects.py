#!/usr/bin/env python3
"""Does each job of .gitlab-ci.yml turn red when there is something to find, and only then?

    ./shell.py -- tests/ci/planted_defects.py [JOB...]

Clones the last commit to a temporary folder and lets gitlab-ci-local run each job there twice on its shell executor:
with one defect planted, expecting red for the right suite, and as it is, expecting green. All of them take more than an
hour, kind alone half of it, so no suite of pl.test runs this. Needs Node.js (npx), rsync and git, and for kind a Docker
engine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
RUNNER = ("npx", "--yes", "gitlab-ci-local@4.70.0", "--concurrency", "1")
JOB_TIMEOUT_S = 3600


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A change to one file that a job must not let pass. ``old`` is empty where ``new`` is added at the end.

    ``needs`` are jobs whose artifacts the job works on: they are run first, as they are.
    """

    job: str
    what: str
    path: str
    old: str = ""
    new: str
    seen_as: str
    needs: tuple[str, ...] = ()


DEFECTS = (
    Defect(
        job="lint",
        what="an import that nothing uses",
        path="comm/python/pl/junit.py",
        new="\nimport json\n",
        seen_as="red: lint: ruff",
    ),
    Defect(
        job="unit",
        what="the oldest Python is compared the wrong way round",
        path="comm/python/pl/doctor.py",
        old="if version >= OLDEST_PYTHON",
        new="if version < OLDEST_PYTHON",
        seen_as="red: unit: toolkit",
    ),
    Defect(
        job="integration",
        what="a command that is not there ends with 0",
        path="comm/python/pl/shell.py",
        old="sys.exit(127)",
        new="sys.exit(0)",
        seen_as="red: integration: toolkit",
    ),
    Defect(
        job="kind",
        what="what drifted in a cluster is tried out and never put right",
        path="comm/python/pl/release/live.py",
        old="manager=OWNER, force=True)\n",
        new="manager=OWNER, force=True, dry_run=True)\n",
        seen_as="red: kind: toolkit",
    ),
    Defect(
        job="coverage",
        what="a large module that no test executes",
        path="comm/python/pl/junit.py",
        new="\n\ndef never_called() -> int:\n    count = 0\n" + "    count += 1\n" * 3000 + "    return count\n",
        seen_as="red: coverage: floor",
        needs=("unit", "integration", "kind"),
    ),
    Defect(
        job="e2e",
        what="a new photo is published whatever its owner asked for",
        path="hmlet/photos/flesh/gallery/services.py",
        old="photo.draft = draft",
        new="photo.draft = False",
        seen_as="red: e2e",
    ),
)


def main(jobs: list[str]) -> int:
    unknown = sorted(set(jobs) - {defect.job for defect in DEFECTS})
    if unknown:
        sys.exit(f"no defect is kept for {', '.join(unknown)}")
    wrong = 0
    green: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="pl-defects-") as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", CHECKOUT, clone], check=True)
        for defect in DEFECTS:
            if jobs and defect.job not in jobs:
                continue
            wrong += sum(not _green(clone, need) for need in defect.needs if need not in green)
            # The artifacts that stay are those of the sound run.
            wrong += not all([_red(clone, defect), _green(clone, defect.job)])
            green |= {*defect.needs, defect.job}
    print("all as expected" if not wrong else f"{wrong} jobs were not as expected")
    return 1 if wrong else 0


def _green(clone: Path, job: str) -> bool:
    status, output, took_s = _run(clone, job)
    return _told(job, "as it is", status == 0, f"status {status}", output, took_s)


def _red(clone: Path, defect: Defect) -> bool:
    with _planted(clone, defect):
        # Once it is red, what else is found makes no difference.
        status, output, took_s = _run(clone, defect.job, "--variable", "TEST_OPTIONS=--exitfirst")
    return _told(defect.job, defect.what, status != 0 and defect.seen_as in output, f"status {status}", output, took_s)


def _told(job: str, what: str, expected: bool, status: str, output: str, took_s: float) -> bool:
    print(f"{'✓' if expected else '✗'} {job}: {what}: {status} ({took_s:.0f} s)", flush=True)
    if not expected:
        print("\n".join(output.splitlines()[-60:]), flush=True)
    return expected


def _run(clone: Path, job: str, *options: str) -> tuple[int, str, float]:
    began = time.monotonic()
    # The shell that this runs in is the checkout's; a job starts from a machine without one.
    environ = {
        name: value
        for name, value in os.environ.items()
        if name == "PL_MIRROR" or not name.startswith(("PL_", "VIRTUAL_ENV"))
    }
    ours = os.environ.get("PL_PATH", "").split(":")
    environ["PATH"] = ":".join(part for part in os.environ["PATH"].split(":") if part not in ours)
    done = subprocess.run(
        [*RUNNER, *options, job],
        cwd=clone,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=JOB_TIMEOUT_S,
        check=False,
    )
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout), time.monotonic() - began


@contextmanager
def _planted(clone: Path, defect: Defect) -> Iterator[None]:
    file = clone / defect.path
    sound = file.read_text(encoding="utf-8")
    if defect.old and defect.old not in sound:
        sys.exit(f"{defect.path} does not hold {defect.old!r} any more: plant another defect for {defect.job}")
    file.write_text(sound.replace(defect.old, defect.new) if defect.old else sound + defect.new, encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(sound, encoding="utf-8")


if __name__ == "__main__":
    missing = [program for program in ("npx", "rsync", "git") if shutil.which(program) is None]
    if missing:
        sys.exit(f"needs {', '.join(missing)} (Debian: apt-get install nodejs npm rsync git)")
    sys.exit(main(sys.argv[1:]))
