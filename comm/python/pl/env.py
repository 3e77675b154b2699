"""Stages as typed classes: what a stage is, is a set of fields, and each field is an exported variable.

A project's ``env_comm.py`` subclasses ``StageEnv`` and gives it a ``prefix``; ``env_STAGE.py`` subclasses that and sets
values; an app's ``env_comm.py`` adds fields of its own. A field is

- an annotated class attribute: ``web_port: Port = 8080`` (allowed types: ``str``, ``int``, ``float``, ``bool``,
  ``Path``, ``Port``, ``Secret``, ``Literal[...]``, and tuples of ``str`` or ``Path``), or
- a ``functools.cached_property`` with a return type: a value that follows from other fields.

The field ``web_port`` declared by a class with ``prefix = "HT"`` is exported as ``HT_WEB_PORT``; a secret as the path
of its file, ``HT_ADMIN_PASSWORD_FILE``. ``load`` reports all mistakes at once. Only the standard library is imported
here: every shell whose cache is stale starts with this module. A stage's file may import others of the checkout, and
must not read anything else (a shell would not see that it changed).
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import json
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast, get_args, get_origin, get_type_hints, overload

from pl.errors import EnvInvalid, NotInStage, StageUnknown, StateInvalid

Port = Annotated[int, "port"]
"""A TCP port, 1 to 65535."""

FIRST_DERIVED_PORT = 20_000
PORT_BLOCK = 10
PORT_BLOCKS = 1_200  # up to 31 999: below the ranges from which systems take ports for outgoing connections


class Secret:
    """A secret of a stage: a file in its state, never a value in a variable."""

    def __init__(self, path: Path, make: Callable[[], str] | None = None) -> None:
        self.path = path
        self.make = make
        """What generates it, if that must have a form of its own."""

    def reveal(self) -> str:
        """The value. Raises StateInvalid when it has not been made yet."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise StateInvalid(f"the secret {self.path.name} has not been made", hint="ht.bootstrap makes it") from None

    def __repr__(self) -> str:
        return f"Secret({self.path.name})"


class _GeneratedSecret:
    """Marks a field whose value ``bootstrap`` generates into the stage's state."""

    def __init__(self, make: Callable[[], str] | None) -> None:
        self.make = make


class _ChosenPort:
    """Marks a port that ``bootstrap`` chooses free and remembers; until then it follows from the instance."""


def generated_secret(make: Callable[[], str] | None = None) -> Secret:
    """Declare a secret that ``bootstrap`` generates: ``admin_password: Secret = generated_secret()``.

    ``make`` returns a new one where letters and digits will not do.
    """
    return cast(Secret, _GeneratedSecret(make))


def chosen_port() -> Port:
    """Declare a port that is chosen free once and remembered: ``web_port = chosen_port()``."""
    return cast(Port, _ChosenPort())


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of an environment: where it comes from, what it is exported as, its value."""

    name: str
    variable: str
    value: Any

    @property
    def secret(self) -> bool:
        return isinstance(self.value, Secret)

    @property
    def exported(self) -> str:
        """The text of the variable. For a secret that is the path of its file."""
        if isinstance(self.value, Secret):
            return str(self.value.path)
        if isinstance(self.value, bool):
            return "1" if self.value else ""
        if isinstance(self.value, tuple):
            return (":" if all(isinstance(item, Path) for item in self.value) else " ").join(map(str, self.value))
        return str(self.value)


class Env:
    """What every shell knows: the checkout and which of its shells this is."""

    prefix: ClassVar[str] = "PL"
    standard_variables: ClassVar[Mapping[str, str]] = {}
    """Fields whose variable has a name that other programs know."""

    checkout: Path
    """The repository's root."""
    root: Path
    """The project's folder: the root for ``./shell.py``, ``hmlet/`` for its stages and their apps."""
    app: str = ""
    """The app's folder name in an app's shell."""
    code: str = "pl"
    """What the prompt shows and what subcommands on PATH start with."""
    instance: str
    """Sets this checkout's stages apart from others' on the same machine; ``PL_INSTANCE`` overrides it."""
    path: tuple[Path, ...]
    """The directories that come first on PATH."""

    def __init__(self, **given: object) -> None:
        for name, value in given.items():
            self.__dict__[name] = value

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: environments do not change; set it in the stage's file")

    @functools.cached_property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of all variables exported with this environment: what a nested shell takes away first."""
        return tuple(dict.fromkeys(cls.prefix for cls in _lineage(type(self))))

    def fields(self) -> tuple[Field, ...]:
        """All fields in the order of their declaration, base classes first. Raises EnvInvalid."""
        return _Reading(self).fields()

    def exports(self) -> dict[str, str]:
        """Variables and their texts, as a shell exports them."""
        return {field.variable: field.exported for field in self.fields()}


class StageEnv(Env):
    """What every stage has, whatever the project."""

    standard_variables: ClassVar[Mapping[str, str]] = {"kubeconfig": "KUBECONFIG"}

    stage: str
    emoji: str
    runs_on: Literal["host", "kind", "existing"]
    """Processes on this machine, a kind cluster of our own, or a cluster that exists."""
    state: Path
    """The stage's private directory (0700): ports, secrets, data, logs, kubeconfig."""

    @functools.cached_property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    def certificates(self) -> Mapping[str, tuple[str, ...]]:
        """Those that ``bootstrap`` makes (pl.certificates): by name, the hosts that each is good for."""
        return {}

    def command(self, name: str) -> str:
        """How a subcommand of ``cluster.py`` is typed: under the project's code, in an app's shell too."""
        codes = (vars(cls)["code"] for cls in _lineage(type(self)) if cls is not Env and "code" in vars(cls))
        return f"{next(codes, self.code) if self.app else self.code}.{name}"

    def chosen_ports(self) -> tuple[str, ...]:
        """The names of the fields that are ports which ``bootstrap`` chooses."""
        return tuple(
            name for cls in _lineage(type(self)) for name, value in vars(cls).items() if isinstance(value, _ChosenPort)
        )


