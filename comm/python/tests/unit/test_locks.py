"""Locks: all or none, and never an address."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest
from pl import locks
from pl.errors import LockFailed

CHECKOUT = Path(__file__).resolve().parents[4]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one lock, for which the only packages in the world are two versions of ``moon-of-tests``."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("1.0", "2.0"):
        _wheel(wheels, "moon_of_tests", version)
    folder = tmp_path / "checkout"
    (folder / "requirements").mkdir(parents=True)
    (folder / ".deps").mkdir()
    (folder / ".venv").symlink_to(CHECKOUT / ".venv")
    for fetched in (CHECKOUT / ".deps").glob("uv-????????????????"):
        (folder / ".deps" / fetched.name).symlink_to(fetched)
    (folder / "requirements/uv.txt").write_bytes((CHECKOUT / "requirements/uv.txt").read_bytes())
    (folder / "requirements/dev.in").write_text("moon-of-tests\n", encoding="utf-8")
    (folder / "requirements/dev.txt").write_text("", encoding="utf-8")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def _wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": b"",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in files.items()
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, data in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            archive.writestr(path, data)


def _lock(checkout: Path) -> str:
    return (checkout / "requirements/dev.txt").read_text(encoding="utf-8")


def _refresh(checkout: Path, *upgrade: str, upgrade_all: bool = False) -> tuple[str, ...]:
    said: list[str] = []
    refreshed = locks.refresh(checkout, say=said.append, upgrade=upgrade, upgrade_all=upgrade_all)
    return tuple(change for lock in refreshed for change in lock.changes)


def test_a_new_lock_has_the_newest_version_with_its_hash(checkout: Path) -> None:
    assert _refresh(checkout) == ("moon-of-tests nothing → 2.0",)
    assert "moon-of-tests==2.0" in _lock(checkout)
    assert "--hash=sha256:" in _lock(checkout)


def test_a_pin_stays_until_it_is_upgraded(checkout: Path) -> None:
    (checkout / "requirements/dev.txt").write_text("moon-of-tests==1.0\n", encoding="utf-8")
    assert _refresh(checkout) == ()
    assert "moon-of-tests==1.0" in _lock(checkout)
    assert _refresh(checkout, "sun") == ()
    assert _refresh(checkout, "moon-of-tests") == ("moon-of-tests 1.0 → 2.0",)


def test_upgrading_all_moves_every_pin(checkout: Path) -> None:
    (checkout / "requirements/dev.txt").write_text("moon-of-tests==1.0\n", encoding="utf-8")
    assert _refresh(checkout, upgrade_all=True) == ("moon-of-tests 1.0 → 2.0",)


def test_when_one_cannot_be_resolved_none_is_written(checkout: Path) -> None:
    (checkout / "requirements/last.in").write_text("no-such-package-anywhere\n", encoding="utf-8")
    (checkout / "requirements/last.txt").write_text("# before\n", encoding="utf-8")
    with pytest.raises(LockFailed, match=r"requirements/last\.in") as raised:
        _refresh(checkout)
    assert "no-such-package-anywhere" in str(raised.value)
    assert _lock(checkout) == ""
    assert sorted(path.name for path in (checkout / "requirements").iterdir()) == [
        "dev.in",
        "dev.txt",
        "last.in",
        "last.txt",
        "uv.txt",
    ]


def test_a_package_with_an_address_is_refused(checkout: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "wheels/moon_of_tests-1.0-py3-none-any.whl"
    (checkout / "requirements/dev.in").write_text(f"moon-of-tests @ file://{wheel}\n", encoding="utf-8")
    with pytest.raises(LockFailed, match="address"):
        _refresh(checkout)
    assert _lock(checkout) == ""


def test_no_lock_of_this_checkout_holds_an_address() -> None:
    for lock in (CHECKOUT / "requirements").glob("*.txt"):
        assert locks.addresses(lock.read_text(encoding="utf-8")) == (), lock


def test_what_goes_into_images_has_the_versions_of_the_environment(checkout: Path) -> None:
    folder = checkout / "acme/shop/flesh/requirements"
    folder.mkdir(parents=True)
    (folder / "web.in").write_text("moon-of-tests\n", encoding="utf-8")
    (folder / "web.txt").write_text("", encoding="utf-8")
    (checkout / "requirements/dev.in").write_text("-r ../acme/shop/flesh/requirements/web.in\n", encoding="utf-8")
    (checkout / "requirements/dev.txt").write_text("moon-of-tests==1.0\n", encoding="utf-8")
    assert _refresh(checkout) == ("moon-of-tests nothing → 1.0",)
    assert "moon-of-tests==1.0" in (folder / "web.txt").read_text(encoding="utf-8")
    assert set(_refresh(checkout, "moon-of-tests")) == {"moon-of-tests 1.0 → 2.0"}
    lock = (folder / "web.txt").read_text(encoding="utf-8")
    assert "moon-of-tests==2.0" in lock
    assert "--hash=sha256:" in lock
    assert str(checkout) not in lock
    assert ".lock-" not in lock


def test_one_lock_of_an_image_that_cannot_be_made_leaves_all_as_they_were(checkout: Path) -> None:
    folder = checkout / "acme/shop/flesh/requirements"
    folder.mkdir(parents=True)
    (folder / "web.in").write_text("no-such-package-anywhere\n", encoding="utf-8")
    (folder / "web.txt").write_text("", encoding="utf-8")
    with pytest.raises(LockFailed, match=r"acme/shop/flesh/requirements/web\.in"):
        _refresh(checkout)
    assert _lock(checkout) == ""
