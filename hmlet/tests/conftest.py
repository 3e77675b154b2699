"""What the tests of hmlet's stages share: the stage of the shell that they run in, and users made for one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ht.api_clients.photos import PhotosApiClient
from pl.project import open_stage
from pl.stage import Stage
from pl.testing import env_fixture

from hmlet.env_comm import HmletEnv
from hmlet.project import PROJECT
from hmlet.tests.accounts import Account, Accounts
from hmlet.tests.web import Web, web_of
from hmlet.users import remove_users

env = env_fixture(HmletEnv, opener="hmlet/shell.py host")


@pytest.fixture(scope="session")
def trusting(env: HmletEnv) -> Iterator[None]:
    """Whatever speaks TLS in these tests trusts the stage's own authority, where it has one, and no other."""
    with pytest.MonkeyPatch.context() as patch:
        if env.ca_file:
            for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
                patch.setenv(variable, env.ca_file)
        yield


@pytest.fixture(scope="session")
def stage(env: HmletEnv, trusting: None) -> Stage:
    """The stage of this shell, for what the API has no way to do."""
    return open_stage(PROJECT, env, say=print)


@pytest.fixture(scope="session")
def generated_names(stage: Stage) -> Iterator[list[str]]:
    """The users that this run made. They are removed at its end, all at once: each command takes a second."""
    names: list[str] = []
    yield names
    remove_users(stage, names)


@pytest.fixture
def accounts(env: HmletEnv, stage: Stage, generated_names: list[str]) -> Iterator[Accounts]:
    """Makes users for one test: ``accounts.new()``. Their photos are deleted afterwards."""
    with Accounts(env, stage, generated_names) as made:
        yield made


@pytest.fixture
def account(accounts: Accounts) -> Account:
    """A fresh user: the one whom ``photos_api_client`` signs in as."""
    return accounts.new()


@pytest.fixture
def photos_api_client(account: Account) -> PhotosApiClient:
    """A client signed in as a fresh user."""
    return account.client


@pytest.fixture(scope="session")
def stranger_account(env: HmletEnv, stage: Stage, generated_names: list[str]) -> Iterator[Account]:
    """Another user, the same for all tests of a run: it owns nothing that a test relies on."""
    with Accounts(env, stage, generated_names) as made:
        yield made.new()


@pytest.fixture
def stranger(stranger_account: Account) -> PhotosApiClient:
    """A client of another user."""
    return stranger_account.client


@pytest.fixture
def anonymous(env: HmletEnv, trusting: None) -> Iterator[PhotosApiClient]:
    """A client of nobody."""
    with PhotosApiClient(env.web_url) as client:
        yield client


@pytest.fixture
def web(env: HmletEnv, account: Account) -> Iterator[Web]:
    """Plain HTTP as the fresh user."""
    with web_of(env, account) as session:
        yield session


@pytest.fixture
def anonymous_web(env: HmletEnv, trusting: None) -> Iterator[Web]:
    """Plain HTTP as nobody."""
    with web_of(env) as session:
        yield session
