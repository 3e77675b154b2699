"""One program comes out of an archive; nothing in the archive decides where."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from pl.errors import ArchiveUnusable
from pl.tools import archives

PROGRAM = b"#!/bin/sh\necho moon\n"


def _tar(folder: Path, *entries: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    file = folder / "a.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                tar.addfile(info, io.BytesIO(entry[1]))
    return file


def _zip(folder: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    file = folder / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries:
            packed.writestr(name, content)
    return file


def _link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def _refused(archive: Path, member: str, to: Path) -> str:
    with pytest.raises(ArchiveUnusable, match="cannot be unpacked") as raised:
        archives.take(archive, archive.name, member, to)
    assert not to.exists() or to.read_bytes() != PROGRAM
    return raised.value.why


@pytest.mark.parametrize("name", ["age/age", "./age/age"])
def test_the_program_alone_comes_out_of_a_tar(tmp_path: Path, name: str) -> None:
    file = _tar(tmp_path, ("age/LICENSE", b"x"), (name, PROGRAM), ("../evil", b"x"))
    archives.take(file, file.name, "age/age", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == PROGRAM
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "out"]
    assert not (tmp_path.parent / "evil").exists()


def test_the_program_alone_comes_out_of_a_zip(tmp_path: Path) -> None:
    file = _zip(tmp_path, ("x", b"y"), ("bin/age", PROGRAM), ("../evil", b"x"))
    archives.take(file, file.name, "bin/age", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == PROGRAM
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_a_link_in_the_programs_place_is_refused(tmp_path: Path, kind: bytes) -> None:
    assert "link" in _refused(_tar(tmp_path, _link("age", "/bin/sh", kind)), "age", tmp_path / "out")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("age")
    info.external_attr = 0o120777 << 16
    assert "link" in _refused(_zip(tmp_path, (info, b"/bin/sh")), "age", tmp_path / "out")


def test_a_member_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "does not hold it" in _refused(_tar(tmp_path, ("b", b"")), "age", tmp_path / "out")
    assert "does not hold it" in _refused(_zip(tmp_path, ("b", b"")), "age", tmp_path / "out2")


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST", len(PROGRAM) - 1)
    assert "bytes" in _refused(_tar(tmp_path, ("age", PROGRAM)), "age", tmp_path / "out")
    assert "bytes" in _refused(_zip(tmp_path, ("age", PROGRAM)), "age", tmp_path / "out2")


@pytest.mark.parametrize("kind", [".tar.gz", ".zip"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_archive_is_said(tmp_path: Path, kind: str, damage: str) -> None:
    entry = ("age", bytes(range(256)) * 300)
    file = _tar(tmp_path, entry) if kind == ".tar.gz" else _zip(tmp_path, entry)
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"<html>", "empty": b""}[damage])
    with pytest.raises(ArchiveUnusable):
        archives.take(file, file.name, "age", tmp_path / "out")


def test_a_disk_that_is_full_is_no_damage(tmp_path: Path) -> None:
    file = _tar(tmp_path, ("age", PROGRAM))
    with pytest.raises(OSError, match="out") as raised:
        archives.take(file, file.name, "age", tmp_path / "not-there/out")
    assert raised.value.errno is not None
