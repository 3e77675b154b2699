"""Names and codes of new clusters and apps: what cannot work is refused before anything is written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pl import scaffold
from pl.errors import UsageError

CHECKOUT = Path(__file__).resolve().parents[4]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What of a checkout a new cluster looks at."""
    shutil.copytree(CHECKOUT / "comm/skeletons", tmp_path / "comm/skeletons")
    for file in ("hmlet/env_comm.py", "hmlet/project.py", "hmlet/photos/env_comm.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / file, tmp_path / file)
    return tmp_path


def test_the_codes_in_use_are_those_of_the_environments(checkout: Path) -> None:
    assert set(scaffold.codes(checkout)) == {"pl", "ht", "ps"}


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("hmlet", "zz", "exists already"),
        ("comm", "zz", "exists already"),
        ("json", "zz", "Python package"),
        ("class", "zz", "cannot be a name"),
        ("Acme", "zz", "cannot be a name"),
        ("../acme", "zz", "cannot be a name"),
        ("2acme", "zz", "cannot be a name"),
        ("acme", "ht", "in use"),
        ("acme", "pl", "in use"),
        ("acme", "z", "cannot be a code"),
        ("acme", "Zz", "cannot be a code"),
        ("acme", "lc", "another program"),
        ("acme", "xdg", "another program"),
    ],
)
def test_a_cluster_that_cannot_work_is_refused(checkout: Path, name: str, code: str, why: str) -> None:
    before = sorted(checkout.rglob("*"))
    with pytest.raises(UsageError) as raised:
        scaffold.new_cluster(checkout, name, code)
    assert why in str(raised.value)
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda checkout: scaffold.new_app(checkout, "nope", "shop", "zz"), "clusters: hmlet"),
        (lambda checkout: scaffold.new_app(checkout, "hmlet", "photos", "zz"), "exists already"),
        (lambda checkout: scaffold.new_app(checkout, "hmlet", "shop", "ps"), "in use"),
        (lambda checkout: scaffold.new_cluster(checkout, "acme", "zz", {"moon": "🌙"}), "no stage is called 'moon'"),
    ],
)
def test_an_app_or_a_sign_that_cannot_work_is_refused(checkout: Path, make: Callable[[Path], Path], why: str) -> None:
    with pytest.raises(UsageError) as raised:
        make(checkout)
    assert why in str(raised.value)


def test_a_variable_of_the_machine_makes_its_prefix_unusable(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZZ_TOP", "1")
    with pytest.raises(UsageError, match="zz") as raised:
        scaffold.new_cluster(checkout, "acme", "zz")
    assert "ZZ_TOP" in str(raised.value)
