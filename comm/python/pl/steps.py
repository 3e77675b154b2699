"""A graph of named steps, run in parallel where it allows, with progress told to whoever draws it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from pl.errors import Interrupted, PlError, StepsFailed

IO_BOUND_WORKERS = 4
_LOOK_UP_EVERY_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to do. ``run`` returns a remark for people ("unchanged") or an empty string, and raises PlError."""

    name: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()


class Progress(Protocol):
    """Who is told how steps get on. Called from several threads."""

    def started(self, name: str) -> None: ...
    def done(self, name: str, remark: str, duration_s: float) -> None: ...
    def failed(self, name: str, error: PlError) -> None: ...


def run_steps(steps: Sequence[Step], progress: Progress, *, interrupted: threading.Event | None = None) -> None:
    """Run all steps, each after those it needs.

    A step that fails keeps those that need it from being tried; the others go on. Raises StepsFailed with every
    failure, ValueError for a need that no step satisfies, and what was raised by a step if that was no PlError.
    On Ctrl-C no further step is begun, ``interrupted`` is set for those that run to see, and when they have ended,
    Interrupted is raised with the names of all that were not done.
    """
    waiting = {step.name: step for step in steps}
    _check(waiting)
    done: set[str] = set()
    failures: dict[str, PlError] = {}
    running: dict[Future[None], str] = {}
    interrupted = interrupted or threading.Event()
    with _ctrl_c(interrupted) as told, ThreadPoolExecutor(max_workers=IO_BOUND_WORKERS) as pool:
        while not told.is_set():
            for name in [name for name, step in waiting.items() if done.issuperset(step.needs)]:
                running[pool.submit(_run, waiting.pop(name), progress, interrupted)] = name
            if not running:
                break
            ended, _ = wait(running, timeout=_LOOK_UP_EVERY_S, return_when=FIRST_COMPLETED)
            for future in ended:
                name = running.pop(future)
                error = future.exception()
                if isinstance(error, PlError):
                    failures[name] = error
                elif error is not None:
                    raise error
                else:
                    done.add(name)
        if told.is_set():
            wait(running)
            ended_well = {name for future, name in running.items() if future.exception() is None}
            left = [step.name for step in steps if step.name not in done | ended_well]
            raise Interrupted("interrupted", why=f"not done: {', '.join(left)}" if left else "")
    if failures:
        raise StepsFailed(failures, tuple(waiting))


@contextlib.contextmanager
def _ctrl_c(interrupted: threading.Event) -> Iterator[threading.Event]:
    """Yields what a first Ctrl-C sets, and ``interrupted`` with it; a second one is a KeyboardInterrupt.

    As an exception it may come anywhere in the main thread: just after a lock was taken, it keeps that for ever, and a
    step that has ended cannot say so. Only the main thread is told of signals.
    """
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return

    def answer(number: int, frame: FrameType | None) -> None:
        if told.is_set():
            signal.default_int_handler(number, frame)
        told.set()
        interrupted.set()

    before = signal.signal(signal.SIGINT, answer)
    try:
        yield told
    finally:
        signal.signal(signal.SIGINT, before)


def _run(step: Step, progress: Progress, interrupted: threading.Event) -> None:
    began = time.monotonic()
    progress.started(step.name)
    try:
        remark = step.run()
    except PlError as error:
        # Ctrl-C goes to whatever a step has started, too.
        progress.failed(step.name, Interrupted("interrupted") if interrupted.is_set() else error)
        raise
    progress.done(step.name, remark, time.monotonic() - began)


def with_needs(needs: Mapping[str, Sequence[str]], names: Iterable[str]) -> frozenset[str]:
    """``names`` and all that they need, directly or not; ``needs`` says of each name what it needs."""
    wanted: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left.extend(needs[name])
    return frozenset(wanted)


def _check(steps: dict[str, Step]) -> None:
    """A need that is no step, or a circle, would wait for ever."""
    settled: set[str] = set()
    left = dict(steps)
    while left:
        ready = [name for name, step in left.items() if settled.issuperset(step.needs)]
        if not ready:
            raise ValueError(f"steps that can never run: {', '.join(f'{n} needs {s.needs}' for n, s in left.items())}")
        settled.update(ready)
        for name in ready:
            del left[name]
