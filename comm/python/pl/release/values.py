"""The values of a release: merged from where each comes from, so that a mistake can name its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pl.cluster.platform import Release
from pl.errors import ReleaseInvalid
from pl.release.documents import documents

Tree = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Values:
    """``tree`` is what the chart gets; ``origins`` are its parts and where they come from, the last one winning."""

    tree: Tree
    origins: tuple[tuple[str, Tree], ...]

    def origin(self, path: str) -> str:
        """Where the value at a path with dots was said, or what is nearest above it; empty for the chart's own."""
        keys = path.split(".")
        for depth in range(len(keys), 0, -1):
            for name, tree in reversed(self.origins):
                if _holds(tree, keys[:depth]):
                    return name
        return ""


def merged(release: Release, *, references: Mapping[str, str], digests: Mapping[str, str]) -> Values:
    """The values of a release, less the chart's own.

    ``references`` are those of the project's images by name, ``digests`` those of SecretObjects by name. Raises
    ReleaseInvalid for a file that cannot be used, and for a Secret that nobody has.
    """
    images: Tree = {}
    for path, image in release.images.items():
        _put(images, path, references.get(image, image))
    secrets: Tree = {}
    for path, name in release.secrets.items():
        if name not in digests:
            raise ReleaseInvalid(release.name, f"it wants the Secret {name}, and the project makes none of that name")
        _put(secrets, path, digests[name])
    origins: list[tuple[str, Tree]] = []
    if release.values is not None:
        origins.append((str(release.values), _read(release.name, release.values)))
    origins += [
        ("what follows from the stage's fields", _copied(release.settings)),
        ("the images' references", images),
        ("the Secrets' digests", secrets),
    ]
    whole: Tree = {}
    for _, tree in origins:
        whole = overlaid(whole, tree)
    return Values(tree=whole, origins=tuple(origins))


def overlaid(below: Tree, above: Mapping[str, object]) -> Tree:
    """As helm merges files: mappings key by key, everything else (lists, too) by replacing it."""
    whole = dict(below)
    for key, value in above.items():
        under = whole.get(key)
        whole[key] = overlaid(under, value) if isinstance(under, dict) and isinstance(value, Mapping) else value
    return whole


def _read(release: str, file: Path) -> Tree:
    import yaml

    try:
        found = documents(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseInvalid(release, f"{file} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ReleaseInvalid(release, f"{file} is no YAML: {error}") from None
    content = found[0] if found else {}
    if not isinstance(content, dict) or len(found) > 1:
        raise ReleaseInvalid(release, f"{file} holds no mapping of values")
    return content


def _put(tree: Tree, path: str, value: str) -> None:
    *above, last = path.split(".")
    for key in above:
        tree = cast(Tree, tree.setdefault(key, {}))
    tree[last] = value


def _copied(tree: Mapping[str, object]) -> Tree:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in tree.items()}


def _holds(tree: object, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True
