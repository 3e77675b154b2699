"""What must not be shown of an object: a diff is read over shoulders and kept in the logs of CI.

Secrets do not belong in manifests, and no chart of ours puts one there. This is for what slipped in all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pl.release.fields import ABSENT, Path, Ref

MASK = "••••••"

_NAME = re.compile(
    r"(?i:passw|passphrase|secret|token|credential|private)|(?:^|[_.-])(?i:(api|access)?keys?)(?:$|[_.-])|[a-z]Keys?$"
)
_INLINE = re.compile(r"(?i)((?:passw\w*|secret\w*|token|\w*key)\s*[=:]\s*[\"']?)([^\s\"',;]+)")
_URL = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")
_DATA = ("data", "stringData", "binaryData")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def masked(ref: Ref, path: Path, value: object) -> object:
    """The value of a field as it may be shown; ABSENT stays what it is.

    Nothing of a Secret's data is shown, no variable whose name speaks of a secret, no such key of a ConfigMap, and no
    password within a text.
    """
    if value is ABSENT:
        return value
    if _is_secret(ref, path):
        return _all_masked(value)
    return _looked_through(ref, path, value)


def _is_secret(ref: Ref, path: Path) -> bool:
    if ref.kind == "Secret" and path and (path[0] in _DATA or _LAST_APPLIED in path):
        return True
    if ref.kind == "ConfigMap" and len(path) > 1 and path[0] in _DATA:
        return _speaks_of_a_secret(path[1])
    return len(path) > 2 and path[-1] == "value" and path[-3] == "env" and _speaks_of_a_secret(path[-2].strip("[]"))


def _speaks_of_a_secret(name: str) -> bool:
    """``X_FILE`` holds where the secret is, which helps who reads a diff."""
    return bool(_NAME.search(name)) and not name.endswith("_FILE")


def _looked_through(ref: Ref, path: Path, value: Any) -> object:
    if isinstance(value, Mapping):
        return {key: masked(ref, (*path, str(key)), below) for key, below in value.items()}
    if isinstance(value, list):
        return [masked(ref, (*path, _item(item)), item) for item in value]
    if isinstance(value, str):
        return _URL.sub(rf"\1{MASK}@", _INLINE.sub(rf"\1{MASK}", value))
    return value


def _item(item: object) -> str:
    return f"[{item.get('name', '')}]" if isinstance(item, Mapping) else "[]"


def _all_masked(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _all_masked(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_all_masked(item) for item in value]
    return MASK
