"""A stage that is lost comes back from its archive; an archive that is not good touches nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from hmlet.tests.test_host.place import Place

CORRUPTIONS: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[:-1],
    "cut in half": lambda content: content[: len(content) // 2],
    "damaged in the middle": lambda content: (
        content[: len(content) // 2] + b"\0" * 8 + content[len(content) // 2 + 8 :]
    ),
    "no archive at all": lambda _: b"something else",
}


def rows(place: Place) -> dict[int | str, str]:
    """Names of the photos by id."""
    with place.client() as client:
        return {photo.id: photo.name for photo in client.photos.list() if photo.id is not None}


def integrity(place: Place) -> str:
    return place.ok("ht.terminal", "--", "python", "manage.py", "integrity", "--deep").strip().splitlines()[-1]


def archive_of(place: Place, file: Path) -> Path:
    said = place.ok("ht.backup", str(file))
    assert str(place.backup_key) in said
    return file


def test_a_stage_that_was_destroyed_comes_back_whole(place: Place, tmp_path: Path) -> None:
    place.deploy()
    kept = dict(place.post() for _ in range(3))
    before = rows(place)
    archive = archive_of(place, tmp_path / "a.tar.age")
    assert archive.stat().st_mode & 0o777 == 0o600
    assert b"kept" not in archive.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar.age"], "nothing half-written is left"
    later, _ = place.post()

    refused = place.run("ht.restore", str(archive))
    assert refused.status == 1
    assert "is not empty: it has 4 photos" in refused.err
    assert later in rows(place)

    place.destroy()
    place.deploy()
    said = place.ok("ht.restore", str(archive))
    assert "0 missing, 0 mismatched, 0 orphaned" in said
    assert rows(place) == before
    assert {photo: place.thumbnail(photo) for photo in kept} == kept
    assert integrity(place) == "0 missing, 0 mismatched, 0 orphaned"
    place.ok("ht.smoke")
    assert len(place.post()[1]) > 0, "numbers go on after those that were restored"


def test_an_archive_that_is_not_good_changes_nothing(place: Place, tmp_path: Path) -> None:
    place.deploy()
    kept, thumbnail = place.post()
    archive = archive_of(place, tmp_path / "a.tar.age")
    before = rows(place)

    def refused(file: Path, *words: str) -> str:
        ended = place.run("ht.restore", "--replace", "--yes", str(file), *words)
        assert ended.status == 1, ended.said
        assert "nothing was changed" in ended.err
        assert "Traceback" not in ended.err
        return ended.err

    for name, corrupted in CORRUPTIONS.items():
        bad = tmp_path / "bad"
        bad.write_bytes(corrupted(archive.read_bytes()))
        assert "is not to be restored" in refused(bad), name
    stranger = tmp_path / "stranger.txt"
    stranger.write_text("AGE-SECRET-KEY-1" + "Q" * 58 + "\n")
    assert "no private key of age" in refused(archive, "--identity", str(stranger))
    shutil.move(place.backup_key, tmp_path / "moved.txt")
    ended = place.run("ht.restore", "--replace", "--yes", str(archive))
    assert (ended.status, "has no key of its own" in ended.err) == (1, True)
    place.ok("ht.backup", str(tmp_path / "b.tar.age"))  # with a new pair
    assert "no key of yours opens it" in refused(archive)
    assert rows(place) == before
    assert place.thumbnail(kept) == thumbnail
    assert integrity(place) == "0 missing, 0 mismatched, 0 orphaned"

    said = place.ok("ht.restore", "--replace", "--yes", "--identity", str(tmp_path / "moved.txt"), str(archive))
    assert "0 missing, 0 mismatched, 0 orphaned" in said
    assert rows(place) == before


def test_a_backup_takes_no_others_place_and_leaves_nothing_where_it_failed(deployed: Place, tmp_path: Path) -> None:
    there = tmp_path / "a.tar.age"
    there.write_text("mine")
    ended = deployed.run("ht.backup", str(there))
    assert (ended.status, there.read_text()) == (1, "mine")
    assert "is there already" in ended.err
    deployed.post()
    deployed.supervisor.stop("storage")
    ended = deployed.run("ht.backup", str(tmp_path / "b.tar.age"))
    deployed.deploy()
    assert ended.status == 1
    assert "no backup was taken" in ended.err
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar.age"]
