#!/usr/bin/env python3
"""What renditions cost, against a bare decode and beside other programs: bench/imaging/renditions.py [ROUNDS].

The yardstick is libjpeg-turbo alone (simplejpeg) decoding the same 12 MP JPEG at an eighth of its size. It and the
other programs (sharp, pyvips, Willow, and what sorl-thumbnail does by Pillow) are no part of the platform: tools.py
fetches them. Each is asked for an upright JPEG of quality 80 in a box of 256 pixels, on one thread.

Processor time (user and system, of all threads; sharp's is its own process's) in rounds in turns; medians and their
ratios to the yardstick. Then how much more two processes, or two threads, do in the same time than one. Ends with 1
when a target is missed, 2 without the yardstick.
"""

import io
import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "hmlet/photos/flesh")]

from django.conf import settings  # noqa: E402
from imaging.decode import heic_codec_load  # noqa: E402
from imaging.renditions import Wanted, renditions_make  # noqa: E402
from imaging.sandbox import ForkServer  # noqa: E402
from imaging.webp import webp_codec_load  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402

from bench.imaging.rivals import Node, RivalFailed  # noqa: E402
from bench.imaging.tools import available  # noqa: E402
from hmlet.tests.pictures import grainy, landscape  # noqa: E402

SIZE = (4000, 3000)
ONE = (Wanted(kind="256", box=(256, 256)),)
SMALL = (Wanted(kind="128", box=(128, 128)),)
ONE_TARGET, ALL_TARGET, PROGRESSIVE_TARGET, SANDBOX_TARGET_MS = 1.25, 3.5, 2.0, 2.0

TWO_TARGET = 1.8
TWO_ROUNDS, TWO_EACH = 5, 25

Work = Callable[[], object]
Cost = Callable[[], float]
"""Does its work, and tells what it took of the processor, in ms."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    if "python" in (missing := available()):
        sys.exit(2)
    import simplejpeg

    heic_codec_load()
    webp_codec_load()
    files = _files()
    jpeg = files["JPEG"]

    ours: dict[str, Work] = {
        "yardstick: libjpeg-turbo, 1/8": lambda: simplejpeg.decode_jpeg(
            jpeg, min_width=500, min_height=375, min_factor=1
        ),
        "JPEG → 256": lambda: renditions_make(io.BytesIO(jpeg), ONE),
        "JPEG → all four, JPEG": lambda: renditions_make(io.BytesIO(jpeg), _all(("JPEG",))),
        "JPEG → all four, JPEG and WebP": lambda: renditions_make(io.BytesIO(jpeg), _all(("JPEG", "WEBP"))),
        "progressive → 256": lambda: renditions_make(io.BytesIO(files["progressive"]), ONE),
        "progressive → 256, plain Pillow": lambda: _plain(files["progressive"]),
    }
    for name in ("PNG", "WEBP", "AVIF", "HEIF"):
        ours[f"{name} → 256"] = lambda content=files[name]: renditions_make(io.BytesIO(content), ONE)  # type: ignore[misc]
    costs = {name: _timed(work) for name, work in ours.items()}
    node = None if "node" in missing else Node()
    costs |= _of_others(files, node)

    taken = _measured(costs, rounds)
    if node:
        node.close()
    yardstick = taken["yardstick: libjpeg-turbo, 1/8"]
    print(f"{SIZE[0]}×{SIZE[1]}, JPEG of {len(jpeg) / 1e6:.1f} MB, {rounds} rounds in turns, processor ms")
    for name, took in sorted(taken.items(), key=lambda item: (item[0].partition(" ")[0], item[1])):
        print(f"  {name:34} {took:7.1f}   {took / yardstick:5.2f} ×")
    child = _sandbox_ms(b"-" * 4096, rounds)
    print(f"  the child with a file of {len(jpeg) / 1e6:.1f} MB, no work {_sandbox_ms(jpeg, rounds):8.2f} ms elapsed")
    print(f"  the waiting child, no file, no work    {child:8.2f} ms elapsed (target under {SANDBOX_TARGET_MS:g})")
    processes, threads = _two(jpeg)
    print(f"  two at a time over one: processes {processes:.2f} ×, threads {threads:.2f} ×")

    others = [took for name, took in taken.items() if name.startswith("JPEG → 256, ")]
    outcomes = {
        f"12 MP JPEG → 256 at most {ONE_TARGET:g} ×": taken["JPEG → 256"] / yardstick <= ONE_TARGET,
        "12 MP JPEG → 256 ahead of every other program": taken["JPEG → 256"] < min(others),
        f"all four at most {ALL_TARGET:g} ×": taken["JPEG → all four, JPEG"] / yardstick <= ALL_TARGET,
        f"progressive {PROGRESSIVE_TARGET:g} × as fast as plain Pillow": (
            taken["progressive → 256, plain Pillow"] / taken["progressive → 256"] >= PROGRESSIVE_TARGET
        ),
        f"the child under {SANDBOX_TARGET_MS:g} ms": child < SANDBOX_TARGET_MS,
        f"two processes at least {TWO_TARGET:g} × one": processes >= TWO_TARGET,
    }
    for name, kept in outcomes.items():
        print(f"  {'kept  ' if kept else 'MISSED'} {name}")
    sys.exit(not all(outcomes.values()))


def _all(formats: tuple[str, ...]) -> tuple[Wanted, ...]:
    """The sizes in which photos are shown (gallery/renditions.py, which needs Django)."""
    square = Wanted(kind="256", box=(256, 256), crop=True, formats=formats)
    return (square, *(Wanted(kind=str(side), box=(side, side), formats=formats) for side in (128, 512, 1440)))


def _files() -> dict[str, bytes]:
    image = grainy(landscape(1, SIZE), 1, strength=6)
    heic_codec_load()
    options = {
        "JPEG": ("JPEG", {"quality": 88}),
        "progressive": ("JPEG", {"quality": 88, "progressive": True}),
        "PNG": ("PNG", {"compress_level": 3}),
        "WEBP": ("WEBP", {"quality": 85, "method": 0}),
        "AVIF": ("AVIF", {"quality": 70, "speed": 10}),
        "HEIF": ("HEIF", {"quality": 70}),
    }
    files = {}
    for name, (image_format, how) in options.items():
        out = io.BytesIO()
        image.save(out, image_format, **how)
        files[name] = out.getvalue()
    return files


def _plain(content: bytes) -> None:
    """What one writes who has read Pillow's tutorial."""
    with Image.open(io.BytesIO(content)) as image:
        image.thumbnail((256, 256))
        image.save(io.BytesIO(), "JPEG", quality=80)


