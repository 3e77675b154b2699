"""A stage's kind.yaml with the stage's variables in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pl.errors import KindConfigInvalid

_REFERENCE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, kw_only=True)
class KindConfig:
    """``text`` is what kind is told; ``host_ports`` are those of this machine that the nodes publish."""

    text: str
    host_ports: tuple[int, ...]


def rendered(file: Path, variables: Mapping[str, str]) -> KindConfig:
    """Put variables in for ``${NAME}``. Raises KindConfigInvalid, with the line of every unknown one."""
    import yaml

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise KindConfigInvalid(str(file), [f"cannot be read: {error.strerror}"]) from None
    mistakes: list[str] = []
    done = [_substituted(line, number, variables, mistakes) for number, line in enumerate(lines, 1)]
    if mistakes:
        raise KindConfigInvalid(str(file), mistakes)
    text = "\n".join(done) + "\n"
    try:
        content = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise KindConfigInvalid(str(file), [f"line {line}: {error.problem}"]) from None
    if not isinstance(content, dict) or content.get("kind") != "Cluster":
        raise KindConfigInvalid(str(file), ["line 1: this is no kind: Cluster"])
    return KindConfig(text=text, host_ports=_host_ports(content))


def _substituted(line: str, number: int, variables: Mapping[str, str], mistakes: list[str]) -> str:
    if line.lstrip().startswith("#"):
        return line

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in variables:
            return variables[name]
        close = difflib.get_close_matches(name, variables, n=1)
        meant = f"; {close[0]} was meant?" if close else ""
        mistakes.append(f"line {number}: the stage has no variable {name or 'of an empty name'}{meant}")
        return ""

    return _REFERENCE.sub(value, line)


def _host_ports(content: Mapping[str, Any]) -> tuple[int, ...]:
    nodes = content.get("nodes") or []
    ports = [
        mapping.get("hostPort")
        for node in nodes
        if isinstance(node, dict)
        for mapping in node.get("extraPortMappings") or []
        if isinstance(mapping, dict)
    ]
    return tuple(sorted({port for port in ports if isinstance(port, int) and port > 0}))
