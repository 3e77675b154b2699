"""What a build sees: .dockerignore as Docker reads it, which is not how git reads its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pl.images.dockerignore import Ignored, let_in, of_build


@pytest.mark.parametrize(
    ("rules", "left_out", "let_in"),
    [
        ("notes.txt", ["notes.txt"], ["docs/notes.txt", "notes.txt.old"]),
        ("/notes.txt", ["notes.txt"], ["docs/notes.txt"]),
        ("./docs/", ["docs", "docs/a/b"], ["docs2", "a/docs"]),
        ("*.pyc", ["a.pyc"], ["a/b.pyc"]),
        ("*/*.pyc", ["a/b.pyc"], ["b.pyc", "a/b/c.pyc"]),
        ("**/*.pyc", ["b.pyc", "a/b.pyc", "a/b/c.pyc"], ["b.pyc.txt"]),
        ("**/__pycache__", ["__pycache__", "a/__pycache__/x.pyc"], ["a/my__pycache__"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["b/z", "az"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b"]),
        ("**", ["a", "a/b"], []),
        ("temp?", ["temp1", "tempa/x"], ["temp", "temp12"]),
        ("[ab].txt", ["a.txt", "b.txt"], ["c.txt"]),
        ("[^ab].txt", ["c.txt"], ["a.txt"]),
        ("a+b(c).txt", ["a+b(c).txt"], ["aab(c).txt"]),
        (r"\*.txt", ["*.txt"], ["a.txt"]),
        ("# notes.txt\n\n   \n.", [], ["notes.txt", "# notes.txt"]),
        ("  notes.txt  ", ["notes.txt"], []),
        ("\ufeffnotes.txt", ["notes.txt"], []),
        ("*.md\n!README.md", ["a.md"], ["README.md"]),
        ("!README.md\n*.md", ["README.md"], []),
        ("docs\n!docs/keep", ["docs/a", "docs"], ["docs/keep", "docs/keep/b"]),
        ("*\n!/src\nsrc/*.o", ["a", "src/a.o"], ["src/a.c", "src/b/a.o"]),
        ("a/../b", ["b"], ["a"]),
    ],
)
def test_a_pattern_leaves_out_what_docker_says(rules: str, left_out: list[str], let_in: list[str]) -> None:
    ignored = Ignored(rules)
    assert [path for path in left_out if not ignored.covers(path)] == []
    assert [path for path in let_in if ignored.covers(path)] == []


def test_a_build_sees_files_and_links_and_no_empty_folders(tmp_path: Path) -> None:
    for path in ("a.txt", "b/c.txt", "b/d/e.txt", "left/out.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("a.txt")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "round").symlink_to(".")
    assert list(let_in(tmp_path, Ignored("left"))) == ["a.txt", "b/c.txt", "b/d/e.txt", "broken", "link", "round"]


def test_a_folder_that_is_left_out_is_looked_into_for_what_is_let_in_again(tmp_path: Path) -> None:
    (tmp_path / "docs/deep").mkdir(parents=True)
    (tmp_path / "docs/deep/keep.md").write_text("", encoding="utf-8")
    (tmp_path / "docs/other.md").write_text("", encoding="utf-8")
    assert list(let_in(tmp_path, Ignored("docs\n!**/keep.md"))) == ["docs/deep/keep.md"]


def test_rules_beside_a_dockerfile_count_instead_of_those_of_the_context(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("a", encoding="utf-8")
    (tmp_path / "Tests.Dockerfile.dockerignore").write_text("b", encoding="utf-8")
    assert of_build(tmp_path, "Dockerfile").covers("a")
    assert not of_build(tmp_path, "Tests.Dockerfile").covers("a")
    assert of_build(tmp_path, "Tests.Dockerfile").covers("b")


def test_without_rules_everything_is_let_in(tmp_path: Path) -> None:
    assert not of_build(tmp_path, "Dockerfile").covers("anything")
