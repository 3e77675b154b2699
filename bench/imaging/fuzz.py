#!/usr/bin/env python3
"""Damaged images, one after the other, through the sandbox: bench/imaging/fuzz.py [FORMAT...].

    nice -n 15 ./shell.py -- python bench/imaging/fuzz.py --minutes 30

Takes files of every format and mode, flips bits, overwrites, cuts, repeats and moves bytes, in headers more often than
in pixels, and mends the sums over what it changed every other time, for else nothing but the sum would be tested. Each
of the MUTATIONS of a format is made of its number alone, goes to a child of its own as in production, and is rendered,
or compared with what it was made of. Right is a typed error, or a picture that decodes, fits its box and is in
proportion. Wrong, and kept in reports/fuzz with its number, is a child that dies, an exception that nobody expected, a
time that was over, more memory than MEMORY_MAX, more time than TIME_MAX_S, or a picture that is none of that.

It goes on where it was stopped last (--anew begins again). Ends with 1 when anything was wrong, 3 when time was up.
"""

import argparse
import io
import json
import random
import struct
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "hmlet/photos/flesh")]

import numpy as np  # noqa: E402
from imaging.confined_diff import LIMITS  # noqa: E402
from imaging.decode import heic_codec_load  # noqa: E402
from imaging.diff import diff  # noqa: E402
from imaging.diff_options import DiffOptions  # noqa: E402
from imaging.errors import DecoderDied, ImageError, ImageTooHeavy  # noqa: E402
from imaging.renditions import Wanted, renditions_make  # noqa: E402
from imaging.sandbox import ForkServer  # noqa: E402
from PIL import Image, ImageCms  # noqa: E402

from hmlet.tests.pictures import landscape  # noqa: E402

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF")
MUTATIONS = 20_000
SIZE = (192, 144)
MEMORY_MAX = 400_000_000
"""What a child may hold beside what it began with, for a rendition. For a comparison it is what that is confined to."""
TIME_MAX_S = 10.0
"""Of the processor; a child is ended after twice as much."""
HEADS = (40, 600, sys.maxsize, sys.maxsize)
"""Changes are within so many bytes of the beginning: half of them somewhere in the head."""
DIFF_EVERY = 4
BOXES = (16, 48, 128)
INTERESTING = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")
STATE = ROOT / "reports/fuzz"

_PNG = b"\x89PNG\r\n\x1a\n"

RIGHT, TYPED = "a right picture", "a typed error"


@dataclass(slots=True)
class Told:
    """How far a format is, and what came of it."""

    done: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    most_bytes: int = 0
    longest_s: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(FORMATS)}; else all")
    parser.add_argument("--mutations", type=int, default=MUTATIONS, help="of each format")
    parser.add_argument("--minutes", type=float, default=600, help="stop then, to go on another time")
    parser.add_argument("--anew", action="store_true", help="forget what was done before")
    parser.add_argument("--one", type=int, metavar="NUMBER", help="this mutation alone, with what came of it")
    asked = parser.parse_args()
    formats = tuple(asked.formats) or FORMATS
    if unknown := set(formats) - set(FORMATS):
        parser.error(f"no such format: {', '.join(sorted(unknown))}")
    heic_codec_load()
    until = time.monotonic() + asked.minutes * 60
    complete = True
    all_told = {}
    for image_format in formats:
        sources = [_saved(image_format, options) for options in SOURCES[image_format]]
        if asked.one is not None:
            print(image_format, *tried(_server(sources), sources, asked.one)[:2])
            continue
        all_told[image_format] = fuzzed(image_format, sources, asked.mutations, until, anew=asked.anew)
        complete = complete and all_told[image_format].done >= asked.mutations
    wrong = sum(len(told.wrong) for told in all_told.values())
    for image_format, told in all_told.items():
        print(_line(image_format, told))
    sys.exit(1 if wrong else 0 if complete else 3)


