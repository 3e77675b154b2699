"""YAML as helm and the API server read it, which is not quite as Python's reader does."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

_INT = re.compile(r"(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)\Z")


def documents(text: str) -> list[Any]:
    """All documents of a text, empty ones left out. Raises yaml.YAMLError."""
    import yaml

    return [document for document in yaml.load_all(text, Loader=_loader()) if document is not None]


@functools.cache
def _loader() -> type[yaml.CSafeLoader]:
    """Dates and ``12:30`` are texts to Go's reader; Python's makes a date of one and 750 of the other."""
    import yaml

    class Loader(yaml.CSafeLoader):
        pass

    special = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in special]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
    return Loader
