"""What tools there are: tools.toml, ours or a mirror's, read with all its mistakes at once."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from pl.errors import ToolMissing, ToolsInvalid

FILE = "comm/tools.toml"
PLATFORMS = ("linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64")
ARCHIVES = (".tar.gz", ".tgz", ".zip")
Form = Literal["bare", "lines", "github"]
FORMS: tuple[Form, ...] = ("bare", "lines", "github")

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Checksums:
    """Where the vendor publishes checksums, and in which form (tools.toml describes them)."""

    url: str
    form: Form


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A tool for one platform: ``sha256`` is empty where none is recorded, ``member`` where it is no archive."""

    url: str
    sha256: str = ""
    member: str = ""
    checksums: Checksums | None = None


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program and what it is made from on each platform."""

    name: str
    version: str
    optional: bool
    artifacts: Mapping[str, Artifact]


def this_platform(system: str = "", machine: str = "") -> str:
    """The platform of this machine, as tools.toml names it. Raises ToolMissing where there are no tools for it."""
    system, machine = system or sys.platform, machine or os.uname().machine
    platform = f"{system}-{_MACHINES.get(machine.lower(), machine)}"
    if platform not in PLATFORMS:
        raise ToolMissing(
            f"there are no tools for {platform}",
            why=f"platforms: {', '.join(PLATFORMS)}",
            hint="the host stage needs none",
        )
    return platform


def read(text: str, place: str, *, relative: bool = False) -> dict[str, Tool]:
    """The tools that a tools.toml describes, by name. ``relative`` addresses are a mirror's alone.

    Raises ToolsInvalid with every mistake. Keys that we do not know are mistakes: most often another's with a slip.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ToolsInvalid(place, [str(error)]) from None
    reading = _Reading(relative=relative)
    tools = {name: reading.tool(name, table) for name, table in tables.items()}
    if reading.mistakes:
        raise ToolsInvalid(place, reading.mistakes)
    return tools


def is_allowed(url: str) -> bool:
    """Whether an address may be fetched from: https, and http where no wire is between."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme == "http" and (
        host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
    )


class _Reading:
    """One pass over a tools.toml that collects every mistake."""

    def __init__(self, *, relative: bool) -> None:
        self._relative = relative
        self.mistakes: list[str] = []

    def tool(self, name: str, table: object) -> Tool:
        if not _NAME.fullmatch(name):
            self._mistake(name, "is no name for a program (a-z, 0-9, -)")
        if not isinstance(table, dict):
            self._mistake(name, "must be a table")
            table = {}
        version = self._text(name, table, "version", _VERSION, "a version, such as 1.2.3")
        optional = table.get("optional", False)
        if not isinstance(optional, bool):
            self._mistake(f"{name}.optional", "must be true or false")
        platforms = [key for key in table if key in PLATFORMS]
        if not platforms:
            self._mistake(name, f"has no platform ({', '.join(PLATFORMS)})")
        self._refuse_unknown(name, table, ("version", "optional", "checksums", "member", *PLATFORMS))
        shared = {key: table[key] for key in ("checksums", "member") if key in table}
        artifacts = {key: self._artifact(f"{name}.{key}", table[key], shared, version) for key in platforms}
        return Tool(name=name, version=version, optional=optional is True, artifacts=artifacts)

    def _artifact(self, where: str, table: object, shared: dict[str, Any], version: str) -> Artifact:
        if not isinstance(table, dict):
            self._mistake(where, 'must be a table, such as { url = "..." }')
            return Artifact(url="")
        self._refuse_unknown(where, table, ("url", "sha256", "checksums", "member"))
        table = {**shared, **table}
        url = self._address(where, table, version, own="")
        sha256 = self._text(where, table, "sha256", _SHA256, "64 of 0-9a-f", needed=False)
        member = self._member(where, table, url)
        return Artifact(url=url, sha256=sha256, member=member, checksums=self._checksums(where, table, url, version))

    def _member(self, where: str, table: Mapping[str, object], url: str) -> str:
        member = table.get("member", "")
        if not isinstance(member, str) or member.startswith("/") or ".." in member.split("/"):
            self._mistake(f"{where}.member", "must be a path inside the archive")
            return ""
        if url.endswith(ARCHIVES) and not member:
            self._mistake(where, "is an archive and lacks member, the program's path in it")
        if url and member and not url.endswith(ARCHIVES):
            self._mistake(f"{where}.member", f"the address is no archive ({', '.join(ARCHIVES)})")
        return member

    def _checksums(self, where: str, table: Mapping[str, object], own: str, version: str) -> Checksums | None:
        if "checksums" not in table:
            return None
        where, said = f"{where}.checksums", table["checksums"]
        if not isinstance(said, dict):
            self._mistake(where, "must be a table with url and form")
            return None
        self._refuse_unknown(where, said, ("url", "form"))
        form = next((form for form in FORMS if form == said.get("form")), None)
        if form is None:
            self._mistake(f"{where}.form", f"must be one of {', '.join(FORMS)}, not {said.get('form')!r}")
            return None
        return Checksums(url=self._address(where, said, version, own=own), form=form)

    def _address(self, where: str, table: Mapping[str, object], version: str, *, own: str) -> str:
        url = table.get("url", "")
        if not isinstance(url, str) or not url:
            self._mistake(where, "lacks url")
            return ""
        url = url.replace("{version}", version).replace("{url}", own)
        fault = self._address_fault(url)
        if fault:
            self._mistake(f"{where}.url", f"{fault}, not {url!r}")
        return url

    def _address_fault(self, url: str) -> str:
        if "://" in url:
            return "" if is_allowed(url) else "must begin with https://"
        if not self._relative:
            return "must begin with https://"
        inside = not url.startswith("/") and ".." not in url.split("/") and "\\" not in url
        return "" if inside else "must be a path below the mirror"

    def _text(
        self,
        where: str,
        table: Mapping[str, object],
        key: str,
        form: re.Pattern[str],
        wanted: str,
        *,
        needed: bool = True,
    ) -> str:
        value = table.get(key, "")
        if value == "" and not needed:
            return ""
        if not isinstance(value, str) or not form.fullmatch(value):
            self._mistake(f"{where}.{key}", f"must be {wanted}" + (f", not {value!r}" if value != "" else ""))
            return ""
        return value

    def _refuse_unknown(self, where: str, table: Mapping[str, object], known: tuple[str, ...]) -> None:
        import difflib

        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                self._mistake(f"{where}.{key}", "is not known" + (f"; {close[0]} was meant?" if close else ""))

    def _mistake(self, where: str, what: str) -> None:
        self.mistakes.append(f"{where}: {what}")
