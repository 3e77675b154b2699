"""Which platform, as whom: from options, the stage's variables and what ``ht login`` kept, to a client."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ht.errors import HtError

if TYPE_CHECKING:
    from ht.api_clients.photos import PhotosApiClient
    from ht.cli.token_file import TokenFile


class Misused(typer.BadParameter):
    """Options and variables that say too little or make no sense: told as they stand."""

    def format_message(self) -> str:
        return self.message


@dataclass(frozen=True, kw_only=True)
class Session:
    """``password_file``: "-" is standard input; its last line break is no part of the password."""

    url: str
    username: str
    password_file: str
    ca_file: str = ""

    @property
    def address(self) -> str:
        """Raises Misused where nobody said."""
        if not self.url:
            raise Misused("which platform? Give --url http://HOST:PORT, or run in a stage's shell")
        return self.url.rstrip("/")

    def as_whom(self) -> str:
        """The user whom options and variables name, or whose tokens are kept. Raises HtError where there is none."""
        from ht.cli.token_file import kept_username

        username = self.username or kept_username(self.address)
        if username is None:
            raise HtError(f"Nobody is signed in at {self.address} → ht login")
        return username

    def client(self) -> PhotosApiClient:
        """For that user: with the tokens that are kept, or a password. Raises HtError, OSError."""
        from ht.cli.token_file import TokenFile

        username = self.as_whom()
        tokens = TokenFile(self.address, username)
        password: str | None = None
        if self.password_file:
            password = _password_in(self.password_file)
        elif tokens.load() is None:
            password = _asked_password(username, self.address)
        return self._client(username, password, tokens)

    def sign_in(self) -> str:
        """Signs in and keeps the tokens; asks for what is not given. The username. Raises HtError, OSError."""
        from ht.cli.token_file import TokenFile

        username = self.username or _asked_username()
        path = self.password_file
        password = _password_in(path) if path else _asked_password(username, self.address)
        with self._client(username, password, TokenFile(self.address, username)) as client:
            client.sign_in()
        return username

    def sign_out(self) -> None:
        """Ends the sign-in whose tokens are kept for the address, whoever's. Raises HtError, OSError."""
        from ht.cli.token_file import TokenFile, kept_username

        username = kept_username(self.address)
        if username is not None:
            with self._client(username, None, TokenFile(self.address, username)) as client:
                client.logout()

    def _client(self, username: str, password: str | None, tokens: TokenFile) -> PhotosApiClient:
        from ht.api_clients.photos import PhotosApiClient

        named = username if password is not None else None
        try:
            return PhotosApiClient(self.address, named, password, tokens=tokens, ca_file=self.ca_file or None)
        except ValueError as error:
            option = "--ca-file" if "ca_file" in str(error) else "--url"
            raise Misused(f"{option}: {error}") from None


def _password_in(path: str) -> str:
    if path == "-":
        text = sys.stdin.readline()
    else:
        with Path(path).open(encoding="utf-8") as file:
            text = file.readline()
    password = text.rstrip("\r\n")
    if not password:
        raise Misused(f"--password-file: {path} has no password in its first line")
    return password


def _asked_username() -> str:
    if not sys.stdin.isatty():
        raise Misused("who? Give --username NAME, or set HMLET_USERNAME")
    return str(typer.prompt("Username", default=os.environ.get("USER"), err=True))


def _asked_password(username: str, address: str) -> str:
    if not sys.stdin.isatty():
        raise HtError(f"{username} is not signed in at {address} → ht login, or --password-file FILE")
    return str(typer.prompt(f"Password of {username} at {address}", hide_input=True, err=True))
