#!/usr/bin/env python3
"""How much memory a rendition takes at its peak: bench/imaging/memory.py.

    nice -n 15 ./shell.py -- python bench/imaging/memory.py [WORD ...]

With words, only the cases that have one of them in their names: AVIF, for example.

Each image is made in a process of its own, which was rehearsed as in production; what counts is what it then holds more
at its peak than before. Beside it stand the bytes of the pixels that have to be decoded for the size wanted, as Pillow
holds them: four for one of three colours. Ends with 1 when a target is missed.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "hmlet/photos/flesh")]

from imaging.decode import heic_codec_load  # noqa: E402
from imaging.errors import ImageError  # noqa: E402
from imaging.renditions import Wanted, renditions_make  # noqa: E402
from imaging.webp import webp_codec_load  # noqa: E402
from PIL import Image  # noqa: E402

from hmlet.tests.pictures import landscape  # noqa: E402

RATIO_TARGET, MOST_TARGET = 1.2, 400_000_000
SLACK = 4_000_000
"""What a codec has beside pixels, whatever their number: tables, its input, and the encoder at the other end."""
PHOTO, PHONE, CAP, BEYOND = (4000, 3000), (12_000, 9_000), (8_160, 6_120), (16_000, 12_000)
"""12, 108, 50 and 192 megapixels."""

_Case = tuple[str, dict[str, Any], tuple[int, int], int, int, int]
CASES: tuple[tuple[str, _Case], ...] = (
    # format, options, size, side wanted, the scale at which it has to be decoded, bytes a pixel of its mode
    ("JPEG, 12 MP → 256", ("JPEG", {"quality": 85}, PHOTO, 256, 8, 4)),
    ("JPEG, 12 MP → 1440", ("JPEG", {"quality": 85}, PHOTO, 1440, 2, 4)),
    ("JPEG, 108 MP → 1440", ("JPEG", {"quality": 60}, PHONE, 1440, 4, 4)),
    ("progressive, 12 MP → 256", ("JPEG", {"quality": 85, "progressive": True}, PHOTO, 256, 8, 4)),
    ("progressive, 50 MP → 1440", ("JPEG", {"quality": 60, "progressive": True}, CAP, 1440, 4, 4)),
    ("progressive, 108 MP → 256", ("JPEG", {"quality": 60, "progressive": True}, PHONE, 256, 8, 4)),
    ("progressive, 192 MP → 256", ("JPEG", {"quality": 40, "progressive": True}, BEYOND, 256, 8, 4)),
    ("PNG, 12 MP → 256", ("PNG", {"compress_level": 1}, PHOTO, 256, 1, 4)),
    ("PNG, 50 MP → 256", ("PNG", {"compress_level": 1}, CAP, 256, 1, 4)),
    ("PNG, 50 MP, transparent → 1440", ("PNG", {"compress_level": 1, "mode": "RGBA"}, CAP, 1440, 1, 4)),
    ("PNG, 50 MP, 16 bits of grey → 1440", ("PNG", {"compress_level": 1, "mode": "I;16"}, CAP, 1440, 1, 2)),
    ("PNG, 50 MP, palette → 1440", ("PNG", {"compress_level": 1, "mode": "P"}, CAP, 1440, 1, 1)),
    ("TIFF, 50 MP, CMYK → 1440", ("TIFF", {"mode": "CMYK"}, CAP, 1440, 1, 4)),
    ("TIFF, 50 MP, LZW → 256", ("TIFF", {"compression": "tiff_lzw"}, CAP, 256, 1, 4)),
    ("GIF, 12 MP → 256", ("GIF", {"mode": "P"}, PHOTO, 256, 1, 3)),
    ("GIF, 50 MP → 256", ("GIF", {"mode": "P"}, CAP, 256, 1, 3)),
    ("BMP, 50 MP → 256", ("BMP", {}, CAP, 256, 1, 4)),
    ("WebP, 12 MP → 256", ("WEBP", {"quality": 60, "method": 0}, PHOTO, 256, 1, 4)),
    ("WebP, 50 MP → 256", ("WEBP", {"quality": 60, "method": 0}, CAP, 256, 1, 4)),
    ("AVIF, 12 MP → 256", ("AVIF", {"quality": 50, "speed": 10}, PHOTO, 256, 1, 4)),
    ("AVIF, 50 MP → 256", ("AVIF", {"quality": 50, "speed": 10}, CAP, 256, 1, 4)),
    ("HEIC, 12 MP → 256", ("HEIF", {"quality": 50}, PHOTO, 256, 1, 4)),
    ("HEIC, 50 MP → 256", ("HEIF", {"quality": 50}, CAP, 256, 1, 4)),
)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        _child(Path(sys.argv[2]), int(sys.argv[3]))
        return
    heic_codec_load()
    asked = sys.argv[1:]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (image_format, how, size, side, scale, channels) in CASES:
            if asked and not any(word in name for word in asked):
                continue
            file = Path(folder) / "image"
            _save(file, size, image_format, dict(how))
            needed = size[0] // scale * (size[1] // scale) * channels
            child = [sys.executable, __file__, "--child", str(file), str(side)]
            answer = subprocess.run(child, capture_output=True, check=True, text=True).stdout.strip()
            if not answer.isdigit():
                print(f"         {name:36} {answer}", flush=True)
                continue
            peak = int(answer)
            kept = peak <= RATIO_TARGET * needed + SLACK and peak <= MOST_TARGET
            missed += not kept
            print(
                f"  {'kept  ' if kept else 'MISSED'} {name:36} {peak / 1e6:6.1f} MB at the peak, its pixels "
                f"{needed / 1e6:6.1f} MB: {peak / needed:5.2f} ×",
                flush=True,
            )
    print(f"targets: {RATIO_TARGET:g} × the pixels and {SLACK / 1e6:g} MB, and {MOST_TARGET / 1e6:g} MB")
    sys.exit(missed > 0)


def _child(path: Path, side: int) -> None:
    """Print by how many bytes this process grows at most, or why the image was refused."""
    heic_codec_load()
    webp_codec_load()
    rehearsal = io.BytesIO()
    Image.new("RGB", (1600, 1200)).save(rehearsal, "JPEG")
    renditions_make(rehearsal, (Wanted(kind="", box=(128, 128)),))
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS:")
    try:
        with path.open("rb") as file:
            renditions_make(file, (Wanted(kind="", box=(side, side)),))
    except ImageError as error:
        print(f"refused: {error}")
        return
    print(_resident("VmHWM:") - before)


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _save(path: Path, size: tuple[int, int], image_format: str, how: dict[str, Any]) -> None:
    mode = how.pop("mode", "RGB")
    image = landscape(5, (size[0] // 4, size[1] // 4)).resize(size, Image.Resampling.BILINEAR)
    if mode == "I;16":
        image = image.convert("L").convert("I").point(lambda value: value * 257)
    elif mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
    if mode != "RGB":
        image = image.convert(mode)
    image.save(path, image_format, **how)


if __name__ == "__main__":
    main()
