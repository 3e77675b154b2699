#!/usr/bin/env python3
"""What renditions cost, against a bare decode and beside other programs: bench/imaging/renditions.py [ROUNDS].

The yardstick is libjpeg-turbo alone (simplejpeg) decoding the same 12 MP JPEG at an eighth of its size. It and the
other programs are no part of the platform; install them beside it, and run this with what is theirs on the path::

    python -m venv /tmp/bench && /tmp/bench/bin/pip install -r bench/imaging/requirements.txt
    PYTHONPATH=/tmp/bench/lib/python3.11/site-packages ./shell.py -- python bench/imaging/renditions.py

Processor time (user and system, of this process and its threads) in rounds in turns; medians and their ratios to the
yardstick. What is not installed is named and left out. Ends with 1 when a target is missed, 2 without the yardstick.
"""

import io
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "hmlet/photos/flesh")]

from imaging.decode import heic_codec_load  # noqa: E402
from imaging.renditions import Wanted, renditions_make  # noqa: E402
from imaging.sandbox import ForkServer  # noqa: E402
from PIL import Image  # noqa: E402

from hmlet.tests.pictures import grainy, landscape  # noqa: E402

SIZE = (4000, 3000)
ONE = (Wanted(kind="256", box=(256, 256)),)
SMALL = (Wanted(kind="128", box=(128, 128)),)
ONE_TARGET, ALL_TARGET, PROGRESSIVE_TARGET, SANDBOX_TARGET_MS = 1.25, 3.5, 2.0, 2.0

Work = Callable[[], object]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    try:
        import simplejpeg
    except ImportError:
        print(__doc__)
        print("simplejpeg is not there: see above", file=sys.stderr)
        sys.exit(2)
    heic_codec_load()
    files = _files()
    jpeg = files["JPEG"]

    works: dict[str, Work] = {
        "yardstick: libjpeg-turbo, 1/8": lambda: simplejpeg.decode_jpeg(
            jpeg, min_width=500, min_height=375, min_factor=1
        ),
        "JPEG → 256": lambda: renditions_make(io.BytesIO(jpeg), ONE),
        "JPEG → all four, JPEG": lambda: renditions_make(io.BytesIO(jpeg), _all(("JPEG",))),
        "JPEG → all four, JPEG and WebP": lambda: renditions_make(io.BytesIO(jpeg), _all(("JPEG", "WEBP"))),
        "JPEG → 256, plain Pillow": lambda: _plain(jpeg),
        "progressive → 256": lambda: renditions_make(io.BytesIO(files["progressive"]), ONE),
        "progressive → 256, plain Pillow": lambda: _plain(files["progressive"]),
    }
    for name in ("PNG", "WEBP", "AVIF", "HEIF"):
        works[f"{name} → 256"] = lambda content=files[name]: renditions_make(io.BytesIO(content), ONE)  # type: ignore[misc]
    works |= _of_others(files)

    taken = _measured(works, rounds)
    yardstick = taken["yardstick: libjpeg-turbo, 1/8"]
    print(f"{SIZE[0]}×{SIZE[1]}, JPEG of {len(jpeg) / 1e6:.1f} MB, {rounds} rounds in turns, processor ms")
    for name, took in taken.items():
        print(f"  {name:34} {took:7.1f}   {took / yardstick:5.2f} ×")
    child = _sandbox_ms(b"-" * 4096, rounds)
    print(f"  the child with a file of {len(jpeg) / 1e6:.1f} MB, no work {_sandbox_ms(jpeg, rounds):8.2f} ms elapsed")
    print(f"  the waiting child, no file, no work    {child:8.2f} ms elapsed (target under {SANDBOX_TARGET_MS:g})")

    outcomes = {
        f"12 MP JPEG → 256 at most {ONE_TARGET:g} ×": taken["JPEG → 256"] / yardstick <= ONE_TARGET,
        f"all four at most {ALL_TARGET:g} ×": taken["JPEG → all four, JPEG"] / yardstick <= ALL_TARGET,
        f"progressive {PROGRESSIVE_TARGET:g} × as fast as plain Pillow": (
            taken["progressive → 256, plain Pillow"] / taken["progressive → 256"] >= PROGRESSIVE_TARGET
        ),
        f"the child under {SANDBOX_TARGET_MS:g} ms": child < SANDBOX_TARGET_MS,
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


def _of_others(files: dict[str, bytes]) -> dict[str, Work]:
    works: dict[str, Work] = {}
    try:
        import pyvips
    except (ImportError, OSError) as error:
        print(f"pyvips is not there: {error}")
    else:
        pyvips.cache_set_max(0)

        def vips(content: bytes) -> object:
            return pyvips.Image.thumbnail_buffer(content, 256, height=256).jpegsave_buffer(Q=80, keep="none")

        for name, content in files.items():
            try:
                vips(content)
            except pyvips.Error as error:
                print(f"pyvips does not read {name}: {str(error).splitlines()[0]}")
                continue
            works[f"{name} → 256, pyvips"] = lambda content=content: vips(content)  # type: ignore[misc]
    # Its own process measures its own processor time, which is another figure than these.
    print("sharp is not measured here: it runs in Node")
    return works


def _measured(works: dict[str, Work], rounds: int) -> dict[str, float]:
    """Medians in ms."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = time.process_time()
            work()
            if number:
                taken[name].append((time.process_time() - began) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


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
