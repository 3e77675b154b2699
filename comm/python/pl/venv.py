"""``.venv``: one environment for a checkout, made from the hashed lock and never changed in place.

An environment is built at its final path, ``.deps/venv-HASH``, marked ``.complete``, and only then does the link
``.venv`` move to it. HASH is of the lock, the interpreter and the checkout's path, so two branches keep theirs side by
side. Syncing one in place is not safe: an installer killed half-way reports success the next time with files missing.

Standard library only: this is what runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import sys

LOCKS = ("requirements/uv.txt", "requirements/dev.txt")
COMPLETE = ".complete"
LINK = ".venv"
_WORDS_ABOVE = "the installer's words are above"
_NOT_MADE = "the environment could not be made"


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

    Any number of processes may call this at once: one builds and the others wait. Raises VenvFailed; the environment
    that was there before is then still in place.
    """
    try:
        if not is_current(checkout):
            _make_current(checkout)
    except OSError as error:
        from pl.errors import VenvFailed

        raise VenvFailed(_NOT_MADE, why=str(error), hint=_remedy(str(error))) from None


def installer(checkout: str) -> tuple[str, dict[str, str]]:
    """The path of uv, and the variables to call it with: for whoever refreshes the locks."""
    with _Right(checkout) as right:
        return _installer(checkout, right.fd), _uv_env()


def _make_current(checkout: str) -> None:
    os.makedirs(os.path.join(checkout, ".deps"), exist_ok=True)
    with _Right(checkout) as right:
        if is_current(checkout):
            return
        folder = environment_folder(checkout)
        if not _is_whole(folder):
            _build(checkout, folder, right.fd)
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
    """Changes when a package is added to or taken from the environment by whatever other tool.

    Of names, not of times: a restored backup is as good as what it was made from.
    """
    names = sorted(name for name in os.listdir(_site_packages(folder)) if name != "__pycache__")
    return hashlib.sha256(os.fsencode("\0".join(names))).hexdigest()


