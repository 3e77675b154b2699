"""What every program of the host stage is started through: ``python -m pl.host.launch SPEC.json DIGEST``.

Sets what supervisor cannot, then becomes the program: a strict umask, variables from secret files, an identity that is
not root for a server that refuses root, and the kernel's promise to signal the program when its parent dies. Without
that, a killed supervisor leaves orphans that hold the ports and the data. DIGEST, of what the program is made from, is
left beside SPEC.json: a deploy that was killed between configuring and starting must not take one for the other.

Standard library only, and little of it: this runs before each start.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_SERVER_ID = 65_534  # "nobody": owns nothing else
_NAMESPACE_ID = 1  # any number but 0: what root is called inside its own user namespace


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        spec = json.load(file)
    os.umask(0o077)
    _leave_digest(sys.argv[1], sys.argv[2])
    os.chdir(spec["cwd"])
    become(spec["argv"], environ(spec), refuses_root=spec["refuses_root"], death_signal=spec["stop_signal"])


def environ(spec: Mapping[str, Any]) -> dict[str, str]:
    """The program's variables, with secrets read from their files."""
    made = dict(spec["env"])
    for name, text in spec["secret_env"].items():
        made[name] = text["template"].format(*(_read(path) for path in text["files"]))
    return made


def become(argv: Sequence[str], env: Mapping[str, str], *, refuses_root: bool, death_signal: str = "") -> None:
    """Replace this process by the program. Does not return."""
    argv = list(argv)
    if refuses_root and os.geteuid() == 0:
        if can_map_users():
            _enter_user_namespace()
        else:
            argv = [*setpriv(death_signal), *argv]
    if death_signal and sys.platform == "linux":
        _die_with_parent(death_signal)
    os.execvpe(argv[0], argv, dict(env))  # noqa: S606


def can_map_users() -> bool:
    """Whether this kernel and container let a process make a user namespace. Tried in a child."""
    if not hasattr(os, "fork") or sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        try:
            _enter_user_namespace()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def setpriv(death_signal: str) -> list[str]:
    """The command that drops root to "nobody", who may still reach into root's private directories."""
    signals = ["--pdeathsig", death_signal] if death_signal else []
    who = ["--reuid", str(_SERVER_ID), "--regid", str(_SERVER_ID), "--clear-groups"]
    return ["setpriv", *who, "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override", *signals, "--"]


@functools.cache
def server_id() -> int:
    """Whose files a server that refuses root must own."""
    if os.geteuid() != 0 or can_map_users():
        return os.geteuid()
    return _SERVER_ID


def started_file(spec_file: str) -> str:
    """Where the digest is that a program was last started with."""
    return f"{spec_file.removesuffix('.json')}.started"


def _leave_digest(spec_file: str, digest: str) -> None:
    # On a full disk the program starts all the same, and the next deploy takes it for another.
    half = f"{started_file(spec_file)}.{os.getpid()}"
    try:
        with open(half, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(digest)
        os.replace(half, started_file(spec_file))  # noqa: PTH105
    except OSError as error:
        sys.stderr.write(f"{half}: {error.strerror}\n")


def _enter_user_namespace() -> None:
    """Be called something else than root, with root's files still one's own (user_namespaces(7))."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_NAMESPACE_ID} {user} 1"),
        ("gid_map", f"{_NAMESPACE_ID} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(text)


def _die_with_parent(death_signal: str) -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.Signals[f"SIG{death_signal}"]))
    if os.getppid() != parent or parent == 1:
        sys.exit("the supervisor is gone already")


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


if __name__ == "__main__":
    main()
