#!/usr/bin/env python3
"""How long an upload takes until its thumbnail is ready, against Pillow alone making one.

    hmlet/shell.py host -- python bench/upload.py [ROUNDS]

One client posts a 12 MP JPEG with ``Prefer: wait``; in turns with that, this process makes the same thumbnail of the
same bytes: ``Image.open``, ``thumbnail((128, 128))``, ``save`` as JPEG. Each round's bytes differ, so that no original
answers for another. The photo's other sizes, which nobody waits for, are made before either side is measured again.
Prints medians; the target is a ratio under 3. Ends with 1 when it is missed.
"""

import io
import os
import secrets
import statistics
import sys
import time

from ht.api_clients.photos import Photo, PhotosApiClient
from PIL import Image
from pl.env import current
from pl.project import open_stage

from hmlet.env_comm import HmletEnv
from hmlet.project import PROJECT
from hmlet.tests.accounts import Accounts
from hmlet.tests.pictures import distinct, grainy, jpeg, landscape
from hmlet.users import remove_users

TARGET = 3.0
SIZE = (4000, 3000)
BOX = (128, 128)
SIZES = 4
WARM_UPS = 5


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    env = current(HmletEnv)
    stage = open_stage(PROJECT, env, print)
    image = jpeg(grainy(landscape(1, SIZE), 1, strength=6))
    names: list[str] = []
    with Accounts(env, stage, names) as accounts:
        client = accounts.new().client
        for _ in range(WARM_UPS):
            uploaded_ms(client, image), pillow_ms(image)
        times = [(uploaded_ms(client, image), pillow_ms(image)) for _ in range(rounds)]
    remove_users(stage, names)
    uploads, pillows = (sorted(column) for column in zip(*times, strict=True))
    ratio = statistics.median(uploads) / statistics.median(pillows)
    picture = f"JPEG of {SIZE[0]}×{SIZE[1]} and {len(image) / 1e6:.1f} MB"
    print(f"{rounds} rounds in turns, {picture}, {os.cpu_count()} cores, ms")
    for name, taken in (("upload to thumbnail", uploads), ("Pillow alone", pillows)):
        p90 = taken[int(len(taken) * 0.9)]
        print(f"  {name:20} p50 {statistics.median(taken):6.1f}   p90 {p90:6.1f}   fastest {taken[0]:6.1f}")
    print(f"  ratio {ratio:.2f} (target under {TARGET:g}), of the fastest {uploads[0] / pillows[0]:.2f}")
    sys.exit(ratio >= TARGET)


def uploaded_ms(client: PhotosApiClient, image: bytes) -> float:
    """From the call to the answer that has the thumbnail's address."""
    name = secrets.token_hex(8)
    content = distinct(image, name)
    began = time.perf_counter()
    photo = client.photos.create(Photo(name=name, image=content), wait_s=10)
    took = time.perf_counter() - began
    assert photo.status == "ready", photo.status
    _await_other_sizes(client, photo)
    return took * 1000


def _await_other_sizes(client: PhotosApiClient, photo: Photo) -> None:
    deadline = time.monotonic() + 30
    while len(client.photos.get(photo).thumbnails) < SIZES:
        assert time.monotonic() < deadline, "the other sizes are not made"
        time.sleep(0.1)


def pillow_ms(image: bytes) -> float:
    began = time.perf_counter()
    with Image.open(io.BytesIO(image)) as opened:
        opened.thumbnail(BOX)
        opened.save(io.BytesIO(), "JPEG")
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