E = TypeVar("E", bound=StageEnv)


@overload
def current() -> StageEnv: ...
@overload
def current(kind: type[E]) -> E: ...
def current(kind: type[E] | None = None) -> StageEnv:
    """The environment of the shell that this process runs in, read afresh from the stage's files.

    ``current(HmletEnv)`` has the project's fields too, for mypy as well. Raises NotInStage and EnvInvalid.
    """
    if not os.environ.get("PL_STAGE"):
        raise NotInStage(Path(sys.argv[0]).name, "hmlet/shell.py host")
    env = load(
        Path(os.environ["PL_CHECKOUT"]),
        project=Path(os.environ["PL_ROOT"]).name,
        app=os.environ.get("PL_APP", ""),
        stage=os.environ["PL_STAGE"],
        instance=os.environ["PL_INSTANCE"],
    )
    if kind is not None and not isinstance(env, kind):
        raise NotInStage(kind.__name__, "the shell of its project")
    return env


def root_env(checkout: Path, instance: str) -> Env:
    """The environment of ``./shell.py``."""
    return Env(checkout=checkout, root=checkout, instance=instance, path=_path(checkout, ()))


def load(checkout: Path, *, project: str, app: str = "", stage: str, instance: str) -> StageEnv:
    """Read a stage's classes and check every field.

    Raises StageUnknown, and EnvInvalid with all mistakes in all files.
    """
    root = checkout / project
    known = stages(root)
    if stage not in known:
        raise StageUnknown(stage, known, f"{project}/shell.py")
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    # What pl offers for the project, and the project's own commands.
    folders: tuple[Path, ...] = (root / ".bin", root / "comm/bin")
    if app:
        of_app, of_stage = _stage_classes(f"{project}.{app}.env_comm", f"{project}.env_{stage}")
        cls = cast(type[StageEnv], types.new_class(f"{of_stage.__name__}Of{app}", (of_app, of_stage)))
        folders = (root / app / ".bin", *folders)
    else:
        (cls,) = _stage_classes(f"{project}.env_{stage}")
    env = cls(
        checkout=checkout,
        root=root,
        app=app,
        stage=stage,
        instance=instance,
        state=state_home() / instance / f"{project}-{stage}",
        path=_path(checkout, folders),
    )
    env.fields()
    return env


def stages(root: Path) -> tuple[str, ...]:
    """The stages that a project defines, ``host`` first, then in the order in which a change travels."""
    order = ("host", "test", "local", "stage", "prod")
    names = [file.stem.removeprefix("env_") for file in root.glob("env_*.py") if file.stem != "env_comm"]
    return tuple(sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name)))


