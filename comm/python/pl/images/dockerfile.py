"""The images that a Dockerfile builds on."""

from __future__ import annotations

import re
from collections.abc import Mapping

_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
_MOUNTED_FROM = re.compile(r"--mount=\S*?\bfrom=([^,\s]+)")
_COPIED_FROM = re.compile(r"--from=(\S+)")
_SYNTAX = re.compile(r"#\s*syntax\s*=\s*(\S+)", re.IGNORECASE)


def bases(text: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """References of all images that any stage starts from, copies or mounts from, and the frontend's; sorted.

    ``arguments`` are those of the build: an ARG before the first FROM may stand in it.
    """
    found, stages, values = set[str](), set[str](), dict[str, str]()
    syntax = _SYNTAX.match(text.lstrip())
    if syntax:
        found.add(syntax[1])
    begun = False
    for name, words in _instructions(text):
        if name == "ARG" and not begun:
            variable, _, default = words.partition("=")
            values[variable.strip()] = arguments.get(variable.strip(), _unquoted(default))
        elif name == "FROM":
            begun = True
            parts = [part for part in words.split() if not part.startswith("--")]
            used = [_filled(parts[0], values)] if parts else []
            found.update(image for image in used if image.lower() not in stages | {"scratch"})
            if len(parts) == 3 and parts[1].lower() == "as":
                stages.add(parts[2].lower())
        elif name in ("COPY", "ADD", "RUN"):
            pattern = _MOUNTED_FROM if name == "RUN" else _COPIED_FROM
            sources = pattern.findall(words)
            found.update(source for source in sources if not source.isdecimal() and source.lower() not in stages)
    return tuple(sorted(found))


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    matched = (_INSTRUCTION.fullmatch(line) for line in joined.splitlines())
    return [(match[1].upper(), match[2].strip()) for match in matched if match]


def _filled(word: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: values.get(match[1] or match[2]) or match[3] or "", word)


def _unquoted(word: str) -> str:
    word = word.strip()
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word
