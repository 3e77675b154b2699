"""Bring the tools of tools.toml into ``.deps``, and find them there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pl.errors import ChecksumWrong, ToolMissing, ToolsInvalid, ToolUnverified
from pl.steps import Step, run_steps
from pl.tools import archives, registry, sources
from pl.tools.checksums import LEARNED, Learned, published, sha256_of
from pl.tools.fetch import Fetcher, Transfers, enough_space
from pl.tools.registry import Tool
from pl.tools.shelf import Shelf
from pl.tools.sources import Offer, Offers

BRINGS_TOOLS = "bootstrap_local_dev"


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What became of the tools: ``fetched`` came now, ``kept`` were there, ``lacking`` are optional and not offered."""

    fetched: tuple[str, ...]
    kept: tuple[str, ...]
    lacking: tuple[str, ...]
    source: str


def known(checkout: Path) -> dict[str, Tool]:
    """The tools of a checkout, by name. Raises ToolsInvalid."""
    file = checkout / registry.FILE
    try:
        return registry.read(file.read_text(encoding="utf-8"), registry.FILE)
    except (OSError, UnicodeDecodeError) as error:
        raise ToolsInvalid(registry.FILE, [str(error)]) from None


def program(checkout: Path, name: str) -> Path:
    """The absolute path of an installed tool of the recorded version: nothing of the system's is ever meant.

    Raises ToolMissing.
    """
    shelf, tool = Shelf(checkout / ".deps"), known(checkout)[name]
    if not shelf.holds(name, tool.version, ""):
        raise ToolMissing(
            f"{name} {tool.version} is not in .deps", hint=f"in a cluster stage's shell: {_command(checkout)}"
        )
    return shelf.bin / name


def states(checkout: Path, *, rehash: bool = False) -> Mapping[str, bool]:
    """For each tool, by name: is it there in its recorded version, and whole?"""
    shelf = Shelf(checkout / ".deps")
    return {name: shelf.holds(name, tool.version, "", rehash=rehash) for name, tool in known(checkout).items()}


def install(
    checkout: Path,
    *,
    mirror: str,
    progress: Transfers,
    say: Callable[[str], None],
    rehash: bool = False,
    platform: str = "",
    fetcher: Fetcher | None = None,
) -> Installed:
    """Fetch, verify and install what is not there. ``rehash`` reads every installed program again.

    Any number of processes may call this at once: one fetches and the others wait. Raises StepsFailed with a failure
    for each tool that could not be had (the others are installed, and its old version stays), and what
    ``sources`` raises when there is nothing to begin with.
    """
    fetcher = fetcher or Fetcher()
    tools = known(checkout)
    platform = platform or registry.this_platform()
    offers = sources.mirrored(mirror, tools, platform, fetcher.text) if mirror else sources.upstream(tools, platform)
    bringing = _Bringing(Shelf(checkout / ".deps"), Learned(checkout / ".deps" / LEARNED), fetcher, progress, rehash)
    missing = bringing.missing(offers)
    if missing:
        with enough_space(checkout / ".deps"), bringing.shelf.alone(say):
            missing = bringing.missing(offers)
            run_steps(bringing.steps(missing), progress, interrupted=fetcher.interrupted)
    names = {offer.name for offer in missing}
    return Installed(
        fetched=tuple(sorted(names)),
        kept=tuple(name for name in offers.tools if name not in names),
        lacking=offers.lacking,
        source=offers.source,
    )


class _Bringing:
    """One run: what is missing, and the steps that bring it."""

    def __init__(self, shelf: Shelf, learned: Learned, fetcher: Fetcher, progress: Transfers, rehash: bool) -> None:
        self.shelf = shelf
        self._learned = learned
        self._fetcher = fetcher
        self._progress = progress
        self._rehash = rehash

    def missing(self, offers: Offers) -> list[Offer]:
        return [
            offer
            for offer in offers.tools.values()
            if not self.shelf.holds(offer.name, offer.version, self._known_digest(offer), rehash=self._rehash)
        ]

    def steps(self, missing: list[Offer]) -> list[Step]:
        return [self._step(group) for group in sources.grouped(missing)]

    def _step(self, group: list[Offer]) -> Step:
        name = ", ".join(offer.name for offer in group)

        def run() -> str:
            with enough_space(self.shelf.bin.parent):
                self._bring(name, group)
            return group[0].version

        return Step(name=name, run=run)

    def _bring(self, name: str, group: list[Offer]) -> None:
        first = group[0]
        digest = self._digest(first)
        absent = [
            offer for offer in group if not self.shelf.stands(offer.name, offer.version, digest, rehash=self._rehash)
        ]
        if absent:
            part = self.shelf.part(first.name, first.version, str(first.place))
            self._fetch(name, first, digest, part)
            for offer in absent:
                self.shelf.put(offer.name, offer.version, digest, _maker(offer, part, digest))
            part.unlink()
        if not first.sha256:
            self._learned.add(str(first.place), digest)
        for offer in group:
            self.shelf.link(offer.name, offer.version, digest)

    def _fetch(self, name: str, offer: Offer, digest: str, part: Path) -> None:
        """Bring the artifact to ``part`` and verify it. What is wrong is thrown away.

        A file that was continued may be of two halves that never belonged together; so it is fetched once more.
        """
        found = ""
        for _ in range(2):
            resumed = self._fetcher.file(
                offer.place, part, lambda done, total: self._progress.fetched(name, done, total)
            )
            found = sha256_of(part)
            if found == digest:
                return
            part.unlink()
            if not resumed:
                break
        raise ChecksumWrong(
            sources.shown(offer.place),
            wanted=digest,
            found=found,
            said_by=offer.said_by if offer.sha256 else "what the vendor publishes",
            hint="do not use that file; where the vendor did change it, record the new checksum: pl.lock --tools",
        )

    def _known_digest(self, offer: Offer) -> str:
        return offer.sha256 or self._learned.get(str(offer.place))

    def _digest(self, offer: Offer) -> str:
        """What the artifact must be. Raises ToolUnverified where nobody says."""
        digest = self._known_digest(offer)
        if digest:
            return digest
        if offer.checksums is None:
            raise ToolUnverified(
                f"{offer.name} {offer.version} is not fetched, because nothing says what it must be",
                why=f"{offer.said_by} records no sha256 and no vendor's checksum file for it",
                hint=f"record its sha256 in {offer.said_by}, from where you trust it",
            )
        text = self._fetcher.text(offer.checksums_place)
        return published(text, offer.checksums.form, offer.file_name, sources.shown(offer.checksums_place))


def _maker(offer: Offer, part: Path, digest: str) -> Callable[[Path], None]:
    """Writes the program from its verified artifact."""

    def make(to: Path) -> None:
        if offer.member:
            archives.take(part, offer.file_name, offer.member, to)
            return
        shutil.copyfile(part, to)
        if sha256_of(to) != digest:
            raise OSError(f"{part} changed while it was installed")

    return make


def _command(checkout: Path) -> str:
    project = next((entry.parent.name for entry in sorted(checkout.glob("*/project.py"))), "PROJECT")
    return f"{project}/cluster.py python {BRINGS_TOOLS}"
