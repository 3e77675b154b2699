"""A stage's host names in /etc/hosts: a marked block for each stage of each checkout, and not a byte beside it changed.

::

    # plasma begin hmlet-local-3f2a1c
    127.0.0.1 hmlet.photos.local hmlet.minio.local
    ::1 hmlet.photos.local hmlet.minio.local
    # plasma end hmlet-local-3f2a1c
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import shlex
import shutil
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pl.cluster.api import Api
from pl.env import StageEnv
from pl.errors import HostsUnwritable, StageDown

FILE = Path("/etc/hosts")
LOOPBACK = ("127.0.0.1", "::1")

Names = Mapping[str, Sequence[str]]
"""By host name, the addresses that it is to have."""

_BEGIN, _END = b"# plasma begin ", b"# plasma end "
_JOINED = b" (the line before had no end)"
_LOOKUP_WITHIN_S = 0.3
_IN_PLACE = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM)
"""Why a file cannot be replaced that may be writable itself: mounted, or in a folder that is not ours."""


def owner_of(env: StageEnv) -> str:
    """Whose block it is."""
    return f"{env.root.name}-{env.stage}-{env.instance}"


def add(names: Names, *, owner: str, file: Path = FILE) -> bool:
    """Have the owner's block say just these names. Returns whether it had to be written.

    Raises HostsUnwritable, with the lines and the command to type where this user may not write the file.
    """
    lines = _lines_of(names)
    before = _read(file)
    block = _found(before, owner, file)
    after = _with(before, owner, lines, block)
    if after == before:
        return False
    _write(file, after, owner, lines, block is not None)
    return True


def remove(*, owner: str, file: Path = FILE) -> bool:
    """Take the owner's block out. Returns whether there was one. Raises HostsUnwritable, as ``add``."""
    before = _read(file)
    block = _found(before, owner, file)
    if block is None:
        return False
    kept, following = before[: block.start], before[block.end :]
    # What was added after our block begins a line of its own.
    joined = before[block.start : block.start + 1] == b"\n"
    _write(file, kept + (b"\n" if joined and following else b"") + following, owner, [], True)
    return True


def conflicts(names: Names, *, owner: str, file: Path = FILE) -> list[str]:
    """For people: lines outside of the owner's block that give one of the names to another address."""
    content = _read(file)
    block = _found(content, owner, file)
    found = []
    offset = 0
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        inside = block is not None and block.start <= offset < block.end
        offset += len(line)
        if inside:
            continue
        address, given = _entry(line)
        for name in given:
            if name in names and address not in names[name]:
                found.append(f"line {number} of {file} gives {name} to {address}: take it out there")
    return found


def missing(names: Names, *, file: Path = FILE) -> list[str]:
    """The names that do not lead to their addresses on this machine. A lookup that takes long counts as none."""
    in_file: dict[str, set[str]] = {}
    with contextlib.suppress(OSError):
        for line in file.read_bytes().splitlines():
            address, given = _entry(line)
            for name in given:
                in_file.setdefault(name, set()).add(address)
    found = in_file | _looked_up([name for name in names if name not in in_file])
    return [name for name, wanted in names.items() if not found.get(name) or not found[name] <= set(wanted)]


