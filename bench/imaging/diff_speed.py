#!/usr/bin/env python3
"""What comparing two images costs, against OpenCV alone and beside pixelmatch: bench/imaging/diff_speed.py [ROUNDS].

    npm install --prefix /tmp/bench pixelmatch@7.2.0 pngjs@7.0.0
    PIXELMATCH=/tmp/bench/node_modules/pixelmatch/bin/pixelmatch ./shell.py -- python bench/imaging/diff_speed.py

Two landscapes of 4 megapixels with ten changes between them. Decoded, they are compared beside cv2.absdiff, which only
subtracts them. As PNG files they are decoded and compared, to boxes, beside two bare decodes (Pillow's, in RGB) and
beside pixelmatch with pngjs, which finds no boxes, each in an interpreter that is warm. What whole processes cost,
``python -m imaging diff`` and pixelmatch's own command, is printed too: a third of ours is importing numpy and OpenCV.

Processor time (user and system) in rounds in turns; medians and ratios. What is not installed is named and left out.
Ends with 1 when a target is missed.
"""

import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLESH = ROOT / "hmlet/photos/flesh"
sys.path[:0] = [str(ROOT), str(FLESH)]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from imaging.diff import pixels_diff  # noqa: E402
from PIL import Image  # noqa: E402

from hmlet.tests.pictures import grainy, landscape  # noqa: E402

SIZE = (2448, 1632)
CHANGES = 10
ABSDIFF_TARGET, DECODES_TARGET, MS_A_MEGAPIXEL = 4.0, 1.2, 15.0

Work = Callable[[], object]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    before = grainy(landscape(1, SIZE), 1, strength=6)
    after = _changed(before)
    one, other = np.asarray(before), np.asarray(after)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("before.png", "after.png")]
        for path, image in zip(paths, (before, after), strict=True):
            image.save(path, compress_level=6)
        files = [path.read_bytes() for path in paths]
        arrays: dict[str, Work] = {
            "cv2.absdiff": lambda: cv2.absdiff(one, other),
            "arrays → boxes": lambda: pixels_diff(one, other),
            "equal arrays → none": lambda: pixels_diff(one, one),
        }
        decoding: dict[str, Work] = {
            "two bare decodes": lambda: [_decoded(each) for each in files],
            "PNG files → boxes": lambda: pixels_diff(*(np.asarray(_decoded(each)) for each in files)),
        }
        processes = _processes(paths)
        program = _pixelmatch()
        # Warm caches flatter what takes milliseconds, so each kind has rounds of its own.
        taken = {
            **_medians(arrays, rounds, time.process_time),
            **_medians(decoding, max(3, rounds // 3), time.process_time),
            **_medians(processes, max(3, rounds // 3), _children_s),
        }
        if program:
            taken["PNG files → pixelmatch"] = _pixelmatch_ms(program, paths, max(3, rounds // 3))
    _tell(taken, len(pixels_diff(one, other).regions), rounds)
    sys.exit(not all(_outcomes(taken)))


def _tell(taken: Mapping[str, float], regions: int, rounds: int) -> None:
    print(f"{SIZE[0]}×{SIZE[1]}, {CHANGES} changes, {regions} boxes found, {rounds} rounds in turns, processor ms")
    for name, took in taken.items():
        print(f"  {name:34} {took:8.2f}   {took / taken['cv2.absdiff']:7.2f} × absdiff")
    for kept, name in zip(_outcomes(taken), _TARGETS, strict=False):
        print(f"  {'kept  ' if kept else 'MISSED'} {name}")


_TARGETS = (
    f"two decoded images at most {ABSDIFF_TARGET:g} × cv2.absdiff",
    f"files at most {DECODES_TARGET:g} × two bare decodes and {MS_A_MEGAPIXEL:g} ms a megapixel",
    "files ahead of pixelmatch",
    "a process ahead of pixelmatch's",
)


def _outcomes(taken: Mapping[str, float]) -> list[bool]:
    megapixels = SIZE[0] * SIZE[1] / 1e6
    outcomes = [
        taken["arrays → boxes"] <= ABSDIFF_TARGET * taken["cv2.absdiff"],
        taken["PNG files → boxes"] <= DECODES_TARGET * taken["two bare decodes"] + MS_A_MEGAPIXEL * megapixels,
    ]
    if "PNG files → pixelmatch" in taken:
        outcomes.append(taken["PNG files → boxes"] < taken["PNG files → pixelmatch"])
        outcomes.append(taken["process: ours"] < taken["process: pixelmatch"])
    return outcomes


def _changed(image: Image.Image) -> Image.Image:
    chance = random.Random(7)
    changed = image.copy()
    for _ in range(CHANGES):
        size = (chance.randrange(8, 120), chance.randrange(8, 80))
        place = (chance.randrange(image.width - size[0]), chance.randrange(image.height - size[1]))
        changed.paste(
            (chance.randrange(256), chance.randrange(256), 20), (*place, place[0] + size[0], place[1] + size[1])
        )
    return changed


def _decoded(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB")


_MEASURE_PIXELMATCH = """
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
const [program, rounds, ...paths] = process.argv.slice(1);
const match = (await import(new URL('../index.js', pathToFileURL(program)))).default;
const { PNG } = createRequire(program)('pngjs');
const taken = [];
for (let round = 0; round <= Number(rounds); round++) {
    const began = process.cpuUsage();
    const [one, other] = paths.map((path) => PNG.sync.read(fs.readFileSync(path)));
    match(one.data, other.data, null, one.width, one.height, {});
    const used = process.cpuUsage(began);
    if (round) taken.push((used.user + used.system) / 1000);
}
console.log(JSON.stringify(taken));
"""


def _pixelmatch() -> str | None:
    program = os.environ.get("PIXELMATCH")
    if program and Path(program).exists():
        return str(Path(program).resolve())
    print("pixelmatch is not there: see the beginning of this file")
    return None


def _pixelmatch_ms(program: str, paths: list[Path], rounds: int) -> float:
    """The median of what decoding both files and comparing them takes in Node, but for a first time."""
    command = ["node", "--input-type=module", "-e", _MEASURE_PIXELMATCH, program, str(rounds), *map(str, paths)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    taken: list[float] = json.loads(told)
    return statistics.median(taken)


def _processes(paths: list[Path]) -> dict[str, Work]:
    """Each prints what it found."""
    ours = [sys.executable, "-m", "imaging", "diff", *map(str, paths), "--json"]
    works: dict[str, Work] = {"process: ours": partial(_run, ours)}
    program = os.environ.get("PIXELMATCH")
    if program:
        works["process: pixelmatch"] = partial(_run, ["node", program, *map(str, paths)])
    return works


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=FLESH, check=False, stdout=subprocess.DEVNULL)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _medians(works: Mapping[str, Work], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """In ms."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = clock()
            work()
            if number:
                taken[name].append((clock() - began) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


if __name__ == "__main__":
    main()
