"""Host names that this process looks up as it is told, as ``curl --resolve`` does: a stage is tried under its own names
before they are in /etc/hosts.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def resolving(addresses: Mapping[str, str]) -> Iterator[None]:
    """Within this, each name of ``addresses`` is its address (IPv4), for all threads; others are looked up as ever."""
    ask = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **named: Any) -> Any:
        return ask(addresses.get(host, host), *arguments, **named)

    socket.getaddrinfo = answer
    try:
        yield
    finally:
        socket.getaddrinfo = ask