def fuzzed(image_format: str, sources: list[bytes], mutations: int, until: float, *, anew: bool) -> Told:
    """Go on with one format until it is done or time is up; what is known is written down each time."""
    STATE.mkdir(parents=True, exist_ok=True)
    path = STATE / f"{image_format}.json"
    told = Told(**json.loads(path.read_text())) if path.exists() and not anew else Told()
    outcomes, errors = Counter(told.outcomes), Counter(told.errors)
    server = _server(sources)
    while told.done < mutations and time.monotonic() < until:
        outcome, detail, content, most, took = tried(server, sources, told.done)
        outcomes[outcome] += 1
        if outcome == TYPED:
            errors[detail] += 1
        elif outcome != RIGHT:
            told.wrong.append(f"{told.done}: {outcome}: {detail}")
            (STATE / f"{image_format}-{told.done}").write_bytes(content)
        told.most_bytes, told.longest_s = max(told.most_bytes, most), max(told.longest_s, took)
        told.done += 1
        if told.done % 500 == 0 or told.done == mutations:
            told.outcomes, told.errors = dict(outcomes), dict(errors)
            path.write_text(json.dumps(asdict(told), indent=1))
            print(_line(image_format, told), end="\r" if sys.stdout.isatty() else "\n", flush=True)
    server.close()
    told.outcomes, told.errors = dict(outcomes), dict(errors)
    path.write_text(json.dumps(asdict(told), indent=1))
    return told


def tried(server: ForkServer, sources: list[bytes], number: int) -> tuple[str, str, bytes, int, float]:
    """What came of one mutation, in one word and in more; its bytes; memory in bytes, and processor time in seconds."""
    chance = random.Random(f"{len(sources)} {number}")
    place = chance.randrange(len(sources))
    content = mutated(sources[place], sources, chance)
    asks = {
        "place": place,
        "box": chance.choice(BOXES),
        "crop": chance.random() < 0.3,
        "compare": number % DIFF_EVERY == 0,
    }
    sandbox = server.sandbox()
    try:
        sandbox.source.begin(len(content), json.dumps(asks).encode())
        sandbox.source.write(content)
        outcome, detail, most, took = json.loads(sandbox.run())
    except DecoderDied:
        outcome, detail, most, took = "a crash", "the child died", 0, 0.0
    except ImageTooHeavy:
        outcome, detail, most, took = "a limit", "of time was hit", 0, 0.0
    finally:
        sandbox.close()
    if took > TIME_MAX_S:
        outcome, detail = "too slow", f"{took:.1f} s"
    elif most > (LIMITS.memory_bytes if asks["compare"] else MEMORY_MAX):
        outcome, detail = "too large", f"{most / 1e6:.0f} MB, {outcome}: {detail}"
    return outcome, detail, content, most, took


