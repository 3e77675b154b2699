"""The faults, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hmlet.tests.faults.cluster_scene import ClusterScene
from hmlet.tests.faults.host_scene import HostScene
from hmlet.tests.faults.scene import Check


@dataclass(frozen=True, kw_only=True)
class Fault:
    """``run`` is called while people upload, and leaves the host stage able to go on by itself; ``in_cluster`` likewise
    on a KIND stage. One of them may be missing, where the fault cannot be had.

    ``left_out`` says why it cannot be tried on this machine, if so. ``quick``: it takes seconds, and comes out the same
    each time, so that it is a test as well.
    """

    name: str
    run: Callable[[HostScene], Check | None] | None = None
    in_cluster: Callable[[ClusterScene], Check | None] | None = None
    left_out: Callable[[], str] = lambda: ""
    quick: bool = False


def all_faults() -> tuple[Fault, ...]:
    from hmlet.tests.faults import backup, crowd, kills, messages, roll_out, storage

    # The backup first: what is restored later takes the longer, the more the others posted.
    return (*backup.FAULTS, *kills.FAULTS, *storage.FAULTS, *messages.FAULTS, *roll_out.FAULTS, *crowd.FAULTS)
