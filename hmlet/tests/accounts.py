"""Users that are made for tests: generated names and passwords, and nothing of theirs left afterwards."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import requests
from ht.api_clients.photos import PhotosApiClient
from ht.errors import NotFound
from pl.stage import Stage

from hmlet.env_comm import HmletEnv
from hmlet.users import ensure_user

TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user, and a client that is signed in as them."""

    name: str
    password: str = field(repr=False)
    client: PhotosApiClient = field(repr=False)


class Accounts:
    """Makes users, and deletes their photos when it is left. ``names`` is told of each, for whoever removes them."""

    def __init__(self, env: HmletEnv, stage: Stage, names: list[str]) -> None:
        self._env = env
        self._stage = stage
        self._names = names
        self._made: list[Account] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for account in self._made:
            delete_photos(account.client)
            account.client.close()

    def new(self, *, staff: bool = False) -> Account:
        """A fresh user."""
        name, password = f"e2e-{secrets.token_hex(6)}", secrets.token_urlsafe(18)
        self._names.append(name)
        ensure_user(self._stage, name, password, staff=staff)
        client = PhotosApiClient(self._env.web_url, name, password, timeout_s=TIMEOUT_S)
        account = Account(name=name, password=password, client=client)
        self._made.append(account)
        return account


def delete_photos(client: PhotosApiClient) -> None:
    """Delete all photos of the client's user."""
    for photo in client.photos.list(owner="me"):
        try:
            client.photos.delete(photo)
        except NotFound:
            continue  # a test of its own is deleting it as well


def access_token(env: HmletEnv, account: Account) -> str:
    """For requests that the client would not send."""
    return str(token_pair(env, account)["access"])


def token_pair(env: HmletEnv, account: Account) -> dict[str, str]:
    answer = requests.post(
        f"{env.api_url}token/", json={"username": account.name, "password": account.password}, timeout=TIMEOUT_S
    )
    answer.raise_for_status()
    pair: dict[str, str] = answer.json()
    return pair
