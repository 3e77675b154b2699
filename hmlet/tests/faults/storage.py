"""A storage that fails, hangs, cuts, is full, or lives in another hour."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from datetime import timedelta

import psutil
from ht.errors import ApiError, HtError

from hmlet.tests.faults import relay
from hmlet.tests.faults.catalogue import Fault
from hmlet.tests.faults.host_scene import HostScene
from hmlet.tests.faults.relay import Answer, storage_relayed
from hmlet.tests.faults.victims import all_of, found
from hmlet.tests.waiting import wait_for

BROKEN_REQUESTS = 12
"""That many are answered wrongly before the storage is well again: more than one job's attempts are."""
_BROKEN_WITHIN_S = 90.0
_FULL_STATUSES = (503, 507)
_FULL_AT_BYTES = 16 * 1024
"""No file may become longer: what a full disk does to what is written, without filling one."""


def _relayed(name: str, answer: Answer, *, requests: int = BROKEN_REQUESTS, quick: bool = False) -> Fault:
    def run(scene: HostScene) -> None:
        with storage_relayed(scene.place) as between:
            scene.more_uploads(2, "through the relay")
            with between.answering(answer):
                there = between.broken
                told = f"{requests} requests to a storage that is {answer.__name__}"
                wait_for(lambda: between.broken >= there + requests, what=told, within_s=_BROKEN_WITHIN_S)
            scene.more_uploads(2, "once the storage is well again")

    return Fault(name=name, run=run, quick=quick)


def _full(name: str, program: str) -> Fault:
    """Whoever is refused meanwhile is told so by the platform, as what passes and with a code."""

    def run(scene: HostScene) -> None:
        refused = len(scene.record.failures)
        with _files_bounded(scene, program):
            failed = len(scene.record.failures) + len(scene.record.uploads)
            wait_for(
                lambda: len(scene.record.failures) + len(scene.record.uploads) >= failed + 6,
                what="six uploads to a full disk, whatever comes of them",
                within_s=60,
            )
        told = [_told(failure) for failure in scene.record.failures[refused:]]
        unclear = [each for each in told if each[0] not in _FULL_STATUSES or not each[1]]
        scene.expect(not unclear, f"refused otherwise than with {_FULL_STATUSES} and a code: {unclear}")
        if program == "storage":
            scene.expect(told, "nobody was told that the storage is full")
        scene.more_uploads(3, "once there is space again")

    return Fault(name=f"disk full: {name}", run=run)


def _told(failure: HtError) -> tuple[int, str]:
    """Status and code; 0 and what it says where there was no answer."""
    return (failure.status, failure.code) if isinstance(failure, ApiError) else (0, str(failure))


@contextlib.contextmanager
def _files_bounded(scene: HostScene, program: str) -> Iterator[None]:
    """No process of the program may write further into a file than so far, for a while.

    By the soft limit (RLIMIT_FSIZE) of processes that run already, which takes no rights; a full file system would
    take root's, to mount a small one. What differs is the error's number alone: EFBIG for ENOSPC.
    """
    before: list[tuple[psutil.Process, tuple[int, int]]] = []
    for process in found(all_of(program), scene.place, program):
        with contextlib.suppress(psutil.NoSuchProcess):
            soft, hard = process.rlimit(resource.RLIMIT_FSIZE)
            process.rlimit(resource.RLIMIT_FSIZE, (_FULL_AT_BYTES, hard))
            before.append((process, (soft, hard)))
    try:
        yield
    finally:
        # Those that were started meanwhile have it from those that were there.
        for process in found(all_of(program), scene.place, program):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.rlimit(resource.RLIMIT_FSIZE, before[0][1])


def _other_clock(name: str, offset: timedelta, answer: Answer) -> Fault:
    """The sweep runs meanwhile, because it judges by the storage's times what is old enough to be nobody's."""

    def run(scene: HostScene) -> None:
        with storage_relayed(scene.place) as between:
            between.clock_offset = offset
            with between.answering(answer):
                for _ in range(3):
                    _sweep(scene)
            between.clock_offset = timedelta()
            scene.more_uploads(2, "once the clocks agree")

    return Fault(name=name, run=run)


def _sweep(scene: HostScene) -> None:
    """Refused, where the storage does not take our time."""
    scene.place.run("ht.terminal", "python", "manage.py", "sweep_objects")


HOUR = timedelta(hours=1, minutes=1)
"""An hour and what a beginner's arithmetic leaves out."""

FAULTS = (
    _relayed("storage answers 500", relay.failing, requests=40),
    _relayed("storage does not answer", relay.silent, requests=10),
    _relayed("storage cuts what it sends and gets", relay.cutting, requests=40),
    _full("storage", "storage"),
    _full("queue", "redis"),
    _full("database", "postgresql"),
    _other_clock("clocks: storage an hour behind, lenient", -HOUR, relay.handed_on),
    _other_clock("clocks: storage an hour ahead, lenient", HOUR, relay.handed_on),
    _other_clock("clocks: storage an hour behind, strict", -HOUR, relay.strict_about_time),
    _other_clock("clocks: storage an hour ahead, strict", HOUR, relay.strict_about_time),
)
