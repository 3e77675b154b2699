"""What vendors publish is read exactly, and what was learned is remembered."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pl.errors import ToolUnverified
from pl.tools.checksums import Learned, published
from pl.tools.registry import Form

A, B = "a" * 64, "b" * 64


def _github(**digests: str | None) -> str:
    return json.dumps({"assets": [{"name": name, "digest": digest} for name, digest in digests.items()]})


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("bare", f"{A}\n"),
        ("bare", A.upper()),
        ("lines", f"{A}  kind\n"),
        ("lines", f"{B}  my-kind\n{A}  kind\n"),
        ("lines", f"{B}  kinder\n{A} *kind\n{B}  other"),
        ("lines", f"# sums\n{A}\tout/kind\r\n"),
        ("lines", f"{A}  kind\n{A}  ./kind\n"),
        ("github", _github(kind=f"sha256:{A}", other=f"sha256:{B}")),
    ],
)
def test_a_published_digest_is_found(form: Form, text: str) -> None:
    assert published(text, form, "kind", "where") == A


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("bare", ""),
        ("bare", "<html>not found</html>"),
        ("bare", A[:-1]),
        ("bare", f"{A} kind"),
        ("lines", f"{A}  kinder"),
        ("lines", f"{A}  kind\n{B}  kind"),
        ("lines", f"{A}kind"),
        ("lines", ""),
        ("github", "no json"),
        ("github", "[]"),
        ("github", '{"message": "rate limit"}'),
        ("github", _github(kind=None)),
        ("github", _github(kind="md5:abc")),
        ("github", _github(kind="sha256:abc")),
        ("github", _github(other=f"sha256:{A}")),
    ],
)
def test_anything_else_verifies_nothing(form: Form, text: str) -> None:
    with pytest.raises(ToolUnverified, match="where does not say what kind must be"):
        published(text, form, "kind", "where")


def test_what_was_learned_is_there_for_the_next(tmp_path: Path) -> None:
    file = tmp_path / "learned.toml"
    assert Learned(file).get("https://example.org/a") == ""
    Learned(file).add("https://example.org/a", A)
    Learned(file).add('/mirror/with "quotes"', B)
    assert Learned(file).get("https://example.org/a") == A
    assert Learned(file).get('/mirror/with "quotes"') == B


def test_threads_lose_nothing_of_each_other(tmp_path: Path) -> None:
    learned = Learned(tmp_path / "learned.toml")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: learned.add(f"https://example.org/{number}", A), range(40)))
    assert all(learned.get(f"https://example.org/{number}") == A for number in range(40))


@pytest.mark.parametrize("damage", ["not toml", '"https://example.org/a" = "short"', '"https://example.org/a" = 1'])
def test_a_damaged_file_says_nothing(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "learned.toml"
    file.write_text(damage, encoding="utf-8")
    assert Learned(file).get("https://example.org/a") == ""
