"""Try the faults and print what came of each: on a throw-away stage in a host stage's shell, and those that can be had
there on the stage itself in that of a KIND stage. ``--list``, ``--only WORDS``."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pl.env import current
from pl.project import open_stage
from pl.resolving import resolving

from hmlet.env_comm import HmletEnv, HmletKindEnv
from hmlet.project import PROJECT
from hmlet.tests.accounts import Accounts
from hmlet.tests.faults.catalogue import Fault, all_faults
from hmlet.tests.faults.cluster_scene import ClusterScene
from hmlet.tests.faults.host_scene import HostScene
from hmlet.tests.faults.scene import Outcome
from hmlet.tests.faults.trial import tried
from hmlet.tests.test_cluster.place import Place as ClusterPlace
from hmlet.tests.test_host.place import CHECKOUT, Place, place_of
from hmlet.users import remove_users

HEADER = ("fault", "accepted", "refused", "with thumbnail", "missing", "mismatched", "orphaned", "s", "verdict")
Try = Callable[[Fault], Outcome]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hmlet.tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="WORDS", help="faults whose names hold these")
    parser.add_argument("--list", action="store_true", help="tell the names and where each runs, and do nothing")
    asked = parser.parse_args()
    faults = [fault for fault in all_faults() if not asked.only or any(words in fault.name for words in asked.only)]
    if not faults:
        parser.error("there is no such fault; --list names them")
    if asked.list:
        width = max(len(fault.name) for fault in faults)
        for fault in faults:
            stages = [stage for stage, run in (("host", fault.run), ("KIND", fault.in_cluster)) if run]
            sys.stdout.write(f"{fault.name:{width}}  {', '.join(stages)}\n")
        return 0
    env = current(HmletEnv)
    kind = env if isinstance(env, HmletKindEnv) else None
    if kind is None and env.runs_on != "host":
        parser.error("breaks its stage on purpose, so it wants a host stage's shell or that of a KIND stage")
    faults = [fault for fault in faults if (fault.in_cluster if kind else fault.run)]
    if not faults:
        parser.error("none of these runs on this stage; --list tells which does where")
    with _on_kind_stage(kind) if kind else _on_host_stage() as turn:
        return 0 if _all_survived(turn, faults) else 1


@contextlib.contextmanager
def _on_host_stage() -> Iterator[Try]:
    """A stage of its own, and none of the shell's."""
    states = Path(tempfile.mkdtemp(prefix="plf-"))
    try:
        with place_of(Place(checkout=CHECKOUT, states=states)) as place:
            sys.stdout.write("deploying a throw-away stage\n")
            place.deploy()

            def turn(fault: Fault) -> Outcome:
                assert fault.run is not None
                return tried(HostScene(place=place), fault.name, fault.run)

            yield turn
    finally:
        shutil.rmtree(states, ignore_errors=True)


@contextlib.contextmanager
def _on_kind_stage(env: HmletKindEnv) -> Iterator[Try]:
    """The shell's stage, which must be deployed."""
    if env.ca_file:
        os.environ["REQUESTS_CA_BUNDLE"] = env.ca_file
    stage = open_stage(PROJECT, env, print)
    place = ClusterPlace(env=env, checkout=env.checkout)
    names: list[str] = []
    with resolving({name: addresses[0] for name, addresses in stage.host_names().items()}):
        with Accounts(env, stage, names) as accounts:
            account = accounts.new()

            def turn(fault: Fault) -> Outcome:
                assert fault.in_cluster is not None
                scene = ClusterScene(place=place, stage=stage, account=account)
                return tried(scene, fault.name, fault.in_cluster)

            yield turn
        remove_users(stage, names)


def _all_survived(turn: Try, faults: Sequence[Fault]) -> bool:
    width = max((len(fault.name) for fault in faults), default=0)
    form = f"{{:{width}}}  {{:>8}}  {{:>7}}  {{:>14}}  {{:>7}}  {{:>10}}  {{:>8}}  {{:>4}}  {{}}"
    _say(form.format(*HEADER))
    survived = True
    for fault in faults:
        if reason := fault.left_out():
            _say(form.format(fault.name, *"-" * 7, f"left out: {reason}"))
            continue
        began = time.monotonic()
        found = turn(fault)
        took = f"{time.monotonic() - began:.0f}"
        counts = (found.counts.missing, found.counts.mismatched, found.counts.orphaned)
        counted = (found.accepted, found.refused, found.with_thumbnail, *counts)
        _say(form.format(fault.name, *counted, took, "FAILED" if found.wrong else "ok"))
        for sentence in (*found.wrong, *found.told):
            _say(f"    {sentence}")
        survived &= not found.wrong
    return survived


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
