"""Which processes of a stage a fault ends, found when it is about to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import psutil

from hmlet.tests.test_host.place import Place
from hmlet.tests.waiting import wait_for

Victims = Callable[[Place], list[psutil.Process]]
RESTARTED_WITHIN_S = 15.0


def main_process(name: str) -> Victims:
    return lambda place: [psutil.Process(place.pids()[name])]


def one_child(name: str) -> Victims:
    return lambda place: psutil.Process(place.pids()[name]).children()[-1:]


def all_children(name: str) -> Victims:
    return lambda place: psutil.Process(place.pids()[name]).children(recursive=True)


def all_of(name: str) -> Victims:
    """The program and all below it."""
    return lambda place: [*main_process(name)(place), *all_children(name)(place)]


def found(victims: Victims, place: Place, name: str) -> list[psutil.Process]:
    """The processes to end. One that was just restarted has no children yet, or is not told of."""

    def there() -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            return victims(place)
        return []

    return wait_for(there, what=f"there is {name} to kill", within_s=RESTARTED_WITHIN_S)