def state_home() -> Path:
    """Where stages keep their state: outside the checkout, so that cleaning it loses nothing."""
    configured = os.environ.get("XDG_STATE_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path("~/.local/state").expanduser()
    return base / "plasma"


def derived_instance(checkout: str) -> str:
    """The instance that follows from a checkout's path: six hexadecimal digits."""
    return hashlib.sha256(os.fsencode(checkout)).hexdigest()[:6]


def ports_file(state: Path) -> Path:
    """Where the ports that ``bootstrap`` chose are remembered, as a JSON object of field names and numbers."""
    return state / "ports.json"


def secret_file(state: Path, name: str) -> Path:
    return state / "secrets" / name


def _path(checkout: Path, folders: tuple[Path, ...]) -> tuple[Path, ...]:
    return (*folders, checkout / "comm/bin", checkout / ".deps/bin", checkout / ".venv/bin")


def _stage_classes(*module_names: str) -> list[type[StageEnv]]:
    """The class that each module defines. Raises EnvInvalid with all modules that cannot be used."""
    classes: list[type[StageEnv]] = []
    mistakes: dict[str, None] = {}
    for module_name in module_names:
        try:
            classes.append(_stage_class(module_name))
        except EnvInvalid as error:
            mistakes.update(dict.fromkeys(error.mistakes))
    if mistakes:
        raise EnvInvalid(list(mistakes))
    return classes


def _stage_class(module_name: str) -> type[StageEnv]:
    try:
        module = _imported(module_name)
    except EnvInvalid:
        raise
    except Exception as error:  # noqa: BLE001
        raise EnvInvalid([f"{_place_of(error)}: {type(error).__name__}: {error}"]) from None
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, StageEnv) and value.__module__ == module_name
    ]
    if len(defined) != 1:
        raise EnvInvalid([f"{module.__file__}: must define one subclass of StageEnv, and defines {len(defined)}"])
    return defined[0]


def _imported(module_name: str) -> types.ModuleType:
    """The module, from its source alone: Python takes a compiled one for current that is of the same second and size.

    8080 changed to 8081 is just that, and the shell's cache would keep the mistake.
    """
    before = sys.dont_write_bytecode, sys.pycache_prefix
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull
    try:
        return importlib.import_module(module_name)
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = before


