#!/usr/bin/env python3
"""How long a warm ``hmlet/shell.py host -- true`` takes over ``python3 -c pass``: bench/shell.py [ROUNDS].

Both run in the same real interpreter (a pyenv or asdf shim alone costs 40 ms) and in turns, so that whatever else the
machine does falls on both. Prints medians; the target is at most 40 ms over. Ends with 1 when it is missed.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

TARGET_MS = 40.0
CHECKOUT = Path(__file__).resolve().parents[1]
PYTHON = os.path.realpath(str(getattr(sys, "_base_executable", sys.executable)))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    programs = {
        "python3 -c pass": [PYTHON, "-c", "pass"],
        "hmlet/shell.py host -- true": [PYTHON, str(CHECKOUT / "hmlet/shell.py"), "host", "--", "true"],
    }
    for argv in programs.values():  # warm: .venv, the cache of the stage, the disk
        subprocess.run(argv, check=True)
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, argv in programs.items():
            times[name].append(_took_ms(argv))
    floor, shell = (statistics.median(times[name]) for name in programs)
    print(f"{rounds} rounds in turns, {PYTHON}, median (fastest, slowest) in ms")
    for name, taken in times.items():
        print(f"  {name:28} {statistics.median(taken):6.1f} ({min(taken):.1f}, {max(taken):.1f})")
    print(f"  over {shell - floor:.1f} ms (target {TARGET_MS:g}), ratio {shell / floor:.2f}")
    sys.exit(shell - floor > TARGET_MS)


def _took_ms(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=True)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