def _as_sorl(content: bytes) -> None:
    """What sorl-thumbnail's engine for Pillow does: turn, convert, scale, each of the whole image."""
    with Image.open(io.BytesIO(content)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
        scale = 256 / max(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        image.resize(size, Image.Resampling.LANCZOS).save(io.BytesIO(), "JPEG", quality=80)


def _by_willow(content: bytes) -> None:
    """What its documentation shows."""
    from willow.image import Image as Willow

    image = Willow.open(io.BytesIO(content)).auto_orient()
    width, height = image.get_size()
    scale = 256 / max(width, height)
    image.resize((round(width * scale), round(height * scale))).save_as_jpeg(io.BytesIO(), quality=80)


def _by_vips(content: bytes) -> None:
    import pyvips

    pyvips.Image.thumbnail_buffer(content, 256, height=256).jpegsave_buffer(Q=80, keep="none")


def _of_others(files: dict[str, bytes], node: Node | None) -> dict[str, Cost]:
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    # Willow asks Django for its settings where it finds a Django.
    settings.configure()
    import pyvips

    pyvips.cache_set_max(0)
    programs: dict[str, Callable[[bytes], Cost]] = {
        "pyvips": lambda content: _timed(lambda: _by_vips(content)),
        "Willow": lambda content: _timed(lambda: _by_willow(content)),
        "as sorl does": lambda content: _timed(lambda: _as_sorl(content)),
    }
    if node:
        programs["sharp"] = lambda content: lambda: float(node.ask("thumbnail", content, side=256)[0]["cpu_ms"])
    costs: dict[str, Cost] = {}
    for program, cost_of in programs.items():
        for name, content in files.items():
            cost = cost_of(content)
            try:
                cost()
            except (pyvips.Error, RivalFailed) as error:
                print(f"{program} does not read {name}: {str(error).splitlines()[0]}")
                continue
            costs[f"{name} → 256, {program}"] = cost
    return costs


def _timed(work: Work) -> Cost:
    def cost() -> float:
        began = time.process_time()
        work()
        return (time.process_time() - began) * 1000

    return cost


def _measured(costs: dict[str, Cost], rounds: int) -> dict[str, float]:
    """Medians in ms; the first round is none."""
    taken: dict[str, list[float]] = {name: [] for name in costs}
    for number in range(rounds + 1):
        for name, cost in costs.items():
            took = cost()
            if number:
                taken[name].append(took)
    return {name: statistics.median(times) for name, times in taken.items()}


def _two(jpeg: bytes) -> tuple[float, float]:
    """How many times as much two processes do as one, and two threads, in the same time."""

    def work() -> None:
        for _ in range(TWO_EACH):
            renditions_make(io.BytesIO(jpeg), ONE)

    gained: list[list[float]] = [[], []]
    for _ in range(TWO_ROUNDS):
        for place, make in enumerate((multiprocessing.get_context("fork").Process, threading.Thread)):
            one, two = _elapsed_s(make, work, 1), _elapsed_s(make, work, 2)
            gained[place].append(2 * one / two)
    return statistics.median(gained[0]), statistics.median(gained[1])


def _elapsed_s(make: Callable[..., Any], work: Work, number: int) -> float:
    workers = [make(target=work) for _ in range(number)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def _sandbox_ms(content: bytes, rounds: int) -> float:
    """What it takes to hand ``content`` to the child that waits, which reads it all, and to get an answer."""
    waits = []
    server = ForkServer(lambda source, _: source.read()[:1])
    for _ in range(rounds):
        sandbox = server.sandbox()
        time.sleep(0.02)  # it is forked before it is needed
        began = time.perf_counter()
        sandbox.source.begin(len(content))
        sandbox.source.write(content)
        sandbox.run()
        waits.append((time.perf_counter() - began) * 1000)
        sandbox.close()
    server.close()
    return statistics.median(waits)


if __name__ == "__main__":
    main()
