"""A stage that is lost comes back from its archive; an archive that is not good touches nothing."""

from __future__ import annotations

import contextlib
import io
import random
import secrets
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psutil
import psycopg2.extensions
from ht.api_clients.photos import Photo
from PIL import Image

from hmlet.tests.test_host.place import Place, kill
from hmlet.tests.waiting import wait_for

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


def noise(seed: int, size: tuple[int, int] = (500, 400)) -> bytes:
    """An image of 600 KB: more than a reader of archives takes at once."""
    out = io.BytesIO()
    Image.frombytes("RGB", size, random.Random(seed).randbytes(3 * size[0] * size[1])).save(out, "PNG")
    return out.getvalue()


def opened(place: Place, archive: Path) -> bytes:
    """What a restore is sent."""
    argv = [sys.executable, "-m", "backups", "open", str(archive), "--identity", str(place.backup_key)]
    return subprocess.run(argv, cwd=place.checkout / "hmlet/photos/flesh", capture_output=True, check=True).stdout


def in_the_middle_of_originals(content: bytes) -> int:
    """Of how many bytes the last of the originals is but half there."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        last = [member for member in tar if member.name.startswith("originals/")][-1]
    return last.offset_data + last.size // 2


@contextlib.contextmanager
def killed_restore(place: Place, content: bytes) -> Iterator[None]:
    """One that is sent so much and no more, and killed with all that it started."""
    argv = place.argv("ht.terminal", "--", "python", "manage.py", "restore")
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(argv, env=place.env, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere) as process:
        assert process.stdin is not None
        sending = threading.Thread(target=_send, args=(process.stdin, content))
        sending.start()
        try:
            yield
            assert process.poll() is None, "it ended by itself"
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                begun = psutil.Process(process.pid)
                kill([*begun.children(recursive=True), begun])
            sending.join()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _send(stdin: IO[bytes], content: bytes) -> None:
    # As much as is taken; it may be killed in the middle.
    with contextlib.suppress(BrokenPipeError):
        stdin.write(content)
        stdin.flush()


@contextlib.contextmanager
def schema_held(place: Place) -> Iterator[Callable[[], bool]]:
    """Nobody can put another database in the live one's place; tells whether somebody waits for that."""

    def connect() -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host="127.0.0.1",
            port=place.ports()["database_port"],
            dbname="hmlet",
            user="hmlet",
            password=place.secret("database_password"),
        )

    with contextlib.closing(connect()) as holding, contextlib.closing(connect()) as looking:
        looking.autocommit = True
        holding.cursor().execute("GRANT USAGE ON SCHEMA public TO hmlet")

        def is_waited_for() -> bool:
            with looking.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER SCHEMA public%'"
                )
                [count] = cursor.fetchone() or [0]
                return bool(count)

        yield is_waited_for
        holding.rollback()


def test_a_restore_that_is_killed_is_done_again(place: Place, tmp_path: Path) -> None:
    place.deploy()
    with place.client() as client:
        for number in range(4):
            photo = client.photos.create(Photo(name=f"kept {secrets.token_hex(4)}", image=noise(number)), wait_s=10)
            client.photos.wait_until_ready(photo, timeout_s=120)
    before = rows(place)
    archive = archive_of(place, tmp_path / "a.tar.age")
    content = opened(place, archive)
    place.destroy()
    place.deploy()
    stored = place.state.folder / "data/objects/hmlet-originals"

    def objects() -> list[Path]:
        return [file for file in stored.rglob("*") if file.is_file()]

    with schema_held(place) as is_waited_for, killed_restore(place, content[: in_the_middle_of_originals(content)]):
        wait_for(is_waited_for, what="rows are complete, and not live yet", within_s=120)
    assert rows(place) == {}, "the stage is as it was"
    assert objects() == []

    with killed_restore(place, content[: in_the_middle_of_originals(content)]):
        wait_for(lambda: len(objects()) >= 2, what="objects are put", within_s=120)
    assert len(objects()) < 4
    damaged = place.run("ht.terminal", "--", "python", "manage.py", "integrity")
    assert (damaged.status, "missing originals/" in damaged.out) == (1, True), damaged.said

    said = place.ok("ht.restore", "--replace", "--yes", str(archive))
    assert "0 missing, 0 mismatched, 0 orphaned" in said
    assert rows(place) == before
    assert integrity(place) == "0 missing, 0 mismatched, 0 orphaned"
