"""Become a shell, or one command, dressed in a stage's environment.

    shell.py [-- CMD ARGS]                  the root: .venv and pl.* on PATH
    hmlet/shell.py STAGE [-- CMD ARGS]      a project's stage: its environment and ht.*
    hmlet/APP/shell.py STAGE [-- CMD ARGS]  an app on top of that

``main`` replaces its process, so status, signals and streams are the command's own and the working directory stays.
The environment is rendered once and cached in ``.deps/env``, with the size and time of every file that it was made
from; when those agree, only ``os``, ``sys`` and ``hashlib`` are imported on the way (a test and ``bench/shell.py``
watch this).
"""

from __future__ import annotations

import os
import sys

from pl import venv

_CACHE_FORMAT = "1"
_SECTION = "\x1e"
_INSTANCE_SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789-"
_INPUTS = ("HOME", "XDG_STATE_HOME")
_LEFT_OUT = ("VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
"""Another Python's variables, and one under which every command would compile anew all that it imports: 0.1 s for a
``--help``, seconds for the platform. Git ignores what is written.
"""
GIVEN_BY_USERS = ("PL_INSTANCE", "PL_MIRROR")
"""Variables with our prefix that are nobody's field: people set them, and shells inside shells keep them."""


def main(entry: str) -> None:
    """Run an entry script: ``main(__file__)``. Does not return."""
    try:
        _main(os.path.realpath(entry))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001
        from pl.door import leave

        leave(error)


def _main(entry: str) -> None:
    place = _Place(entry)
    stage, command = _arguments(sys.argv[1:], place)
    _refuse_unusable(place.checkout)
    outer = dict(os.environ)
    instance = _instance(outer, place.checkout)
    venv.ensure(place.checkout)
    environ = _dressed(outer, place, stage, instance)
    if command:
        _become(command, environ)
    _become_shell(environ, place.checkout)


class _Place:
    """Which shell an entry script opens, by where the script is."""

    def __init__(self, entry: str) -> None:
        self.folder = os.path.dirname(entry)
        self.checkout = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
        parts = os.path.relpath(self.folder, self.checkout).split(os.sep)
        self.project, self.app = ("" if parts == ["."] else parts[0]), "/".join(parts[1:])
        self.root = os.path.join(self.checkout, self.project) if self.project else self.checkout
        self._entry = entry

    def command(self) -> str:
        """The script as one would type it here."""
        try:
            path = os.path.relpath(self._entry)
        except FileNotFoundError:  # the working directory was removed
            return self._entry
        return path if os.sep in path else f"./{path}"

    def stages(self) -> list[str]:
        if not self.project:
            return []
        names = sorted(name[4:-3] for name in os.listdir(self.root) if name.startswith("env_") and name.endswith(".py"))
        return [name for name in names if name != "comm"]


def _arguments(words: list[str], place: _Place) -> tuple[str, list[str]]:
    """The stage (empty at the root) and the command after ``--`` (empty for a prompt)."""
    own, command = words, []
    if "--" in words:
        cut = words.index("--")
        own, command = words[:cut], words[cut + 1 :]
        if not command:
            _refuse("a command must follow --", place)
    if "-h" in own or "--help" in own:
        print(_usage(place))  # noqa: T201
        sys.exit(0)
    if not place.project:
        if own:
            _refuse(f"the root's shell has no stages, and {own[0]!r} was given", place)
        return "", command
    known = place.stages()
    if len(own) != 1 or own[0] not in known:
        _refuse(_what_is_wrong(own, known), place)
    return own[0], command


def _what_is_wrong(own: list[str], known: list[str]) -> str:
    if not own:
        return "a stage must be named"
    if own[0] not in known:
        return f"no stage is called {own[0]!r}"
    return f"a command is written after --, and {own[1]!r} was not"


def _refuse(what: str, place: _Place) -> None:
    sys.stderr.write(f"{place.command()}: {what}\n{_usage(place)}\n")
    sys.exit(2)


def _usage(place: _Place) -> str:
    if not place.project:
        return (
            f"usage: {place.command()} [-- CMD ARGS]\n\n"
            "Opens your shell with .venv, pl.test, pl.lint, ... on PATH; with -- runs one command there.\n"
            f"  {place.command()} -- pl.test"
        )
    from pathlib import Path

    from pl.env import stages

    names = "\n".join(f"  {name:6} {_first_line(place, name)}" for name in stages(Path(place.root)))
    return (
        f"usage: {place.command()} STAGE [-- CMD ARGS]\n\n"
        f"Opens your shell in a stage; with -- runs one command there.\n\nstages:\n{names}"
    )


def _first_line(place: _Place, stage: str) -> str:
    with open(os.path.join(place.root, f"env_{stage}.py"), encoding="utf-8") as file:
        return file.readline().strip().strip('"').partition(": ")[2]


def _refuse_unusable(checkout: str) -> None:
    if ":" in checkout or "\n" in checkout:
        from pl.errors import UsageError

        raise UsageError(
            f"the checkout's path {checkout!r} cannot be used",
            why="PATH is a list of directories with colons between them, and none may hold a colon or a line break",
            hint="move the checkout",
        )


def _dressed(outer: dict[str, str], place: _Place, stage: str, instance: str) -> dict[str, str]:
    """The caller's environment without an outer plasma shell's part, with this one's on top."""
    environ = _undressed(outer)
    rendered = _rendered(place, stage, instance)
    environ.update(rendered)
    environ["PATH"] = rendered["PL_PATH"] + ":" + (environ.get("PATH") or os.defpath)
    return environ


def _instance(outer: dict[str, str], checkout: str) -> str:
    """The instance asked for, or the one that follows from the checkout.

    One that another checkout's shell derived for itself is not asked for by anybody.
    """
    asked = outer.get("PL_INSTANCE", "")
    outer_checkout = outer.get("PL_CHECKOUT", checkout)
    if asked and (outer_checkout == checkout or asked != _derived(outer_checkout)):
        if len(asked) > 20 or asked.strip(_INSTANCE_SIGNS) or asked[0] == "-" or asked[-1] == "-":
            from pl.errors import UsageError

            raise UsageError(
                f"PL_INSTANCE={asked!r} cannot be used",
                why="it becomes part of names: 1 to 20 of a-z, 0-9 and - inside",
            )
        return asked
    return _derived(checkout)


def _derived(checkout: str) -> str:
    import hashlib

    return hashlib.sha256(os.fsencode(checkout)).hexdigest()[:6]


def _undressed(outer: dict[str, str]) -> dict[str, str]:
    environ = {name: value for name, value in outer.items() if name not in _LEFT_OUT}
    prefixes = tuple(f"{prefix}_" for prefix in outer.get("PL_PREFIXES", "").split())
    if not prefixes:
        return environ
    ours = set(outer.get("PL_PATH", "").split(":"))
    environ["PATH"] = ":".join(part for part in outer.get("PATH", "").split(":") if part not in ours)
    if outer.get("PL_STAGE"):
        environ.pop("KUBECONFIG", None)
    return {name: value for name, value in environ.items() if name in GIVEN_BY_USERS or not name.startswith(prefixes)}


def _rendered(place: _Place, stage: str, instance: str) -> dict[str, str]:
    """The stage's exported variables, from the cache where nothing that they were made from has changed."""
    name = "-".join(part for part in (place.project or "root", place.app.replace("/", "-"), stage, instance) if part)
    cache = os.path.join(place.checkout, ".deps/env", name)
    inputs = "\0".join([_CACHE_FORMAT, *(os.environ.get(variable, "") for variable in _INPUTS)])
    try:
        with open(cache, encoding="utf-8", errors="surrogateescape") as file:
            made_with, made_from, variables = file.read().split(_SECTION)
        seen = [source.rsplit("\t", 1) for source in made_from.split("\0")]
        if made_with == inputs and all(_state_of(path) == state for path, state in seen):
            return dict(pair.split("=", 1) for pair in variables.split("\0"))
    except (OSError, ValueError):
        pass  # not there, or not ours: what follows makes it
    started_ns = _now_ns()
    variables_now, sources = _render(place, stage, instance)
    if not any(os.stat(path).st_mtime_ns >= started_ns for path in sources if os.path.isfile(path)):
        made_from = "\0".join(f"{path}\t{_state_of(path)}" for path in sources)
        pairs = "\0".join(f"{name}={value}" for name, value in variables_now.items())
        _write_cache(cache, _SECTION.join([inputs, made_from, pairs]))
    return variables_now


def _now_ns() -> int:
    """The clock that files get their times from runs in steps: a file changed in this one may change again unseen."""
    import time

    return time.time_ns() - 20_000_000


def _state_of(path: str) -> str:
    try:
        seen = os.stat(path)
    except OSError:
        return "absent"
    return f"{seen.st_mtime_ns} {seen.st_size}"


def _render(place: _Place, stage: str, instance: str) -> tuple[dict[str, str], list[str]]:
    """The variables, and the files that they follow from. Puts the subcommands' scripts in place, too."""
    from pathlib import Path

    from pl import commands, env

    checkout = Path(place.checkout)
    if not place.project:
        return env.root_env(checkout, instance).exports(), _read_from(place.checkout)
    innermost = env.load(checkout, project=place.project, app=place.app, stage=stage, instance=instance)
    of_project = env.load(checkout, project=place.project, stage=stage, instance=instance) if place.app else innermost
    bins = [commands.put_on_path(of_project.root, of_project.code, "cluster.py", commands.CLUSTER)]
    if place.app:
        bins.append(commands.put_on_path(innermost.root / place.app, innermost.code, "app.py", commands.APP))
    sources = [env.ports_file(innermost.state), *bins]
    return innermost.exports(), [*map(str, sources), *_read_from(place.checkout)]


def _read_from(checkout: str) -> list[str]:
    """The checkout's modules that are loaded by now: whichever the stage's files import is among them."""
    files = [str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())]
    return sorted({file for file in files if file.startswith(checkout + os.sep)})


