"""The stage that these tests work on is the one of the shell: pl.test deploys one for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pl.resolving import resolving
from pl.stage import Stage

from hmlet.env_comm import HmletEnv, HmletKindEnv
from hmlet.tests.test_cluster.place import Place


@pytest.fixture(scope="session", autouse=True)
def names_resolve(stage: Stage) -> Iterator[None]:
    """Whether this machine knows them or not."""
    with resolving({name: addresses[0] for name, addresses in stage.host_names().items()}):
        yield


@pytest.fixture(scope="session")
def place(env: HmletEnv) -> Place:
    """The stage, by the commands of this checkout."""
    if not isinstance(env, HmletKindEnv):
        pytest.fail(
            "these tests want a KIND stage: hmlet/shell.py test -- pytest hmlet/tests/test_cluster", pytrace=False
        )
    return Place(env=env, checkout=env.checkout)


@pytest.fixture
def changed(place: Place, tmp_path: Path) -> Iterator[Place]:
    """A copy of the checkout, to be changed. Afterwards the stage is again as the real one says."""
    yield place.copy(tmp_path / "copy")
    place.must("deploy")