def addresses_of(api: Api, namespace: str, service: str) -> tuple[str, ...]:
    """The addresses under which a cluster's load balancer serves a Service. Raises StageDown where it has none yet."""
    found = api.get(f"/api/v1/namespaces/{namespace}/services/{service}")
    if found is None:
        raise StageDown(f"the cluster has no Service {service} in {namespace}", hint="deploy the stage first")
    ingress = (found.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
    addresses: set[str] = set()
    for entry in ingress:
        if entry.get("ip"):
            addresses.add(str(entry["ip"]))
        elif entry.get("hostname"):
            addresses |= _resolved(str(entry["hostname"]))
    if not addresses:
        kind = found.get("spec", {}).get("type", "ClusterIP")
        raise StageDown(
            f"the Service {service} has no address outside of the cluster yet",
            why=f"it is of type {kind}" if kind != "LoadBalancer" else "its load balancer has not been given one",
            hint="repeat in a minute" if kind == "LoadBalancer" else "its type is a value of the chart",
        )
    return tuple(sorted(addresses))


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Where a block is in the file, as offsets of bytes."""

    start: int
    end: int


def _found(content: bytes, owner: str, file: Path) -> _Block | None:
    """Raises HostsUnwritable for a block that somebody damaged: what belongs to it cannot be told then."""
    begin, end = _BEGIN + owner.encode(), _END + owner.encode()
    start: int | None = None
    block: _Block | None = None
    first = offset = 0
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        stripped = line.rstrip(b"\r\n")
        if stripped in (begin, begin + _JOINED):
            if start is not None or block is not None:
                raise _damaged(file, number, "a second begin of the same block", owner)
            start, first = offset - (1 if stripped.endswith(_JOINED) else 0), number
        elif stripped == end:
            if start is None:
                raise _damaged(file, number, "an end without its begin", owner)
            block, start = _Block(start=start, end=offset + len(line)), None
        elif start is not None and stripped.startswith((_BEGIN, _END)):
            raise _damaged(file, number, "another block within it", owner)
        offset += len(line)
    if start is not None:
        raise _damaged(file, first, "a begin without its end", owner)
    return block


def _with(content: bytes, owner: str, lines: Sequence[str], block: _Block | None) -> bytes:
    if block is not None:
        joined = content[block.start : block.end].partition(_END)[0].splitlines()
        was_joined = any(line.endswith(_JOINED) for line in joined)
        return content[: block.start] + _text(owner, lines, joined=was_joined) + content[block.end :]
    return content + _text(owner, lines, joined=bool(content) and not content.endswith((b"\n", b"\r")))


def _text(owner: str, lines: Sequence[str], *, joined: bool) -> bytes:
    """``joined``: the line before has no end of its own, and has none again when the block goes."""
    body = "".join(f"{line}\n" for line in lines).encode()
    begin = (b"\n" if joined else b"") + _BEGIN + owner.encode() + (_JOINED if joined else b"") + b"\n"
    return begin + body + _END + owner.encode() + b"\n"


def _lines_of(names: Names) -> list[str]:
    by_address: dict[str, list[str]] = {}
    for name, addresses in names.items():
        for address in addresses:
            by_address.setdefault(str(ipaddress.ip_address(address)), []).append(name)
    return [f"{address} {' '.join(given)}" for address, given in by_address.items()]


def _entry(line: bytes) -> tuple[str, list[str]]:
    words = line.partition(b"#")[0].decode(errors="replace").split()
    return (words[0], words[1:]) if words else ("", [])


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise HostsUnwritable(f"{file} cannot be read: {error.strerror}") from None


def _write(file: Path, content: bytes, owner: str, lines: Sequence[str], had_block: bool) -> None:
    try:
        _replace(file.resolve(), content)
    except OSError as error:
        raise HostsUnwritable(
            f"{file} cannot be written: {error.strerror}",
            why="\n".join(["these lines belong there:", *lines] if lines else [f"the block {owner} is to go"]),
            hint=_command(file, owner, lines, had_block),
        ) from None


def _replace(file: Path, content: bytes) -> None:
    """Whole or not at all, where the file can be replaced. What is mounted there, as in a container, cannot."""
    half = file.with_name(f".{file.name}.plasma-{os.getpid()}")
    try:
        with half.open("xb") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        if file.exists():
            shutil.copystat(file, half)
            owner = file.stat()
            os.chown(half, owner.st_uid, owner.st_gid)
        else:
            half.chmod(0o644)
        half.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
        if error.errno not in _IN_PLACE:
            raise
        with file.open("r+b") as old:
            old.write(content)
            old.truncate()
            old.flush()
            os.fsync(old.fileno())


def _command(file: Path, owner: str, lines: Sequence[str], had_block: bool) -> str:
    """One command that does the same."""
    place = shlex.quote(str(file))
    parts = []
    if had_block:
        begin, end = (f"/^{mark.decode()}{owner.replace('.', '[.]')}/" for mark in (_BEGIN, _END))
        parts.append(f"sudo sed -i.plasma '{begin},{end}d' {place}")
    if lines:
        block = [f"{_BEGIN.decode()}{owner}", *lines, f"{_END.decode()}{owner}"]
        quoted = " ".join(shlex.quote(line) for line in block)
        parts.append(f"printf '%s\\n' {quoted} | sudo tee -a {place} > /dev/null")
    return " && ".join(parts)


def _damaged(file: Path, number: int, fault: str, owner: str) -> HostsUnwritable:
    return HostsUnwritable(
        f"{file} is damaged: line {number} is {fault}",
        why=f"so it cannot be told what belongs to the block {owner}; nothing was changed",
        hint=f"take the lines of that block out by hand, then repeat:  sudoedit {file}",
    )


def _looked_up(names: Iterable[str]) -> dict[str, set[str]]:
    """What this machine's resolver says in time. Threads that still wait do not keep a process from ending."""
    found: dict[str, set[str]] = {}
    threads = []
    for name in names:
        thread = threading.Thread(target=lambda asked=name: found.update({asked: _resolved(asked)}), daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(_LOOKUP_WITHIN_S)
    return dict(found)


def _resolved(name: str) -> set[str]:
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()
