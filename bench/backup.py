#!/usr/bin/env python3
"""What a backup and a restore hold in memory, of little and of ten times as much: ./shell.py -- python bench/backup.py

On a throw-away host stage, through ``ht.backup`` and ``ht.restore``: the largest proportional set size of the command
with all that it starts, seen every tenth of a second, once with 50 MB of originals and once with 500, one of 90 MB
among each. Prints a table, and ends with 1 when the larger takes a quarter more memory than the smaller.
"""

import itertools
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "hmlet/comm/python")]

from ht.api_clients.photos import Photo  # noqa: E402

from hmlet.tests.pictures import photo_bytes  # noqa: E402
from hmlet.tests.test_host.place import CHECKOUT, Place, place_of  # noqa: E402

PHOTO_BYTES = 1_000_000
LARGE_BYTES = 90_000_000
COUNTS = (50, 500)
MORE_BOUND = 1.25
CLIENTS = 4
SAMPLE_S = 0.1


def main() -> None:
    peaks: dict[str, list[float]] = {"ht.backup": [], "ht.restore": []}
    with (
        tempfile.TemporaryDirectory(prefix="plb-") as folder,
        place_of(Place(checkout=CHECKOUT, states=Path(tempfile.mkdtemp(prefix="plb-")))) as place,
    ):
        print("deploying a throw-away stage", file=sys.stderr)
        place.deploy()
        _post(place, 0, LARGE_BYTES)
        for before, count in itertools.pairwise((1, *COUNTS)):
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(lambda number: _post(place, number, PHOTO_BYTES), range(before, count)))
            archive = Path(folder) / f"{count}.tar.age"
            peaks["ht.backup"].append(_peak_mb(place, "ht.backup", str(archive)))
            key = str(place.backup_key)
            words = ("ht.restore", "--replace", "--yes", "--identity", key, str(archive))
            peaks["ht.restore"].append(_peak_mb(place, *words))
            archive.unlink()
    print(f"originals of 1 MB and one of 90 MB, {COUNTS[0]} and {COUNTS[1]} of them; MB at the most")
    for name, (little, much) in peaks.items():
        print(f"  {name:10}  {little:6.0f}  {much:6.0f}   {much / little:.2f} ×")
    sys.exit(any(much > MORE_BOUND * little for little, much in peaks.values()))


def _post(place: Place, number: int, size: int) -> None:
    """A picture, and bytes after it that are another's each time."""
    picture = photo_bytes(number % 7, (320, 200))
    with place.client() as client:
        client.photos.create(Photo(name=f"photo {number}", draft=True, image=picture + secrets.token_bytes(size)))


def _peak_mb(place: Place, *words: str) -> float:
    peak = 0.0
    with place.begin(*words) as process:
        told = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _held_mb(told))
            time.sleep(SAMPLE_S)
        out, err = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words, out, err)
    return peak


def _held_mb(process: psutil.Process) -> float:
    held = 0.0
    try:
        every = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for each in every:
        try:
            held += each.memory_full_info().pss / 2**20
        except psutil.Error:
            continue  # it has ended
    return held


if __name__ == "__main__":
    main()