def _place_of(error: Exception) -> str:
    """Where in a stage's file an exception came from, as ``FILE:LINE``."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename)}:{error.lineno}"
    here = traceback.extract_tb(error.__traceback__)[-1]
    return f"{_shown(here.filename)}:{here.lineno}"


def _shown(file: str) -> str:
    try:
        return os.path.relpath(file)
    except FileNotFoundError:  # the working directory was removed
        return file


def _lineage(cls: type[Env]) -> Iterator[type[Env]]:
    """The environment classes from ``Env`` down to ``cls``."""
    return (base for base in reversed(cls.__mro__) if issubclass(base, Env))


class _Reading:
    """One pass over an environment's classes that collects fields and every mistake."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._lineage = list(_lineage(type(env)))
        self._mistakes: list[str] = []

    def fields(self) -> tuple[Field, ...]:
        declared = self._declared()
        self._refuse_undeclared(declared)
        plain = [name for name in declared if not self._derived(name)]
        values = self._resolved({name: self._value(name, declared[name][0]) for name in plain})
        for name, value in values.items():
            self._check(name, value, declared[name][1])
        # Last, because they follow from the others; with mistakes in those there is nothing to learn from them.
        sound = not self._mistakes
        for name in declared:
            if name not in plain and sound:
                values[name] = self._followed(name)
                self._check(name, values[name], declared[name][1])
        if self._mistakes:
            raise EnvInvalid(self._mistakes)
        return tuple(
            Field(name=name, variable=_variable(name, owner, values[name]), value=values[name])
            for name, (owner, _) in declared.items()
        )

    def _derived(self, name: str) -> bool:
        return isinstance(inspect.getattr_static(type(self._env), name, None), functools.cached_property)

    def _resolved(self, values: dict[str, Any]) -> dict[str, Any]:
        """With ports and secrets in place of their marks, in the environment as well."""
        remembered = self._remembered_ports()
        chosen = 0
        for name, value in values.items():
            if isinstance(value, _ChosenPort):
                values[name] = remembered.get(name, self._derived_port(chosen))
                chosen += 1
            elif isinstance(value, _GeneratedSecret):
                values[name] = Secret(secret_file(cast(StageEnv, self._env).state, name), value.make)
            if values[name] is not value:
                self._env.__dict__[name] = values[name]
        return values

    def _declared(self) -> dict[str, tuple[type[Env], Any]]:
        """Field name → the class that declares it first, and its type."""
        declared: dict[str, tuple[type[Env], Any]] = {}
        for cls in self._lineage:
            try:
                hints = get_type_hints(cls, include_extras=True)
            except Exception as error:  # noqa: BLE001
                self._mistakes.append(f"{_file(cls)}: {cls.__name__}: an annotation cannot be read: {error}")
                continue
            for name in inspect.get_annotations(cls):
                if not name.startswith("_") and get_origin(hints[name]) is not ClassVar:
                    declared.setdefault(name, (cls, hints[name]))
            for name, attribute in vars(cls).items():
                if isinstance(attribute, functools.cached_property):
                    declared.setdefault(name, (cls, self._returned(cls, name, attribute)))
        return declared

    def _returned(self, cls: type[Env], name: str, attribute: functools.cached_property[Any]) -> Any:
        try:
            return get_type_hints(attribute.func, include_extras=True).get("return")
        except Exception as error:  # noqa: BLE001
            self._mistakes.append(f"{_file(cls)}: {name}: its return type cannot be read: {error}")
            return None

    def _refuse_undeclared(self, declared: Mapping[str, object]) -> None:
        """A value without a field is most often a field's name with a slip of the finger."""
        annotated = {name for cls in self._lineage for name in inspect.get_annotations(cls)}
        for cls in self._lineage:
            for name, value in vars(cls).items():
                plain = not name.startswith("_") and not callable(value) and not hasattr(value, "__get__")
                if plain and name not in declared and name not in annotated:
                    import difflib

                    close = difflib.get_close_matches(name, declared, n=1)
                    meant = f"; {close[0]} was meant?" if close else ""
                    self._mistakes.append(f"{_file(cls)}: {name}: no such field{meant}")

    def _value(self, name: str, owner: type[Env]) -> Any:
        value = getattr(self._env, name, _MISSING)
        if value is _MISSING:
            self._mistakes.append(f"{self._file_to_set(owner)}: {name}: has no value (declared in {_file(owner)})")
        return value

    def _followed(self, name: str) -> Any:
        try:
            return getattr(self._env, name)
        except Exception as error:  # noqa: BLE001
            setter = self._setter(name)
            self._mistakes.append(f"{_file(setter)}: {name}: cannot be made: {type(error).__name__}: {error}")
            return _MISSING

    def _check(self, name: str, value: object, hint: Any) -> None:
        fault = "" if value is _MISSING else _type_fault(value, hint)
        if fault:
            # What stands where a secret belongs may be one.
            shown = type(value).__name__ if hint is Secret else repr(value)
            self._mistakes.append(f"{_file(self._setter(name))}: {name}: {fault}, not {shown}")

    def _setter(self, name: str) -> type[Env]:
        return next((cls for cls in reversed(self._lineage) if name in vars(cls)), type(self._env))

    def _file_to_set(self, owner: type[Env]) -> str:
        """Where a value belongs that nobody gave: the app's own file for its own fields, else the stage's."""
        of_stage = [cls for cls in self._lineage if cls.__module__.rpartition(".")[2].startswith("env_")]
        of_stage = [cls for cls in of_stage if not cls.__module__.endswith("env_comm")] or [owner]
        return _file(of_stage[-1] if issubclass(of_stage[-1], owner) else owner)

    def _remembered_ports(self) -> dict[str, int]:
        if not isinstance(self._env, StageEnv):
            return {}
        file = ports_file(self._env.state)
        try:
            remembered = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            remedy = "make it yours, or set XDG_STATE_HOME to a directory of yours"
            self._mistakes.append(f"{file}: cannot be read ({error.strerror}); {remedy}")
            return {}
        except ValueError as error:
            remembered = error
        if isinstance(remembered, dict) and not any(_type_fault(port, Port) for port in remembered.values()):
            return remembered
        fault = remembered if isinstance(remembered, Exception) else "not an object of names and ports"
        self._mistakes.append(f"{file}: unreadable ({fault}); remove it, and ht.deploy chooses ports again")
        return {}

    def _derived_port(self, position: int) -> int:
        env = cast(StageEnv, self._env)
        seed = f"{env.instance}/{env.root.name}/{env.stage}".encode()
        block = int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") % PORT_BLOCKS
        return FIRST_DERIVED_PORT + block * PORT_BLOCK + position


_MISSING = object()


def _variable(name: str, owner: type[Env], value: object) -> str:
    if name in owner.standard_variables:
        return owner.standard_variables[name]
    return f"{owner.prefix}_{name.upper()}" + ("_FILE" if isinstance(value, Secret) else "")


def _type_fault(value: object, hint: Any) -> str:
    """What the value should have been, or nothing when it is that."""
    if hint == Port:
        fine = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65_535
        return "" if fine else "must be a port, 1 to 65535"
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return "" if value in choices else f"must be one of {', '.join(map(repr, choices))}"
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        fine = isinstance(value, tuple) and not any(_type_fault(part, item) for part in value)
        named = "/".join(map(repr, get_args(item))) if get_origin(item) is Literal else item.__name__
        return "" if fine else f"must be a tuple of {named}"
    if hint in (str, int, float, bool, Path, Secret):
        fine = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
        return "" if fine else f"must be {hint.__name__}"
    return f"has a type that a field may not have ({hint})"


def _file(cls: type) -> str:
    """The file of a class. A class combined from two has the app's file."""
    for base in cls.__mro__:
        module = sys.modules.get(base.__module__)
        file = getattr(module, "__file__", None)
        if file and base.__module__ != "types":
            return _shown(str(file))
    return str(cls.__module__)
