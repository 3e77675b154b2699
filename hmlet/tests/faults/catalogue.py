"""The faults, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hmlet.tests.faults.scene import Scene

Check = Callable[[], None]
"""What a fault looks at once all jobs have ended."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """``run`` is called while people upload, and leaves the stage able to go on by itself.

    ``left_out`` says why it cannot be tried on this machine, if so. ``quick``: it takes seconds, and comes out the same
    each time, so that it is a test as well. ``web_url`` is where a part of the people upload to instead.
    """

    name: str
    run: Callable[[Scene], Check | None]
    left_out: Callable[[], str] = lambda: ""
    quick: bool = False


def all_faults() -> tuple[Fault, ...]:
    from hmlet.tests.faults import kills, messages, roll_out, storage

    return (*kills.FAULTS, *storage.FAULTS, *messages.FAULTS, *roll_out.FAULTS)
