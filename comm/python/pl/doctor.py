"""Checks of this machine, each with the way to mend it. Nothing is changed by looking.

A check is a function of a ``Machine`` that returns a ``Finding``. What it looks at comes in through the ``Machine``:
a test shows it another one.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pl import env, suites, throwaway, venv
from pl.errors import PlError
from pl.tools import install as installed

OLDEST_PYTHON = (3, 11)
DISK_NEEDED = 2 * 1024**3
"""Bytes: the environments of two branches, PostgreSQL's files, and room for photos."""
MEMORY_NEEDED = 1024**3
"""Bytes: the host stage with two workers, and a test run beside it."""
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_NEEDED = 512
"""What kind's own page of known issues asks for, where several clusters are to run."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is looked at: the checkout with its instance, the caller's variables, and where the state of stages is."""

    checkout: Path
    instance: str
    environ: Mapping[str, str]
    state_home: Path


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found. ``remedy`` is empty where all is well; only what is ``required`` makes the machine unfit."""

    name: str
    found: str
    remedy: str = ""
    required: bool = True

    @property
    def well(self) -> bool:
        return not self.remedy


def examine(machine: Machine) -> Iterator[Finding]:
    """All findings, one after the other as they are made."""
    yield python(sys.version_info[:2])
    yield environment(machine)
    yield disk(machine)
    yield memory()
    yield state(machine)
    yield from ports(machine)
    yield locale(machine)
    if os.geteuid() == 0:
        yield server_identity()
    yield from programs(machine)
    if INOTIFY_INSTANCES.exists():
        yield inotify(INOTIFY_INSTANCES)
    yield from tools(machine)
    yield from stale_stages()


def python(version: tuple[int, ...]) -> Finding:
    shown, oldest = (".".join(map(str, numbers)) for numbers in (version, OLDEST_PYTHON))
    remedy = "" if version >= OLDEST_PYTHON else f"install Python {oldest} or later, and open the shell with it"
    return Finding(name="Python", found=shown, remedy=remedy)


def environment(machine: Machine) -> Finding:
    if venv.is_current(str(machine.checkout)):
        return Finding(name=".venv", found="whole, and made from today's lock")
    return Finding(name=".venv", found="not there, not whole, or of another lock", remedy="./shell.py makes it")


def disk(machine: Machine) -> Finding:
    """Free space, where the checkout is and where the state is, whichever has less."""
    places = (machine.checkout, _nearest_that_exists(machine.state_home))
    free, place = min((shutil.disk_usage(place).free, place) for place in places)
    remedy = "" if free >= DISK_NEEDED else f"free at least {_size(DISK_NEEDED)} below {place}"
    return Finding(name="disk", found=f"{_size(free)} free", remedy=remedy)


def memory() -> Finding:
    import psutil

    free = psutil.virtual_memory().available
    remedy = "" if free >= MEMORY_NEEDED else f"end programs: the host stage wants {_size(MEMORY_NEEDED)}"
    return Finding(name="memory", found=f"{_size(free)} available", remedy=remedy, required=False)


def state(machine: Machine) -> Finding:
    """The directory of all stages' state: writable for this user, and private."""
    name, folder = "state", machine.state_home
    place = _nearest_that_exists(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(name=name, found=f"{place} is not writable", remedy="set XDG_STATE_HOME to a directory of yours")
    if folder != place:
        return Finding(name=name, found=f"{folder} (made when it is needed)")
    seen = folder.stat()
    if seen.st_uid != os.geteuid():
        return Finding(
            name=name, found=f"{folder} is another user's", remedy="set XDG_STATE_HOME to a directory of yours"
        )
    if seen.st_mode & 0o022:
        return Finding(name=name, found=f"{folder} can be changed by others", remedy=f"chmod go-w {folder}")
    return Finding(name=name, found=str(folder))


def ports(machine: Machine) -> Iterator[Finding]:
    """For each project's host stage: are its ports free, or its own?"""
    for project in sorted(entry.parent for entry in machine.checkout.glob("*/env_host.py")):
        name = f"ports of {project.name}/host"
        try:
            stage = env.load(machine.checkout, project=project.name, stage="host", instance=machine.instance)
        except PlError as error:
            yield Finding(name=name, found=str(error), remedy=error.hint or "mend that file")
            continue
        wanted = {field.value for field in stage.fields() if field.name.endswith("_port")}
        taken = sorted(port for port in wanted if _listens(port) and _stage_of_listener(port) != str(stage.state))
        if taken:
            remedy = (
                f"end what listens there, or: {project.name}/shell.py host -- {stage.command('bootstrap')} --new-ports"
            )
            yield Finding(name=name, found=f"taken: {', '.join(map(str, taken))}", remedy=remedy)
        else:
            yield Finding(name=name, found=", ".join(map(str, sorted(wanted))))


def locale(machine: Machine) -> Finding:
    """Whether programs started from here take text as UTF-8: the prompt has emoji, captions have anything."""
    variables = ("LC_ALL", "LC_CTYPE", "LANG")
    said = next((machine.environ[name] for name in variables if machine.environ.get(name)), "none")
    well = "utf-8" in said.lower() or "utf8" in said.lower()
    remedy = "" if well else "export LANG=C.UTF-8; without it a prompt's emoji may be drawn as question marks"
    return Finding(name="locale", found=said, remedy=remedy, required=False)


def server_identity() -> Finding:
    """PostgreSQL refuses root. As root, it needs a way to be called something else."""
    from pl.host import launch

    if launch.can_map_users():
        return Finding(name="PostgreSQL as root", found="in a user namespace")
    if shutil.which("setpriv"):
        return Finding(name="PostgreSQL as root", found="as nobody, by setpriv")
    return Finding(
        name="PostgreSQL as root",
        found="neither user namespaces nor setpriv",
        remedy="work as an ordinary user, or install setpriv (Debian: apt-get install util-linux)",
    )


def programs(machine: Machine) -> Iterator[Finding]:
    """What some suite or stage wants of the machine and others do without (``suites.toml``)."""
    try:
        needs = suites.read(machine.checkout).needs
    except PlError as error:
        yield Finding(name=suites.FILE, found=error.what, remedy=error.hint)
        return
    for need in needs:
        if need.of_machine:
            met = need.is_met(machine.checkout)
            remedy = "" if met else need.remedy
            yield Finding(name=need.name, found="there" if met else "not there", remedy=remedy, required=False)


def inotify(setting: Path) -> Finding:
    """All containers share these, and a kind cluster takes dozens: kube-proxy ends with "too many open files"."""
    count = int(setting.read_text(encoding="ascii"))
    remedy = "" if count >= INOTIFY_NEEDED else f"sysctl fs.inotify.max_user_instances={INOTIFY_NEEDED}"
    return Finding(name="inotify", found=f"{count} instances, for KIND clusters", remedy=remedy, required=False)


def tools(machine: Machine) -> Iterator[Finding]:
    """What cluster stages use: is it in .deps, as it was fetched, and does its name mean that on PATH?"""
    projects = sorted(entry.parent for entry in machine.checkout.glob("*/env_comm.py"))
    stages = list(dict.fromkeys(stage for each in projects for stage in env.stages(each) if stage != "host"))
    if not stages:
        return
    try:
        states, known = installed.states(machine.checkout, rehash=True), installed.known(machine.checkout)
    except PlError as error:
        yield Finding(name="tools", found=str(error), remedy=error.hint, required=False)
        return
    there = [f"{name} {known[name].version}" for name, whole in states.items() if whole]
    absent = [name for name, whole in states.items() if not whole]
    found = "; ".join([", ".join(there), f"not there: {', '.join(absent)}" if absent else ""]).strip("; ")
    needed = [name for name in absent if not known[name].optional]
    remedy = f"pl.bootstrap; only {', '.join(stages)} need them" if needed else ""
    yield Finding(name="tools", found=found, remedy=remedy, required=False)
    for name in states:
        first = shutil.which(name, path=machine.environ.get("PATH", ""))
        if states[name] and first and Path(first) != machine.checkout / ".deps/bin" / name:
            remedy = f"take it from the front of PATH; {machine.checkout / '.deps/bin'} comes first in a new shell"
            yield Finding(name=f"{name} on PATH", found=f"{first} is not ours", remedy=remedy, required=False)


def stale_stages() -> Iterator[Finding]:
    """What is left of test runs that were killed, and of stages whose state was deleted under them."""
    for left in throwaway.leftovers():
        yield Finding(name="stale stage", found=str(left.folder), remedy="pl.test destroys it first", required=False)
    for pid, folder in sorted(_processes_without_state().items()):
        found = f"process {pid} runs for {folder}, which is gone"
        yield Finding(name="stale stage", found=found, remedy=f"kill {pid}", required=False)


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stage_of_listener(port: int) -> str:
    """The state's directory of the stage whose process listens on a port, or nothing."""
    import psutil

    from pl.host.state import STAGE_TAG

    try:
        listeners = {
            connection.pid
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
            and getattr(connection.laddr, "port", None) == port
            and connection.pid
        }
        return next((psutil.Process(pid).environ().get(STAGE_TAG, "") for pid in listeners), "")
    except (psutil.Error, OSError):
        return ""


def _processes_without_state() -> dict[int, str]:
    import psutil

    from pl.host.state import STAGE_TAG

    found = {}
    for process in psutil.process_iter():
        try:
            folder = process.environ().get(STAGE_TAG, "")
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's
        if folder and not Path(folder).exists():
            found[process.pid] = folder
    return found


def _nearest_that_exists(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GB"
