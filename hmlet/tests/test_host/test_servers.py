"""Damaged data, half-made data, and a disk that is full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hmlet.tests.test_host.place import Place, kill, place_of


@pytest.mark.parametrize("damaged", ["*.incr.aof", "*.manifest", "*.base.rdb"])
def test_a_queue_that_cannot_be_read_is_put_aside_and_said_so(deployed: Place, damaged: str) -> None:
    photo, thumbnail = deployed.post()
    kill(deployed.processes())
    for file in (deployed.state.data / "redis/appendonlydir").glob(damaged):
        file.write_bytes(b"garbage\r\n" * 100)
    said = deployed.deploy()
    assert "redis could not read its data: it was put aside" in said
    aside = list(deployed.state.data.glob("redis.damaged-*"))
    assert aside
    assert deployed.thumbnail(photo) == thumbnail
    assert deployed.post()
    for folder in aside:
        shutil.rmtree(folder)


def test_a_database_that_was_half_made_is_made_again(place: Place) -> None:
    place.ok("ht.bootstrap")
    kill(place.processes())
    shutil.move(place.state.data / "postgresql", place.state.data / "postgresql.part")
    (place.state.data / "postgresql.part/PG_VERSION").unlink()
    place.deploy()
    assert not (place.state.data / "postgresql.part").exists()
    assert place.post()


def test_data_that_was_removed_is_made_anew_with_all_that_rests_on_it(place: Place) -> None:
    place.deploy()
    kill(place.processes())
    shutil.rmtree(place.state.data)
    said = place.deploy()
    assert "✓ migrations" in said
    assert "✓ buckets" in said
    assert place.post()


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 40 MB: less than a database needs."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk can only be mounted by root: run this as root with CAP_SYS_ADMIN")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_an_error_that_says_so_and_a_deploy_goes_on_once_there_is_space(
    checkout: Path, small_disk: Path
) -> None:
    with place_of(Place(checkout=checkout, states=small_disk / "s")) as place:
        place.states.mkdir()
        hog = small_disk / "hog"
        for left in (0, 64 * 1024, 8 * 1024 * 1024):
            fill(hog, small_disk, left)
            ended = place.run("ht.deploy")
            assert ended.status == 1, ended.said
            assert "No space left on device" in ended.err, ended.err
            assert "free space" in ended.err
            assert "Traceback" not in ended.err
            assert not list(place.state.folder.rglob(".*.[0-9]*")), "nothing is half-written"
            assert not (place.state.data / "postgresql").exists()
        hog.unlink()
        subprocess.run(["mount", "-o", "remount,size=600m", str(small_disk)], check=True)
        place.deploy()
        assert place.post()


def fill(hog: Path, disk: Path, left: int) -> None:
    """Fill the disk until ``left`` bytes of it are free."""
    hog.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with hog.open("wb") as file:
        file.write(b"\0" * max(0, free - left))