def _site_packages(folder: str) -> str:
    return os.path.join(folder, f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages")


class _Right:
    """The right to build, held while inside. ``fd`` goes to the installers too: it ends with the last of them all."""

    fd: int

    def __init__(self, checkout: str) -> None:
        self._file = os.path.join(checkout, ".deps/venv.lock")

    def __enter__(self) -> _Right:
        import fcntl

        self.fd = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another shell is making .venv; waiting for it")
            fcntl.flock(self.fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _build(checkout: str, folder: str, lock_fd: int) -> None:
    """Make ``folder``, or raise VenvFailed and leave what was there."""
    import shutil

    from pl.errors import PlError, VenvFailed

    _sweep(checkout, folder)
    before = f"{folder}.before"
    if os.path.lexists(folder):
        _say("packages in the environment were changed: making it again")
        os.rename(folder, before)
    try:
        uv = _installer(checkout, lock_fd)
        _install(checkout, folder, uv, lock_fd)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.lexists(before):
            os.rename(before, folder)
        if not isinstance(error, (PlError, OSError)):
            raise
        why = error.why or error.what if isinstance(error, PlError) else str(error)
        raise VenvFailed(_NOT_MADE, why=why, hint=_remedy(why)) from None
    shutil.rmtree(before, ignore_errors=True)


def _sweep(checkout: str, folder: str) -> None:
    """Delete what killed builds left: whoever holds the right to build is the only one who builds."""
    import shutil

    deps = os.path.join(checkout, ".deps")
    for name in os.listdir(deps):
        path = os.path.join(deps, name)
        half = name.startswith("venv-") and not os.path.exists(os.path.join(path, COMPLETE))
        if half or (name.startswith(("venv-", "uv-")) and name.endswith((".before", ".part"))):
            if path == folder:
                _say("the environment is half-made: making it again")
            shutil.rmtree(path)


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
    pip = [_python_with_pip(), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    exact = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--target", half, "-r", lock]
    try:
        proc.run([*pip, "--retries", "2", *exact], pass_fds=(lock_fd,), env=_calm_pip())
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(half, folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return uv


def _python_with_pip() -> str:
    """This interpreter, or the one that it was made from: in a shell of ours this one is .venv's, which has no pip."""
    import importlib.util

    return sys.executable if importlib.util.find_spec("pip") else _base_python()


def _base_python() -> str:
    return str(getattr(sys, "_base_executable", sys.executable))


def _install(checkout: str, folder: str, uv: str, lock_fd: int) -> None:
    from pl import proc
    from pl.errors import CommandFailed

    lock = os.path.join(checkout, LOCKS[1])
    env = _uv_env()
    make = [uv, "venv", "--quiet", "--no-config", "--no-project", "--python", _base_python(), folder]
    proc.run(make, pass_fds=(lock_fd,), env=env)
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
            if status > 128:
                sys.exit(status)  # a signal was meant for all of us
            if status != 0:
                raise CommandFailed(["uv pip sync"], status, _WORDS_ABOVE) from None
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
    lines = (os.path.join(checkout, place).rstrip("/") + "\n" for place in places)
    _write(os.path.join(_site_packages(folder), "plasma.pth"), "".join(lines))


def _link(checkout: str, folder: str) -> None:
    link = os.path.join(checkout, LINK)
    if os.path.isdir(link) and not os.path.islink(link):
        aside = _unused(os.path.join(checkout, ".deps/replaced-venv"))
        os.rename(link, aside)
        _say(f".venv was a directory that plasma did not make: it is now {os.path.relpath(aside, checkout)}")
    half = f"{link}.new"
    if os.path.lexists(half):
        os.unlink(half)
    os.symlink(os.path.relpath(folder, checkout), half)
    os.replace(half, link)


def _unused(path: str) -> str:
    import itertools

    return next(free for number in itertools.count(1) if not os.path.lexists(free := f"{path}-{number}"))


def _calm_pip() -> dict[str, str]:
    """pip's environment: settings that are right for a user's own work, and stop or turn aside what we ask for."""
    off = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    return {**os.environ, **off}


def _uv_env() -> dict[str, str]:
    """uv's environment, with what the user told pip of mirrors and certificates: uv does not read pip's settings."""
    from pl import proc

    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    told = proc.run([_python_with_pip(), "-m", "pip", "config", "list"], check=False, env=_calm_pip()).stdout
    return told_to_uv(told, env)


def told_to_uv(told: str, env: dict[str, str]) -> dict[str, str]:
    """``env`` with the lines of ``pip config list`` in uv's words. What the user told uv itself stands."""
    names = {
        "index-url": ("UV_DEFAULT_INDEX", " "),
        "extra-index-url": ("UV_INDEX", " "),
        "find-links": ("UV_FIND_LINKS", ","),
        "no-index": ("UV_NO_INDEX", " "),
        "trusted-host": ("UV_INSECURE_HOST", " "),
        "proxy": ("ALL_PROXY", " "),
        "cert": ("SSL_CERT_FILE", " "),
    }
    heard = dict(env)
    for line in told.splitlines():
        key, _, value = line.partition("=")
        variable, between = names.get(key.strip().rpartition(".")[2], ("", ""))
        if variable:
            words = value.strip().strip("'\"").replace("\\n", " ").split()
            heard.setdefault(variable, between.join(words))
    return heard


def _remedy(why: str) -> str:
    text = why.lower()
    if "no space left" in text or "disk quota" in text:
        return "free about 1 GB where the checkout and the package cache are, then call the same command again"
    if "read-only file system" in text or "permission denied" in text:
        return "make the checkout writable for you; one whose .venv is current may be read-only"
    if "hash mismatch" in text or "do not match the hashes" in text:
        return "a package differs from the lock: do not install it; check the package index, or run pl.lock"
    network = ("dns", "connect", "resolve", "network", "timed out", "retries", "no matching distribution", "proxy")
    if any(sign in text for sign in network):
        return "check the network or the package index (pip config list), then call the same command again"
    if "no module named pip" in text:
        return "this Python has no pip: python3 -m ensurepip, or your system's python3-pip package"
    if _WORDS_ABOVE in why:
        return "check the network, the package index (pip config list) and free space, then call the same command again"
    return "call the same command again; what was there before is untouched"


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _say(text: str) -> None:
    print(f"plasma: {text}", file=sys.stderr, flush=True)  # noqa: T201
