"""One stage for all faults: each leaves it as well as it was."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hmlet.tests.test_host.place import CHECKOUT, Place, place_of


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    states = Path(tempfile.mkdtemp(prefix="plk-"))
    try:
        with place_of(Place(checkout=CHECKOUT, states=states)) as made:
            made.deploy()
            yield made
    finally:
        shutil.rmtree(states, ignore_errors=True)
