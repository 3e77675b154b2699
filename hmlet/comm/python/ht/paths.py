"""Addresses of single things."""

from __future__ import annotations

from urllib.parse import quote


def path_in(collection: str, given: object, *, missing: str) -> str:
    """The address of what has the id ``given`` in ``collection``. Raises ValueError with the message ``missing`` for
    what is no id: nothing, or dots, which would lead elsewhere."""
    text = "" if given is None else str(given)
    if text.strip(".") == "":
        raise ValueError(missing)
    return f"{collection}{quote(text, safe='')}/"
