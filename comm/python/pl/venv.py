"""``.venv``: one environment for a checkout, made from the hashed lock and never changed in place.

An environment is built at its final path, ``.deps/venv-HASH``, marked ``.complete``, and only then does the link ``.venv``
move to it. HASH is of the lock, the interpreter and the checkout's path, so two branches keep theirs side by side.
Syncing one in place is not safe: an installer killed half-way reports success the next time with files missing.

Standard library only: this is what runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator

LOCKS = ("requirements/uv.txt", "requirements/dev.txt")
COMPLETE = ".complete"
LINK = ".venv"


def is_current(checkout: str) -> bool:
    """Whether ``.venv`` is whole and made from today's lock. Reads the lock; imports and starts nothing."""
    folder = environment_folder(checkout)
    try:
        linked = os.readlink(os.path.join(checkout, LINK))
    except OSError:
        return False
    return os.path.join(checkout, linked) == folder and _is_whole(folder)


def environment_folder(checkout: str) -> str:
    """Where the environment of today's lock belongs, whether it is there or not."""
    recipe = hashlib.sha256(os.fsencode(checkout))
    recipe.update(f"{sys.implementation.cache_tag} {sys.platform} {os.uname().machine}".encode())
    for lock in LOCKS:
        with open(os.path.join(checkout, lock), "rb") as file:
            recipe.update(file.read())
    return os.path.join(checkout, ".deps", "venv-" + recipe.hexdigest()[:16])


def ensure(checkout: str) -> None:
    """Make ``.venv`` current. Says what it does on standard error.

    Any number of processes may call this at once: one builds and the others wait. Raises VenvFailed; the environment that
    was there before is then still in place.
    """
    if is_current(checkout):
        return
    os.makedirs(os.path.join(checkout, ".deps"), exist_ok=True)
    with _building(checkout) as lock_fd:
        if is_current(checkout):
            return
        folder = environment_folder(checkout)
        if not _is_whole(folder):
            _build(checkout, folder, lock_fd)
        _link(checkout, folder)


def _is_whole(folder: str) -> bool:
    """Whether the build ended, the interpreter is still there, and no package was added or taken since."""
    try:
        with open(os.path.join(folder, COMPLETE), encoding="ascii") as file:
            stamp = file.read()
        return stamp == _stamp(folder) and os.access(os.path.join(folder, "bin/python"), os.X_OK)
    except OSError:
        return False


def _stamp(folder: str) -> str:
    """Changes when a package is added to or taken from the environment by whatever other tool."""
    return str(os.stat(_site_packages(folder)).st_mtime_ns)


