"""The end-to-end tests reach a stage under its own names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pl.resolving import resolving
from pl.stage import Stage


@pytest.fixture(scope="session", autouse=True)
def names_resolve(stage: Stage) -> Iterator[None]:
    """Whether this machine knows them or not."""
    with resolving({name: addresses[0] for name, addresses in stage.host_names().items()}):
        yield
