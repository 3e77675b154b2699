"""One Chromium for all tests, a profile for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from hmlet.env_comm import HmletEnv
from hmlet.tests import chromium
from hmlet.tests.chromium import Visit


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=chromium.PATIENCE_MS)
    with chromium.browser() as launched:
        yield launched


@pytest.fixture
def visit(browser: Browser, env: HmletEnv) -> Iterator[Visit]:
    """A page that nothing may go wrong in: the console stays silent, and nobody else is asked for anything."""
    with chromium.visit(browser, env) as made:
        yield made
        assert made.complaints == []
        assert made.foreign == []


@pytest.fixture
def page(visit: Visit) -> Page:
    """For visitors who have not signed in."""
    return visit.page


@pytest.fixture
def admin(visit: Visit, env: HmletEnv) -> Page:
    """The admin's first page, signed in."""
    visit.sign_in(env)
    return visit.page
