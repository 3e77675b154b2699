"""Try the faults on a throw-away host stage, and print what came of each: ``--list``, ``--only WORDS``."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from hmlet.tests.faults.catalogue import Fault, all_faults
from hmlet.tests.faults.trial import tried
from hmlet.tests.test_host.place import CHECKOUT, Place, place_of

HEADER = ("fault", "accepted", "refused", "with thumbnail", "missing", "mismatched", "orphaned", "s", "verdict")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hmlet.tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="WORDS", help="faults whose names hold these")
    parser.add_argument("--list", action="store_true", help="tell the names, and do nothing")
    asked = parser.parse_args()
    faults = [fault for fault in all_faults() if not asked.only or any(words in fault.name for words in asked.only)]
    if not faults:
        parser.error("there is no such fault; --list names them")
    if asked.list:
        for fault in faults:
            sys.stdout.write(f"{fault.name}\n")
        return 0
    states = Path(tempfile.mkdtemp(prefix="plf-"))
    try:
        with place_of(Place(checkout=CHECKOUT, states=states)) as place:
            sys.stdout.write("deploying a throw-away stage\n")
            place.deploy()
            return 0 if _all_survived(place, faults) else 1
    finally:
        shutil.rmtree(states, ignore_errors=True)


def _all_survived(place: Place, faults: list[Fault]) -> bool:
    width = max(len(fault.name) for fault in faults)
    form = f"{{:{width}}}  {{:>8}}  {{:>7}}  {{:>14}}  {{:>7}}  {{:>10}}  {{:>8}}  {{:>4}}  {{}}"
    _say(form.format(*HEADER))
    survived = True
    for fault in faults:
        if reason := fault.left_out():
            _say(form.format(fault.name, *"-" * 7, f"left out: {reason}"))
            continue
        began = time.monotonic()
        found = tried(place, fault)
        took = f"{time.monotonic() - began:.0f}"
        counts = (found.accepted, found.refused, found.with_thumbnail, found.missing, found.mismatched, found.orphaned)
        _say(form.format(fault.name, *counts, took, "FAILED" if found.wrong else "ok"))
        for sentence in found.wrong:
            _say(f"    {sentence}")
        survived &= not found.wrong
    return survived


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
