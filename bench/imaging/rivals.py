"""Other programs that encode, scale and compare images, behind functions: sharp, libvips, pixelmatch, odiff, SSIM."""

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from imaging.diff_align import Pixels
from numpy.typing import NDArray
from PIL import Image

from bench.imaging.tools import HERE, NODE

Mask = NDArray[np.uint8]
"""Height × width, 255 where the program says that something changed."""

_LENGTH = struct.Struct(">I")


class RivalFailed(Exception):
    """What the other program said."""


class Node:
    """One process that does what sharp and pixelmatch are asked for."""

    def __init__(self) -> None:
        argv = ["node", str(HERE / "rivals.mjs"), str(NODE)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, work: str, body: bytes = b"", **asked: Any) -> tuple[dict[str, Any], bytes]:
        """What it tells, with the processor time as ``cpu_ms``, and the bytes that it made. Raises RivalFailed."""
        sending, hearing = self._process.stdin, self._process.stdout
        assert sending
        assert hearing
        head = json.dumps({"work": work, "bytes": len(body), **asked}).encode()
        sending.write(_LENGTH.pack(len(head)) + head + body)
        sending.flush()
        told = json.loads(hearing.read(_LENGTH.unpack(hearing.read(_LENGTH.size))[0]))
        answer = hearing.read(told["bytes"])
        if "error" in told:
            raise RivalFailed(told["error"])
        return told, answer

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def sharp_jpeg(node: Node, pixels: Pixels, **options: Any) -> bytes:
    """As sharp encodes; ``options`` are those of its jpeg()."""
    height, width = pixels.shape[:2]
    return node.ask("encode", pixels.tobytes(), width=width, height=height, options=options)[1]


def vips_jpeg(pixels: Pixels, **options: Any) -> bytes:
    """As libvips encodes; ``options`` are those of its jpegsave."""
    import pyvips

    height, width = pixels.shape[:2]
    image = pyvips.Image.new_from_memory(pixels.tobytes(), width, height, 3, "uchar")
    return bytes(image.copy(interpretation="srgb").jpegsave_buffer(**options))


def pixelmatch_mask(node: Node, before: Pixels, after: Pixels) -> Mask:
    """By pixelmatch, at its usual threshold of 0.1."""
    height, width = before.shape[:2]
    opaque = np.full((height, width, 1), 255, np.uint8)
    body = b"".join(np.concatenate((pixels, opaque), axis=2).tobytes() for pixels in (before, after))
    answer = node.ask("pixelmatch", body, width=width, height=height)[1]
    return np.frombuffer(answer, np.uint8).reshape(height, width)


def odiff_mask(before: Pixels, after: Pixels, folder: Path) -> Mask:
    """By odiff with --aa, at its usual threshold of 0.1, over PNG files in ``folder``."""
    one, other, mask = (folder / name for name in ("before.png", "after.png", "mask.png"))
    for path, pixels in ((one, before), (other, after)):
        Image.fromarray(pixels).save(path, compress_level=1)
    mask.unlink(missing_ok=True)
    argv = [str(NODE / "node_modules/@odiff/linux-x64/odiff"), str(one), str(other), str(mask), "--diff-mask", "--aa"]
    status = subprocess.run(argv, capture_output=True, check=False)
    if status.returncode not in {0, 22}:
        raise RivalFailed(status.stderr.decode() or status.stdout.decode())
    if not mask.exists():
        return np.zeros(before.shape[:2], np.uint8)
    alpha = np.asarray(Image.open(mask).convert("RGBA"))[..., 3]
    return np.where(alpha > 0, np.uint8(255), np.uint8(0))


def ssim_mask(before: Pixels, after: Pixels) -> Mask:
    """By scikit-image's structural similarity, as tutorials use it: below a half it is a change."""
    from skimage.metrics import structural_similarity

    grey = [np.asarray(Image.fromarray(pixels).convert("L")) for pixels in (before, after)]
    _, alike = structural_similarity(*grey, full=True, data_range=255)
    return np.where(alike < 0.5, np.uint8(255), np.uint8(0))
