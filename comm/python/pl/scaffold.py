"""Make a new cluster or app from ``comm/skeletons``, whole or not at all, so that its shells open at once."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from pl import env
from pl.errors import PlError, UsageError

SKELETONS = "comm/skeletons"
EMOJI = {"host": "🏠", "test": "🛠️", "local": "🐣", "stage": "🤖", "prod": "🔥"}

_FOREIGN_PREFIXES = {
    "lc",
    "xdg",
    "ssh",
    "gpg",
    "git",
    "uv",
    "pip",
    "ci",
    "dbus",
    "aws",
    "kube",
    "helm",
    "npm",
    "node",
    "sops",
}
"""Variables of these prefixes are others', and a nested shell takes away those of its outer shell's prefixes."""


def new_cluster(checkout: Path, name: str, code: str, emoji: Mapping[str, str] | None = None) -> Path:
    """Make the folder of a new cluster. ``emoji`` says which stages have another sign in their prompt than usual.

    Raises UsageError for a name or code that cannot be used.
    """
    _check_name(name)
    if (checkout / name).exists():
        raise UsageError(f"{name}/ exists already")
    # A folder at the root is a package, and is found before anything installed.
    if importlib.util.find_spec(name) is not None:
        raise UsageError(f"{name} is the name of a Python package that is in use here")
    unknown = sorted(set(emoji or {}) - set(EMOJI))
    if unknown:
        raise UsageError(f"no stage is called {unknown[0]!r}", why=f"stages: {', '.join(EMOJI)}")
    _check_code(checkout, code)
    signs = {f"emoji_{stage}": sign for stage, sign in {**EMOJI, **(emoji or {})}.items()}
    values = {"name": name, "code": code, "PREFIX": code.upper(), "Class": _class_name(name), **signs}
    folder = _fill(checkout / SKELETONS / "cluster", checkout / name, values)
    _prove(checkout, folder, name)
    return folder


def new_app(checkout: Path, cluster: str, name: str, code: str) -> Path:
    """Make the folder of a new app of a cluster. Raises UsageError for a name or code that cannot be used."""
    root = checkout / cluster
    if not (root / "project.py").exists():
        known = sorted(entry.parent.name for entry in checkout.glob("*/project.py"))
        raise UsageError(f"no cluster is called {cluster!r}", why=f"clusters: {', '.join(known)}")
    _check_name(name)
    if (root / name).exists():
        raise UsageError(f"{cluster}/{name}/ exists already")
    _check_code(checkout, code)
    values = {
        "cluster": cluster,
        "ClusterClass": _stage_class_of(root / "env_comm.py"),
        "name": name,
        "code": code,
        "PREFIX": code.upper(),
        "Class": _class_name(name),
    }
    folder = _fill(checkout / SKELETONS / "app", root / name, values)
    _prove(checkout, folder, cluster, app=name)
    return folder


def codes(checkout: Path) -> dict[str, Path]:
    """The codes in use, and the files that set them."""
    files = [*checkout.glob("*/env_comm.py"), *checkout.glob("*/*/env_comm.py")]
    return {"pl": Path("comm"), **{code: file for file in files for code in _codes_in(file)}}


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,19}", name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot be a name", why="2 to 20 of a-z, 0-9 and _, a letter first: it becomes a package"
        )


def _check_code(checkout: Path, code: str) -> None:
    if not re.fullmatch(r"[a-z]{2,4}", code):
        raise UsageError(
            f"{code!r} cannot be a code", why="2 to 4 of a-z: it becomes CODE.deploy and the variables CODE_..."
        )
    used = codes(checkout)
    if code in used:
        raise UsageError(f"the code {code!r} is in use", why=f"by {used[code]}; in use: {', '.join(sorted(used))}")
    foreign = sorted(name for name in os.environ if name.startswith(f"{code.upper()}_"))
    if code in _FOREIGN_PREFIXES or foreign:
        example = foreign[0] if foreign else f"{code.upper()}_..."
        raise UsageError(f"the code {code!r} cannot be used", why=f"variables like {example} belong to another program")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_")) + "Env"


def _codes_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                yield code


def _stage_class_of(file: Path) -> str:
    """The class that a cluster's env_comm.py defines."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "StageEnv" for base in node.bases
        ):
            return node.name
    raise PlError(f"{file} defines no subclass of StageEnv")


def _fill(skeleton: Path, folder: Path, values: Mapping[str, str]) -> Path:
    """Copy a skeleton beside its place, then move it there."""
    half = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        for template in sorted(skeleton.rglob("*.tmpl")):
            file = half / template.relative_to(skeleton).with_suffix("")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
            file.chmod(template.stat().st_mode)
        half.rename(folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    return folder


def _prove(checkout: Path, folder: Path, project: str, *, app: str = "") -> None:
    """Load every stage of what was made; take it away again where one is wrong."""
    try:
        importlib.invalidate_caches()
        for stage in env.stages(checkout / project):
            env.load(checkout, project=project, app=app, stage=stage, instance="new")
    except BaseException:
        shutil.rmtree(folder)
        raise
