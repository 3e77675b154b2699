#!/usr/bin/env python3
"""How long deploys of the host stage take: bench/deploy.py [ROUNDS [FIRSTS]].

A deploy with nothing to do is compared with ``python -c "import django, celery, boto3"``, in turns, so that whatever
else the machine does falls on both; the target is at most 4 times as long. First deploys, each into a state of its own,
with the package cache warm, are to take under a minute. Prints medians; ends with 1 when a target is missed. The stages
are this program's own and gone afterwards.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

NOTHING_TO_DO_RATIO = 4.0
FIRST_S = 60.0
CHECKOUT = Path(__file__).resolve().parents[1]
SHELL = str(CHECKOUT / "hmlet/shell.py")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    firsts = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    states = Path(tempfile.mkdtemp(prefix="pl-bench-"))
    environ = {**os.environ, "XDG_STATE_HOME": str(states), "PL_INSTANCE": f"bench{os.getpid()}"}
    subprocess.run([SHELL, "host", "--", "true"], env=environ, check=True)  # .venv and the cache of the stage
    try:
        first = [_first_s(environ, last=number == firsts - 1) for number in range(firsts)]
        imports, nothing = _in_turns(rounds, environ)
    finally:
        _took_s([SHELL, "host", "--", "ht.destroy", "--yes"], environ)
        shutil.rmtree(states)
    ratio = statistics.median(nothing) / statistics.median(imports)
    print(f"medians (fastest, slowest) in s; {rounds} rounds in turns, {firsts} first deploys")
    for name, taken in (("import django, celery, boto3", imports), ("nothing to do", nothing), ("first deploy", first)):
        print(f"  {name:28} {statistics.median(taken):6.3f} ({min(taken):.3f}, {max(taken):.3f})")
    print(f"  nothing to do: {ratio:.2f} times the import (target {NOTHING_TO_DO_RATIO:g})")
    sys.exit(ratio > NOTHING_TO_DO_RATIO or statistics.median(first) > FIRST_S)


def _first_s(environ: dict[str, str], *, last: bool) -> float:
    took = _took_s([SHELL, "host", "--", "ht.deploy"], environ)
    if not last:
        _took_s([SHELL, "host", "--", "ht.destroy", "--yes"], environ)
    return took


def _in_turns(rounds: int, environ: dict[str, str]) -> tuple[list[float], list[float]]:
    python = str(CHECKOUT / ".venv/bin/python")
    imports, nothing = [], []
    for _ in range(rounds):
        imports.append(_took_s([python, "-c", "import django, celery, boto3"], environ))
        nothing.append(_took_s([SHELL, "host", "--", "ht.deploy"], environ))
    return imports, nothing


def _took_s(argv: Sequence[str], environ: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, env=environ, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
