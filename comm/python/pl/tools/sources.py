"""Where each tool comes from: the addresses in tools.toml, or a mirror (PL_MIRROR) in their place.

A mirror is a directory or an address that holds a tools.toml of the same form. Its versions must be ours; what its
files must be, its own checksums say, for it may have built them itself: whoever names a mirror trusts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit, urlunsplit

from pl.errors import MirrorUnusable, PlError, ToolMissing
from pl.tools import registry
from pl.tools.registry import Checksums, Tool

MIRROR = "PL_MIRROR"
MIRRORS_FILE = "tools.toml"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One tool for this platform. ``place`` is an address or a file; ``said_by`` the tools.toml that named it."""

    name: str
    version: str
    place: str | Path
    sha256: str
    member: str
    checksums: Checksums | None
    checksums_place: str | Path
    said_by: str

    @property
    def file_name(self) -> str:
        """What the file is called where it comes from."""
        return self.place.name if isinstance(self.place, Path) else urlsplit(self.place).path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Offers:
    """What there is for this machine, and the optional tools that the source lacks."""

    tools: Mapping[str, Offer]
    lacking: tuple[str, ...]
    source: str


def shown(place: str | Path) -> str:
    """A place as it may be printed: an address can hold a password or a token."""
    if isinstance(place, Path):
        return str(place)
    parts = urlsplit(place)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def upstream(tools: Mapping[str, Tool], platform: str) -> Offers:
    """What vendors offer. Raises ToolMissing with every tool that none offers for this platform."""
    offers = {
        name: _offer(tool, platform, "", registry.FILE) for name, tool in tools.items() if platform in tool.artifacts
    }
    lacking = [tool for name, tool in tools.items() if name not in offers]
    needed = [tool.name for tool in lacking if not tool.optional]
    if needed:
        raise ToolMissing(
            f"{registry.FILE} has no {', '.join(needed)} for {platform}",
            hint=f"add {platform} there, or use the host stage",
        )
    return Offers(tools=offers, lacking=tuple(tool.name for tool in lacking), source=registry.FILE)


def mirrored(mirror: str, tools: Mapping[str, Tool], platform: str, read_text: Callable[[str | Path], str]) -> Offers:
    """What a mirror offers of ``tools``.

    Raises MirrorUnusable for a mirror that may not be used, cannot be read, or does not hold what is needed; then with
    everything that is wrong. ``read_text`` fetches a small file.
    """
    base = _base(mirror)
    place = base / MIRRORS_FILE if isinstance(base, Path) else urljoin(base, MIRRORS_FILE)
    try:
        held = registry.read(read_text(place), shown(place), relative=True)
    except PlError as error:
        raise MirrorUnusable(
            f"the mirror {shown(base)} cannot be used",
            why=str(error),
            hint=f"mend {MIRROR}, or unset it to fetch upstream",
        ) from None
    mistakes: list[str] = []
    offers: dict[str, Offer] = {}
    lacking: list[str] = []
    for name, tool in tools.items():
        fault = _fault(tool, held.get(name), platform)
        if not fault:
            offers[name] = _offer(held[name], platform, base, shown(place))
        elif tool.optional and (name not in held or platform not in held[name].artifacts):
            lacking.append(name)
        else:
            mistakes.append(f"{name}: {fault}")
    if mistakes:
        raise MirrorUnusable(
            f"the mirror {shown(base)} does not hold what this checkout needs",
            why="\n".join(mistakes),
            hint=f"have the mirror brought to {registry.FILE}, or unset {MIRROR} to fetch upstream",
        )
    return Offers(tools=offers, lacking=tuple(lacking), source=f"the mirror {shown(base)}")


def grouped(offers: Sequence[Offer]) -> list[list[Offer]]:
    """Offers that are made from one file, together: it is fetched once."""
    groups: dict[tuple[str, str], list[Offer]] = {}
    for offer in offers:
        groups.setdefault((str(offer.place), offer.sha256), []).append(offer)
    return list(groups.values())


def _base(mirror: str) -> str | Path:
    if "://" in mirror:
        if not registry.is_allowed(mirror):
            raise MirrorUnusable(
                f"{MIRROR} names {shown(mirror)}, from where nothing may be fetched",
                why="what travels unencrypted can be changed on its way; http is for this machine itself (localhost)",
                hint=f"{MIRROR}=https://..., or the path of a directory",
            )
        parts = urlsplit(mirror)
        path = parts.path.removesuffix(f"/{MIRRORS_FILE}").rstrip("/") + "/"
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    folder = Path(mirror).expanduser()
    if not folder.is_absolute():
        raise MirrorUnusable(
            f"{MIRROR}={mirror} depends on the directory that one is in", hint=f"{MIRROR}={folder.absolute()}"
        )
    return folder


def _fault(tool: Tool, held: Tool | None, platform: str) -> str:
    if held is None:
        return "is not there"
    if held.version != tool.version:
        return f"version {held.version} is there, and {registry.FILE} wants {tool.version}"
    return "" if platform in held.artifacts else f"is not there for {platform}"


def _offer(tool: Tool, platform: str, base: str | Path, said_by: str) -> Offer:
    artifact = tool.artifacts[platform]
    checksums = artifact.checksums
    return Offer(
        name=tool.name,
        version=tool.version,
        place=_place(base, artifact.url),
        sha256=artifact.sha256,
        member=artifact.member,
        checksums=checksums,
        checksums_place=_place(base, checksums.url) if checksums else "",
        said_by=said_by,
    )


def _place(base: str | Path, url: str) -> str | Path:
    if "://" in url:
        return url
    return base / url if isinstance(base, Path) else urljoin(base, url)
