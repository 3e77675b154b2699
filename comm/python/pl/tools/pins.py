"""Record the checksums that vendors publish in the tracked tools.toml. Nothing else writes that file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pl.errors import LockFailed, PlError
from pl.files import write_whole
from pl.tools import registry
from pl.tools.checksums import published
from pl.tools.fetch import Fetcher
from pl.tools.install import known
from pl.tools.sources import shown

_SECTION = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?")
_PLATFORM = re.compile(rf"(?P<platform>{'|'.join(registry.PLATFORMS)})\s*=\s*\{{(?P<inside>.*)\}}(?P<after>\s*(#.*)?)")
_SHA256 = re.compile(r'sha256\s*=\s*"[^"]*"')


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A checksum that was recorded anew; ``before`` is empty where none was."""

    tool: str
    platform: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Pins:
    """What was recorded, and the tools of which no vendor publishes a checksum and none is recorded."""

    recorded: tuple[Recorded, ...]
    without: tuple[str, ...]


def record(checkout: Path, *, say: Callable[[str], None], fetcher: Fetcher | None = None) -> Pins:
    """Ask the vendors what each artifact on each platform must be, and write it down: all of it, or nothing.

    Raises LockFailed when one cannot be learned; then the file is as it was. A mirror is not asked: the file is about
    what vendors publish.
    """
    fetcher = fetcher or Fetcher()
    texts: dict[str, str] = {}
    recorded: list[Recorded] = []
    without: list[str] = []
    digests: dict[tuple[str, str], str] = {}
    for tool in known(checkout).values():
        say(f"checksums of {tool.name} {tool.version}")
        for platform, artifact in tool.artifacts.items():
            if artifact.checksums is None:
                without += [] if artifact.sha256 else [f"{tool.name} {platform}"]
                continue
            place = artifact.checksums.url
            try:
                if place not in texts:
                    texts[place] = fetcher.text(place)
                name = urlsplit(artifact.url).path.rpartition("/")[2]
                digest = published(texts[place], artifact.checksums.form, name, shown(place))
            except PlError as error:
                raise LockFailed(
                    f"the checksum of {tool.name} for {platform} cannot be learned",
                    why=str(error),
                    hint=f"{registry.FILE} is as it was",
                ) from None
            digests[tool.name, platform] = digest
            if digest != artifact.sha256:
                recorded.append(Recorded(tool=tool.name, platform=platform, before=artifact.sha256, after=digest))
    if recorded:
        _write(checkout, digests)
    return Pins(recorded=tuple(recorded), without=tuple(without))


def with_digests(text: str, digests: dict[tuple[str, str], str]) -> str:
    """The text of a tools.toml with these checksums, by tool and platform; comments and order stay."""
    lines = []
    tool = ""
    for line in text.splitlines(keepends=True):
        section = _SECTION.fullmatch(line.rstrip("\n"))
        tool = section[1].strip() if section else tool
        lines.append(_with_digest(line, tool, digests))
    return "".join(lines)


def _with_digest(line: str, tool: str, digests: dict[tuple[str, str], str]) -> str:
    match = _PLATFORM.fullmatch(line.rstrip("\n"))
    digest = digests.get((tool, match["platform"])) if match else None
    if match is None or digest is None:
        return line
    pin = f'sha256 = "{digest}"'
    inside = match["inside"].strip()
    inside = _SHA256.sub(pin, inside) if _SHA256.search(inside) else f"{inside}, {pin}"
    return f"{match['platform']} = {{ {inside} }}{match['after']}\n"


def _write(checkout: Path, digests: dict[tuple[str, str], str]) -> None:
    file = checkout / registry.FILE
    text = with_digests(file.read_text(encoding="utf-8"), digests)
    after = registry.read(text, registry.FILE)
    missed = [
        f"{tool} {platform}"
        for (tool, platform), digest in digests.items()
        if after[tool].artifacts[platform].sha256 != digest
    ]
    if missed:
        raise LockFailed(
            f"{registry.FILE} has a form that cannot be written",
            why=f"nothing was recorded for {', '.join(missed)}",
            hint='write each platform in one line: linux-amd64 = { url = "..." }',
        )
    mode = file.stat().st_mode
    write_whole(file, text)
    file.chmod(mode)
