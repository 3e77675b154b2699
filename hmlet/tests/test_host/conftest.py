"""Host stages of these tests' own. None of them touches the stage of a shell that the tests are run in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hmlet.tests.test_host.place import Place, copy_checkout, place_of


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A short path: a socket below it may have 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="plh-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def checkout(folder: Path) -> Path:
    """A checkout that tests may change, if they bring it back."""
    return copy_checkout(folder / "c")


@pytest.fixture(scope="session")
def running(folder: Path, checkout: Path) -> Iterator[Place]:
    """One stage for all tests that leave it as they found it, or as a deploy mends it."""
    with place_of(Place(checkout=checkout, states=folder / "s")) as place:
        yield place


@pytest.fixture
def deployed(running: Place) -> Place:
    """The stage that all share, with all of it running."""
    running.deploy()
    return running


@pytest.fixture
def new_place(folder: Path, checkout: Path) -> Iterator[Callable[[], Place]]:
    """Makes places with nothing deployed in them, for tests that damage theirs."""
    with ExitStack() as stack:

        def make() -> Place:
            return stack.enter_context(place_of(Place(checkout=checkout, states=Path(tempfile.mkdtemp(dir=folder)))))

        yield make


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    return new_place()


@pytest.fixture
def edited(checkout: Path) -> Iterator[Callable[[str, str], None]]:
    """Appends text to files of the checkout, and takes it back."""
    before: dict[Path, bytes] = {}

    def append(name: str, text: str) -> None:
        file = checkout / name
        before.setdefault(file, file.read_bytes())
        file.write_bytes(file.read_bytes() + text.encode())

    yield append
    for file, content in before.items():
        file.write_bytes(content)