def _write_cache(cache: str, text: str) -> None:
    """Best effort: in a checkout that this user may not write to, every shell renders for itself."""
    half = f"{cache}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(cache), exist_ok=True)
        with open(half, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.replace(half, cache)
    except OSError:
        return


def _become(command: list[str], environ: dict[str, str]) -> None:
    _restore_signals()
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606
    except FileNotFoundError:
        sys.stderr.write(f"plasma: {command[0]}: not found\n")
        sys.exit(127)
    except OSError as error:
        sys.stderr.write(f"plasma: {command[0]}: {error.strerror}\n")
        sys.exit(126)


def _restore_signals() -> None:
    """What Python ignores for itself the program would ignore, too: ``shell.py -- yes | head`` would complain.

    ``_signal`` because ``signal`` imports ``enum``, which costs more than all the rest here.
    """
    import _signal  # type: ignore[import-not-found]

    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)


def _become_shell(environ: dict[str, str], checkout: str) -> None:
    shell = os.environ.get("SHELL", "")
    rc = os.path.join(checkout, "comm/bash")
    if os.path.basename(shell) == "zsh":
        environ["ZDOTDIR_BEFORE"] = os.environ.get("ZDOTDIR", "")
        environ["ZDOTDIR"] = os.path.join(rc, "zsh")
        _become([shell, "-i"], environ)
    if os.path.basename(shell) != "bash":
        shell = "bash"
    _become([shell, "--rcfile", os.path.join(rc, "rc.bash"), "-i"], environ)
