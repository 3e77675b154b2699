"""Digests change with what a program is made from, and with nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pl.digest import text_digest, tree_digest


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.py", "app/views.py", "app/migrations/0001.py", "tests/test_a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    return tmp_path


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda tree: (tree / "a.py").write_text("# b"),
    "a new file": lambda tree: (tree / "app/new.py").touch(),
    "a file that went": lambda tree: (tree / "a.py").unlink(),
    "a new name": lambda tree: (tree / "a.py").rename(tree / "b.py"),
    "another folder": lambda tree: (tree / "a.py").rename(tree / "app/a.py"),
    "executable": lambda tree: (tree / "a.py").chmod(0o755),
}
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda tree: None,
    "times": lambda tree: (tree / "a.py").touch(),
    "who may read": lambda tree: (tree / "a.py").chmod(0o600),
    "bytecode": lambda tree: ((tree / "__pycache__").mkdir(), (tree / "__pycache__/a.pyc").touch()),
    "an editor's file": lambda tree: (tree / ".a.py.swp").touch(),
    "a tool's cache": lambda tree: ((tree / ".mypy_cache").mkdir(), (tree / ".mypy_cache/x").touch()),
    "a link to nowhere": lambda tree: (tree / "link").symlink_to("nowhere"),
    "a link in a circle": lambda tree: (tree / "app/up").symlink_to(".."),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_tree_has_another_digest_after(tree: Path, change: str) -> None:
    before = tree_digest(tree)
    CHANGES[change](tree)
    assert tree_digest(tree) != before


@pytest.mark.parametrize("change", NO_CHANGES)
def test_a_tree_has_the_same_digest_after(tree: Path, change: str) -> None:
    before = tree_digest(tree)
    NO_CHANGES[change](tree)
    assert tree_digest(tree) == before
    assert len(before) == 16


def test_what_is_left_out_does_not_count(tree: Path) -> None:
    before = tree_digest(tree, leave_out=("tests", "views.py"))
    (tree / "tests/test_b.py").touch()
    (tree / "app/views.py").write_text("changed")
    assert tree_digest(tree, leave_out=("tests", "views.py")) == before
    (tree / "a.py").write_text("changed")
    assert tree_digest(tree, leave_out=("tests", "views.py")) != before


def test_only_what_is_named_counts(tree: Path) -> None:
    before = tree_digest(tree, only=("*/migrations/*.py",))
    (tree / "a.py").write_text("changed")
    assert tree_digest(tree, only=("*/migrations/*.py",)) == before
    (tree / "app/migrations/0002.py").touch()
    assert tree_digest(tree, only=("*/migrations/*.py",)) != before


def test_texts_are_told_apart_by_where_they_end() -> None:
    assert text_digest("ab", "c") != text_digest("a", "bc")