def _site_packages(folder: str) -> str:
    return os.path.join(folder, f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages")


@contextlib.contextmanager
def _building(checkout: str) -> Iterator[int]:
    """Hold the right to build. The descriptor goes to the installer too: the right ends with the last of both."""
    import errno
    import fcntl

    from pl.errors import VenvFailed

    try:
        lock_fd = os.open(os.path.join(checkout, ".deps/venv.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise VenvFailed("cannot write to .deps", why=str(error), hint="make the checkout writable for you") from None
    try:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            _say("another shell is making .venv; waiting for it")
            fcntl.flock(lock_fd, fcntl.LOCK_EX)
        yield lock_fd
    finally:
        os.close(lock_fd)


def _build(checkout: str, folder: str, lock_fd: int) -> None:
    import shutil

    from pl.errors import PlError, VenvFailed

    if os.path.lexists(folder):
        _say("the environment was changed or is half-made: making it again")
        shutil.rmtree(folder)
    try:
        uv = _installer(checkout, lock_fd)
        _install(checkout, folder, uv, lock_fd)
    except (PlError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        why = error.why or error.what if isinstance(error, PlError) else str(error)
        raise VenvFailed("the environment could not be made", why=why, hint=_remedy(why)) from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _installer(checkout: str, lock_fd: int) -> str:
    """The path of uv, fetched by pip with its hash where it is not there yet."""
    import shutil

    from pl import proc

    lock = os.path.join(checkout, LOCKS[0])
    with open(lock, "rb") as file:
        wanted = hashlib.sha256(file.read() + os.uname().machine.encode()).hexdigest()[:16]
    folder = os.path.join(checkout, ".deps", f"uv-{wanted}")
    uv = os.path.join(folder, "bin/uv")
    if os.access(uv, os.X_OK):
        return uv
    _say("fetching the installer (uv)")
    half = f"{folder}.part"
    shutil.rmtree(half, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    exact = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--target", half, "-r", lock]
    proc.run([*pip, "--retries", "2", *exact], pass_fds=(lock_fd,), env=_calm_pip())
    os.replace(half, folder)
    return uv


def _install(checkout: str, folder: str, uv: str, lock_fd: int) -> None:
    from pl import proc
    from pl.errors import CommandFailed

    lock = os.path.join(checkout, LOCKS[1])
    env = _uv_env()
    base = getattr(sys, "_base_executable", sys.executable)
    proc.run(
        [uv, "venv", "--quiet", "--no-config", "--no-project", "--python", base, folder], pass_fds=(lock_fd,), env=env
    )
    sync = [uv, "pip", "sync", "--no-config", "--require-hashes", "--only-binary", ":all:"]
    sync += ["--python", os.path.join(folder, "bin/python"), lock]
    try:
        proc.run([*sync, "--quiet", "--offline"], pass_fds=(lock_fd,), env=env)
    except CommandFailed as offline:
        if "No space left" in offline.output:
            raise
        _say("installing packages from the lock")
        if sys.stderr.isatty():
            status = proc.attach(sync, pass_fds=(lock_fd,), env=env, stdout=2)
            if status != 0:
                raise CommandFailed(["uv pip sync"], status, "its words are above") from None
        else:
            proc.run([*sync, "--quiet"], pass_fds=(lock_fd,), env=env)
    _add_our_own(checkout, folder)
    _write(os.path.join(folder, COMPLETE), _stamp(folder))


def _add_our_own(checkout: str, folder: str) -> None:
    """Make the checkout's packages importable: ``pl``, each project's own, and the projects as namespaces."""
    projects = sorted(
        name for name in os.listdir(checkout) if os.path.isdir(os.path.join(checkout, name, "comm/python"))
    )
    places = ["comm/python", *(f"{name}/comm/python" for name in projects), ""]
    site = _site_packages(folder)
    _write(
        os.path.join(site, "plasma.pth"), "".join(os.path.join(checkout, place).rstrip("/") + "\n" for place in places)
    )
    # Made now, or the first import of a single-file module would change the folder that _stamp looks at.
    os.makedirs(os.path.join(site, "__pycache__"), exist_ok=True)


def _link(checkout: str, folder: str) -> None:
    link = os.path.join(checkout, LINK)
    if os.path.isdir(link) and not os.path.islink(link):
        aside = os.path.join(checkout, ".deps", f"venv-not-ours-{os.getpid()}")
        os.rename(link, aside)
        _say(f".venv was a directory that plasma did not make: it is now {os.path.relpath(aside, checkout)}")
    half = f"{link}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(half)
    os.symlink(os.path.relpath(folder, checkout), half)
    os.replace(half, link)


def _calm_pip() -> dict[str, str]:
    return {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}


def _uv_env() -> dict[str, str]:
    """uv's environment, with what the user told pip of mirrors and certificates: uv does not read pip's settings."""
    from pl import proc

    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    told = proc.run([sys.executable, "-m", "pip", "config", "list"], check=False, env=_calm_pip()).stdout
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "cert": "SSL_CERT_FILE",
        "find-links": "UV_FIND_LINKS",
    }
    for line in told.splitlines():
        key, _, value = line.partition("=")
        variable = names.get(key.strip().rpartition(".")[2])
        if variable:
            env.setdefault(variable, value.strip().strip("'\"").replace("\\n", " ").strip())
    return env


def _remedy(why: str) -> str:
    text = why.lower()
    if "no space left" in text or "disk quota" in text:
        return "free about 1 GB where the checkout is, then call the same command again"
    if any(
        sign in text
        for sign in ("dns", "connect", "resolve", "network", "timed out", "retries", "no matching distribution")
    ):
        return "check the network or the package index (pip config list), then call the same command again"
    if "no module named pip" in text:
        return "this Python has no pip: python3 -m ensurepip, or your system's python3-pip package"
    if "hash" in text:
        return "a package differs from the lock: do not install it; check the package index, or run pl.lock"
    return "call the same command again; what was there before is untouched"


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _say(text: str) -> None:
    print(f"plasma: {text}", file=sys.stderr, flush=True)  # noqa: T201