def mutated(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """``content`` with one to eight things wrong with it."""
    if content.startswith(_PNG) and chance.random() < 0.3:
        return _inside(content, others, chance)
    changed = bytearray(content)
    _damage(changed, others, chance)
    if changed.startswith(_PNG) and chance.random() < 0.7:
        _sums_mend(changed)
    return bytes(changed)


def _damage(changed: bytearray, others: list[bytes], chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        if changed:
            chance.choice(_DAMAGES)(changed, others, chance)


def _inside(png: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """With the damage done to what is compressed, where nothing else notices it."""
    start = png.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", png, start)
    rows = bytearray(zlib.decompress(png[start + 8 : start + 8 + length]))
    _damage(rows, others, chance)
    packed = zlib.compress(rows, 1)
    changed = bytearray(png[:start] + struct.pack(">I", len(packed)) + b"IDAT" + packed + png[start + 8 + length :])
    _sums_mend(changed)
    return bytes(changed)


def _place(changed: bytearray, chance: random.Random) -> int:
    return chance.randrange(min(len(changed), chance.choice(HEADS)))


def _flip(changed: bytearray, _: list[bytes], chance: random.Random) -> None:
    changed[_place(changed, chance)] ^= 1 << chance.randrange(8)


def _overwrite(changed: bytearray, _: list[bytes], chance: random.Random) -> None:
    place = _place(changed, chance)
    new = chance.choice(INTERESTING) if chance.random() < 0.5 else chance.randbytes(chance.randint(1, 6))
    changed[place : place + len(new)] = new


def _step(changed: bytearray, _: list[bytes], chance: random.Random) -> None:
    """A number, of a size or a length, a little more or less, or twice as much."""
    place = _place(changed, chance)
    width = chance.choice((1, 2, 4))
    order: Literal["big", "little"] = chance.choice(("big", "little"))
    value = int.from_bytes(changed[place : place + width], order)
    value = chance.choice((value + 1, value - 1, value * 2, value // 2, value + 256)) % (1 << 8 * width)
    changed[place : place + width] = value.to_bytes(width, order)


def _cut(changed: bytearray, _: list[bytes], chance: random.Random) -> None:
    place = _place(changed, chance)
    del changed[place : place + chance.choice((1, 2, 4, 16, 100, 1000))]


def _truncate(changed: bytearray, _: list[bytes], chance: random.Random) -> None:
    del changed[chance.randrange(len(changed)) :]


def _repeat(changed: bytearray, _: list[bytes], chance: random.Random) -> None:
    place = _place(changed, chance)
    part = bytes(changed[place : place + chance.choice((1, 4, 16, 100))])
    changed[place:place] = part * chance.choice((1, 1, 2, 50))


def _splice(changed: bytearray, others: list[bytes], chance: random.Random) -> None:
    other = chance.choice(others)
    start, length = chance.randrange(len(other)), chance.choice((2, 8, 32, 200))
    place = _place(changed, chance)
    changed[place : place + length] = other[start : start + length]


_DAMAGES: tuple[Callable[[bytearray, list[bytes], random.Random], None], ...] = (
    _flip, _flip, _overwrite, _overwrite, _step, _step, _cut, _truncate, _repeat, _splice,
)  # fmt: skip


def _sums_mend(png: bytearray) -> None:
    """Make each chunk's sum right, as far as chunks can be followed."""
    position = 8
    while position + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, position)
        end = position + 8 + length
        if end + 4 > len(png):
            return
        struct.pack_into(">I", png, end, zlib.crc32(png[position + 4 : end]))
        position = end + 4


def _server(sources: list[bytes]) -> ForkServer:
    def work(source: BinaryIO, order: bytes) -> bytes:
        """In the child: all that may happen, told from what a child's death is."""
        asks = json.loads(order)
        before = _resident(b"VmRSS:")
        try:
            outcome, detail = _judged(source, asks, sources)
        except ImageError as error:
            outcome, detail = TYPED, error.code
        except Exception:  # noqa: BLE001 - that is what is looked for
            outcome, detail = "an exception", traceback.format_exc()[-900:]
        most = max(0, _resident(b"VmHWM:") - before)
        return json.dumps((outcome, detail, most, round(time.process_time(), 4))).encode()

    return ForkServer(work)


def _judged(source: BinaryIO, asks: dict[str, Any], sources: list[bytes]) -> tuple[str, str]:
    if asks["compare"]:
        result = diff(io.BytesIO(sources[asks["place"]]), source, DiffOptions(alignment="pad", shift_max=2))
        width, height = result.before[0], result.before[1]
        if not result.picture.width or any(box.width < 1 for box in result.regions) or {width, height} != {*SIZE}:
            return "a wrong picture", f"{result.before} {result.after}"
        return RIGHT, ""
    wanted = Wanted(kind="", box=(asks["box"], asks["box"]), crop=asks["crop"])
    made = renditions_make(source, (wanted,))
    (picture,) = made.pictures
    size = (picture.width, picture.height)
    with Image.open(io.BytesIO(picture.content)) as image:
        image.load()
        decoded = np.asarray(image)
    right = image.size == size and max(size) <= asks["box"] and decoded.shape == (size[1], size[0], 3)
    if not asks["crop"]:
        exact = size[0] * made.source_height - size[1] * made.source_width
        right = right and abs(exact) <= max(made.source_width, made.source_height)
    return (RIGHT, "") if right else ("a wrong picture", f"{size} of {made.source_width}×{made.source_height}")


def _resident(name: bytes) -> int:
    """A child's memory begins with what its parent has, and so does its peak."""
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123 - after a fork, as little as can be
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def _line(image_format: str, told: Told) -> str:
    outcomes = ", ".join(f"{number} {name}" for name, number in sorted(told.outcomes.items()))
    errors = ", ".join(f"{name.removeprefix('image_')} {number}" for name, number in sorted(told.errors.items()))
    lines = [
        f"{image_format:5} {told.done:6} mutations: {outcomes or '–'} ({errors or '–'}); "
        f"{told.most_bytes / 1e6:.0f} MB and {told.longest_s:.2f} s at most",
        *(f"      {wrong}" for wrong in told.wrong[:20]),
    ]
    return "\n".join(lines)


_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_EXIF = {
    "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x01\x0e\0\x02\0\0\0\x04abc\0\0\0\0\0"
}
SOURCES: dict[str, tuple[dict[str, Any], ...]] = {
    "JPEG": (
        {"quality": 85},
        {"quality": 85, "progressive": True},
        {"quality": 75, "subsampling": 0, "icc_profile": _PROFILE, **_EXIF},
        {"mode": "L", "restart_marker_blocks": 4},
        {"mode": "CMYK", "progressive": True, "comment": b"comment"},
    ),
    "PNG": (
        {},
        {"mode": "RGBA", "icc_profile": _PROFILE},
        {"mode": "P"},
        {"mode": "P", "transparency": 3, **_EXIF},
        {"mode": "LA"},
        {"mode": "I;16"},
        {"mode": "1"},
    ),
    "WEBP": ({"quality": 80}, {"lossless": True}, {"mode": "RGBA", "icc_profile": _PROFILE, **_EXIF}, {"frames": 3}),
    "GIF": ({}, {"mode": "P", "transparency": 3}, {"frames": 4, "comment": b"comment"}, {"interlace": False}),
    "TIFF": (
        {},
        {"compression": "tiff_lzw", "icc_profile": _PROFILE},
        {"compression": "tiff_adobe_deflate", "mode": "RGBA"},
        {"compression": "jpeg"},
        {"compression": "packbits", "mode": "P"},
        {"compression": "group4", "mode": "1"},
        {"mode": "I;16"},
        {"mode": "CMYK"},
        {"mode": "F", "compression": "tiff_lzw"},
    ),
    "BMP": ({}, {"mode": "L"}, {"mode": "P"}, {"mode": "1"}, {"mode": "RGBA"}),
    "AVIF": ({"quality": 60, "speed": 10}, {"mode": "RGBA", "speed": 10, "icc_profile": _PROFILE, **_EXIF}),
    "HEIF": ({"quality": 60}, {"mode": "RGBA", "quality": 60, **_EXIF}, {"mode": "L", "icc_profile": _PROFILE}),
}  # fmt: skip


def _saved(image_format: str, options: dict[str, Any]) -> bytes:
    how = dict(options)
    mode, frames = how.pop("mode", "RGB"), how.pop("frames", 1)
    grain = np.random.default_rng(3).normal(0, 4, (SIZE[1], SIZE[0], 1))
    image = Image.fromarray(np.clip(np.asarray(landscape(3, SIZE)) + grain, 0, 255).astype(np.uint8))
    if mode == "I;16":
        image = image.convert("L").convert("I").point(lambda value: value * 257)
    elif mode in {"RGBA", "LA"}:
        image.putalpha(Image.linear_gradient("L").resize(SIZE))
    if mode != "RGB":
        image = image.convert(mode)
    if frames > 1:
        how |= {"save_all": True, "append_images": [image.rotate(90 * turn) for turn in range(1, frames)]}
    out = io.BytesIO()
    image.save(out, image_format, **how)
    return out.getvalue()


if __name__ == "__main__":
    main()
