"""The form of a backup, and the encryption around it: whole, and with each part of it broken."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from backups import archive
from backups.archive import ArchiveInvalid, ArchiveReader, ArchiveWriter, archive_copy, archive_verify
from backups.sealed import SealBroken, opened, recipients_read, sealed

HEADER = {"taken": "2026-01-02T03:04:05+00:00", "migrations": {}, "tables": {}}
MEMBERS = {
    "database": {"gallery_photo/000001.copy.gz": b"rows" * 500, "gallery_photo/000002.copy.gz": b"more"},
    "originals": {f"{number:02x}/{'k' * number}": bytes([number]) * (number * 700) for number in range(12)},
    "thumbnails": {"aa/bb-100x100.jpg": b"thumb"},
}
BLOCK = 512


@pytest.fixture(autouse=True)
def _short_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBERS_IN_MANIFEST", 5)


def written(change: Callable[[ArchiveWriter], object] | None = None) -> bytes:
    target = io.BytesIO()
    with ArchiveWriter(target, HEADER) as writer:
        for section, members in MEMBERS.items():
            for name, content in members.items():
                writer.add(section, name, len(content), io.BytesIO(content))
        if change:
            change(writer)
        writer.end({"gone": ["originals/xx"]})
    return target.getvalue()


def read(content: bytes) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for member in ArchiveReader(io.BytesIO(content)).members():
        found.setdefault(member.section, {})[member.name] = member.content.read(member.bytes)
    return found


def test_what_was_written_is_read() -> None:
    assert read(written()) == MEMBERS
    header, end = archive_verify(io.BytesIO(written()))
    assert header == {"format": 1, **HEADER}
    assert end["gone"] == ["originals/xx"]
    assert end["sections"]["originals"]["members"] == 12
    assert end["sections"]["originals"]["bytes"] == sum(len(content) for content in MEMBERS["originals"].values())


def test_any_tar_opens_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(written())
    subprocess.run(["tar", "xf", "a.tar"], cwd=tmp_path, check=True)
    manifest = (tmp_path / "originals.manifest/000001.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in manifest] == list(MEMBERS["originals"])[:5]
    assert (tmp_path / "thumbnails/aa/bb-100x100.jpg").read_bytes() == b"thumb"


def test_members_may_be_skipped_and_are_verified_all_the_same() -> None:
    content = bytearray(written())
    content[content.index(b"rows") + 3] ^= 1
    with pytest.raises(ArchiveInvalid, match="database is not as its manifest says"):
        archive_verify(io.BytesIO(bytes(content)))


def test_each_truncation_is_told() -> None:
    whole = written()
    said = whole.rindex(b"}")  # what follows is filling
    for length in (*range(0, said, BLOCK), *range(100, said, 3571), said):
        with pytest.raises(ArchiveInvalid):
            archive_verify(io.BytesIO(whole[:length]))


def test_each_part_that_is_changed_is_told() -> None:
    whole = written()
    told = 0
    for place in range(0, len(whole), 173):
        if not whole[place]:
            continue  # filling between members, or a member's own zeros: below
        broken = bytearray(whole)
        broken[place] ^= 0x15
        try:
            header, end = archive_verify(io.BytesIO(bytes(broken)))
        except (ArchiveInvalid, UnicodeDecodeError):
            told += 1
        else:
            # tar's own fields, as owner or time, or a word of the header that age protects: never a member's content.
            assert end["sections"] == archive_verify(io.BytesIO(whole))[1]["sections"], place
            assert set(header) <= {"format", *HEADER} or place < 3 * BLOCK
    assert told > 20


@pytest.mark.parametrize("section", MEMBERS)
def test_a_changed_member_is_told(section: str) -> None:
    whole = written()
    for content in MEMBERS[section].values():
        if len(content) < 4:
            continue
        broken = bytearray(whole)
        broken[whole.index(content) + len(content) // 2] ^= 0xFF
        with pytest.raises(ArchiveInvalid):
            archive_verify(io.BytesIO(bytes(broken)))


def test_a_newer_format_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FORMAT", 2)
    newer = written()
    monkeypatch.setattr(archive, "FORMAT", 1)
    with pytest.raises(ArchiveInvalid, match="it is of format 2, and this version knows formats up to 1"):
        ArchiveReader(io.BytesIO(newer))


@pytest.mark.parametrize("content", [b"", b"\0" * 2048, b"no tar at all " * 100])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(ArchiveInvalid, match="no backup"):
        ArchiveReader(io.BytesIO(content))


def test_sections_come_in_order() -> None:
    late = written(lambda writer: writer.add("database", "late/000001", 1, io.BytesIO(b"x")))
    with pytest.raises(ArchiveInvalid):
        archive_verify(io.BytesIO(late))


def test_a_member_that_is_shorter_than_announced_ends_the_writing() -> None:
    with pytest.raises(ArchiveInvalid, match="ended after 3 of 10 bytes"):
        written(lambda writer: writer.add("thumbnails", "x", 10, io.BytesIO(b"abc")))


def test_a_copy_has_the_sections_that_were_asked_for_and_is_whole() -> None:
    target = io.BytesIO()
    archive_copy(io.BytesIO(written()), target, frozenset({"thumbnails"}))
    assert read(target.getvalue()) == {"thumbnails": MEMBERS["thumbnails"]}
    assert archive_verify(io.BytesIO(target.getvalue()))[1]["gone"] == ["originals/xx"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[pyrage.x25519.Identity, Path]:
    made = pyrage.x25519.Identity.generate()
    file = tmp_path_factory.mktemp("keys") / "keys.txt"
    file.write_text(f"# created: now\n# public key: {made.to_public()}\n{made}\n")
    return made, file


def encrypted(keys: tuple[pyrage.x25519.Identity, Path], content: bytes) -> bytes:
    target = io.BytesIO()
    with sealed(target, recipients_read([str(keys[0].to_public())])) as file:
        file.write(content)
    return target.getvalue()


def decrypted(identity: pyrage.x25519.Identity, content: bytes) -> tuple[dict[str, object], dict[str, object]]:
    with opened(io.BytesIO(content), [identity]) as plain:
        return archive_verify(plain)


def test_an_encrypted_archive_is_read_with_its_key_alone(keys: tuple[pyrage.x25519.Identity, Path]) -> None:
    content = encrypted(keys, written())
    assert b"gallery" not in content
    assert decrypted(keys[0], content)[0]["taken"] == HEADER["taken"]
    with pytest.raises(SealBroken, match="no key of yours opens it"):
        decrypted(pyrage.x25519.Identity.generate(), content)


def test_each_truncation_of_an_encrypted_archive_is_told(keys: tuple[pyrage.x25519.Identity, Path]) -> None:
    long = written(lambda writer: writer.add("thumbnails", "z", 200_000, io.BytesIO(bytes(200_000))))
    content = encrypted(keys, long)
    ends = {0, 1, 50, 200, 65_536, 65_752, 131_072 + 232, len(content) - 65_552, len(content) - 17, len(content) - 1}
    for length in ends:
        with pytest.raises((SealBroken, ArchiveInvalid)):
            decrypted(keys[0], content[:length])


def test_each_changed_byte_of_an_encrypted_archive_is_told(keys: tuple[pyrage.x25519.Identity, Path]) -> None:
    content = encrypted(keys, written())
    for place in range(0, len(content), 997):
        broken = bytearray(content)
        broken[place] ^= 1
        with pytest.raises((SealBroken, ArchiveInvalid)):
            decrypted(keys[0], bytes(broken))


def test_a_target_that_fails_is_the_error_that_is_raised(keys: tuple[pyrage.x25519.Identity, Path]) -> None:
    class Full(io.BytesIO):
        def write(self, _content: object) -> int:
            raise OSError(28, "No space left on device")

    def write() -> None:
        with sealed(Full(), recipients_read([str(keys[0].to_public())])) as file:
            for _ in range(100):
                file.write(bytes(100_000))

    with pytest.raises(OSError, match="No space left"):
        write()


def opener(*words: str) -> subprocess.CompletedProcess[bytes]:
    flesh = Path(archive.__file__).parents[1]
    return subprocess.run([sys.executable, "-m", "backups", *words], cwd=flesh, capture_output=True, check=False)


def test_a_backup_is_opened_without_a_stage(keys: tuple[pyrage.x25519.Identity, Path], tmp_path: Path) -> None:
    file = tmp_path / "a.tar.age"
    file.write_bytes(encrypted(keys, written()))
    checked = opener("check", str(file), "--identity", str(keys[1]))
    assert checked.returncode == 0, checked.stderr.decode()
    assert json.loads(checked.stdout)["end"]["gone"] == ["originals/xx"]
    plain = opener("open", str(file), "--identity", str(keys[1]), "--sections", "database")
    assert read(plain.stdout) == {"database": MEMBERS["database"]}
    file.write_bytes(file.read_bytes()[:-1])
    for what in ("check", "open"):
        refused = opener(what, str(file), "--identity", str(keys[1]))
        assert (refused.returncode, refused.stderr.decode()) == (1, "it is damaged, or a piece is missing\n")
