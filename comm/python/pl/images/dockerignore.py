"""What a build sees of its context: the rules of .dockerignore, as the builder itself applies them.

They are not git's: a pattern without a slash is about the top of the context alone, the last pattern that matches
decides, and one that matches a folder is about all that is in it (https://docs.docker.com/build/concepts/context/).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, kw_only=True)
class _Rule:
    matches: re.Pattern[str]
    lets_in: bool


class Ignored:
    """The rules of one file. Paths are relative to the context, with slashes."""

    def __init__(self, text: str) -> None:
        self._rules = [rule for rule in map(_rule, text.removeprefix("\ufeff").splitlines()) if rule]
        self._lets_in_again = any(rule.lets_in for rule in self._rules)

    def covers(self, path: str) -> bool:
        """Whether a file or folder is left out."""
        places = [path, *(str(parent) for parent in PurePosixPath(path).parents if str(parent) != ".")]
        covered = False
        for rule in self._rules:
            if rule.lets_in is covered and any(rule.matches.fullmatch(place) for place in places):
                covered = not rule.lets_in
        return covered

    def covers_all_below(self, folder: str) -> bool:
        """Whether nothing in a folder can be let in. May say no where that would take a look at what is there."""
        return not self._lets_in_again and self.covers(folder)


def of_build(context: Path, dockerfile: str) -> Ignored:
    """The rules for a build: those beside its Dockerfile, else those of the context, else none."""
    for file in (context / f"{dockerfile}.dockerignore", context / ".dockerignore"):
        try:
            return Ignored(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
    return Ignored("")


def let_in(context: Path, ignored: Ignored) -> Iterator[str]:
    """Paths of the files and links that the build sees, sorted. Empty folders do not count: git keeps none."""
    yield from _below(context, "", ignored)


def _below(context: Path, folder: str, ignored: Ignored) -> Iterator[str]:
    with os.scandir(context / folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not ignored.covers_all_below(path):
                    yield from _below(context, path, ignored)
            elif (entry.is_file() or entry.is_symlink()) and not ignored.covers(path):
                yield path


def _rule(line: str) -> _Rule | None:
    if line.startswith("#"):
        return None
    line = line.strip()
    lets_in = line.startswith("!")
    pattern = line.removeprefix("!").strip()
    if not pattern:
        return None
    pattern = os.path.normpath(pattern).replace(os.sep, "/").lstrip("/")
    if pattern in ("", "."):
        return None
    return _Rule(matches=re.compile(_expression(pattern), re.DOTALL), lets_in=lets_in)


def _expression(pattern: str) -> str:
    """As moby's patternmatcher builds it: ``**`` crosses slashes, ``*`` and ``?`` do not."""
    parts: list[str] = []
    rest = pattern
    while rest:
        if rest.startswith("**"):
            rest = rest.lstrip("*").removeprefix("/")
            parts.append("(.*/)?" if rest else ".*")
        elif rest.startswith("["):
            group, rest = _group(rest)
            parts.append(group)
        elif rest.startswith("\\") and len(rest) > 1:
            parts.append(re.escape(rest[1]))
            rest = rest[2:]
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(rest[0]) or re.escape(rest[0]))
            rest = rest[1:]
    return "".join(parts)


def _group(rest: str) -> tuple[str, str]:
    """A set of characters at the beginning of a pattern, and what follows it; a bracket alone is a bracket."""
    end = rest.find("]", 2)
    if end < 0:
        return re.escape(rest[0]), rest[1:]
    inside = rest[1:end]
    negated = "^" if inside.startswith("^") else ""
    characters = inside.removeprefix("^").replace("[", r"\[")
    return f"[{negated}{characters}]", rest[end + 1 :]
