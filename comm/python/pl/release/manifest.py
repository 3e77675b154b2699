"""Rendered text as objects: those that helm keeps, and the hooks that it runs beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pl.cluster.api import Object
from pl.release.documents import documents

_HOOK = "helm.sh/hook"
_TEST_HOOKS = frozenset({"test", "test-success", "test-failure"})
HOOK_INPUTS = "pl/inputs"
"""An annotation of a hook: any text that follows from what it does and from what it works with. While that is as it was
for the revision that serves, an upgrade leaves the hook out.
"""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The objects of a revision, in helm's order, and its hooks less those of ``helm test``."""

    objects: tuple[Object, ...]
    hooks: tuple[Object, ...]

    def has_nothing_new_for_hooks(self, before: Manifest) -> bool:
        """Whether every hook says what it works with, and each did the same for the revision ``before``."""
        wanted = _inputs(self.hooks)
        return bool(self.hooks) and None not in wanted.values() and wanted == _inputs(before.hooks)


def parsed(texts: Iterable[str]) -> Manifest:
    """Documents of YAML, hooks among them or not. Raises yaml.YAMLError."""
    objects: list[Object] = []
    hooks: list[Object] = []
    for text in texts:
        for document in documents(text):
            events = _events(document)
            if not events:
                objects.append(document)
            elif not events <= _TEST_HOOKS:
                hooks.append(document)
    return Manifest(objects=tuple(objects), hooks=tuple(hooks))


def _inputs(hooks: Iterable[Object]) -> dict[str, str | None]:
    found = {}
    for hook in hooks:
        metadata = hook["metadata"]
        found[f"{hook['kind']}/{metadata['name']}"] = (metadata.get("annotations") or {}).get(HOOK_INPUTS)
    return found


def _events(obj: Object) -> set[str]:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return {event.strip() for event in str(annotations.get(_HOOK, "")).split(",") if event.strip()}
