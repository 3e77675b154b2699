#!/usr/bin/env python3
"""Makes the README's pictures in doc/images/, of a throw-away stage with sample photos.

    ./shell.py -- python doc/screenshots.py

Needs Chromium. The client's session is the README's: its lines are run, and what they print is what is shown.
"""

from __future__ import annotations

import code
import contextlib
import io
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from pl import proc
from pl.env import current
from pl.throwaway import ThrowAway

if TYPE_CHECKING:
    from ht.api_clients.photos import PhotosApiClient
    from playwright.sync_api import Browser, Page

    from hmlet.env_comm import HmletEnv

CHECKOUT = Path(__file__).resolve().parents[1]
IMAGES = CHECKOUT / "doc/images"
BYTES_MAX = 250_000
STAGE = "hmlet/host"
PHOTOS = {
    "ann": (
        ("Sunrise", "Over the #alps, 5:40", 1, (1600, 1200), False),
        ("Violet hour", "#evening over the ridge", 3, (1600, 1200), False),
        ("Amber", "Dust in the air #desert", 5, (1200, 1600), False),
        ("Not sure about this one", "Too much #pink?", 7, (1600, 1067), True),
        ("Haze", "", 9, (2000, 900), False),
    ),
    "ben": (
        ("Last light", "#evening in the #alps", 10, (1600, 1200), False),
        ("Morning walk", "#forest", 6, (1600, 1067), False),
        ("Cold front", "", 4, (1024, 768), True),
    ),
}


def main() -> None:
    if "--inside" in sys.argv:
        make_pictures()
        return
    with ThrowAway(CHECKOUT, say=print) as place:
        place.deployed(STAGE)
        argv = (*place.shell(STAGE), "python", str(Path(__file__).resolve()), "--inside")
        status = proc.attach(argv, env=place.environ())
    sys.exit(status)


def make_pictures() -> None:
    """In the shell of a stage that nobody else uses."""
    from pl.project import open_stage

    from hmlet.env_comm import HmletEnv
    from hmlet.project import PROJECT
    from hmlet.tests import chromium
    from hmlet.users import ensure_user

    env = current(HmletEnv)
    stage = open_stage(PROJECT, env, print)
    passwords = {name: os.urandom(12).hex() for name in PHOTOS}
    for name, password in passwords.items():
        ensure_user(stage, name, password)
    for name in PHOTOS:
        post_photos(env, name, passwords[name])
    session = run_session((CHECKOUT / "README.rst").read_text(encoding="utf-8"))
    IMAGES.mkdir(exist_ok=True)
    with chromium.browser() as browser:
        with chromium.visit(browser, env, width=1320, height=800) as visit:
            visit.sign_in(env)
            picture_photos(visit.page, env)
            picture_docs(visit.page, env)
        picture_session(browser, env, session)
    for file in sorted(IMAGES.glob("*.png")):
        shrink(file)
        sys.stdout.write(f"{file.relative_to(CHECKOUT)}: {file.stat().st_size // 1000} kB\n")


def post_photos(env: HmletEnv, username: str, password: str) -> None:
    from ht.api_clients.photos import Photo, PhotosApiClient

    from hmlet.tests.pictures import jpeg, landscape

    with PhotosApiClient(env.web_url, username, password) as client:
        for name, caption, seed, size, draft in PHOTOS[username]:
            image = jpeg(landscape(seed, size))
            client.photos.create(Photo(name=name, caption=caption, draft=draft, image=image), wait_s=10)
        if username == "ben":
            post_broken(client)


def post_broken(client: PhotosApiClient) -> None:
    from ht.api_clients.photos import Photo

    from hmlet.tests.pictures import photo_bytes

    client.photos.create(Photo(name="Copied too early", image=photo_bytes(8, (1600, 1200))[:-9000]), wait_s=10)


def run_session(readme: str) -> str:
    """The first Python in the README with what it prints, as an interactive Python shows it. Raises SystemExit."""
    block = readme.partition(".. code-block:: python\n")[2].partition("\n.. ")[0]
    console = code.InteractiveConsole()
    shown = []
    for line in filter(None, textwrap.dedent(block).splitlines()):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            console.push(line)
        shown += [f">>> {line}", *printed.getvalue().splitlines()]
    if any(line.startswith("Traceback") for line in shown):
        raise SystemExit("\n".join(["the README's session does not work:", *shown]))
    return "\n".join(shown)


def picture_photos(page: Page, env: HmletEnv) -> None:
    from hmlet.tests.chromium import undecoded_images

    page.goto(f"{env.admin_url}gallery/photo/")
    undecoded_images(page)
    page.screenshot(path=IMAGES / "admin-photos.png")
    page.locator("#result_list tbody a", has_text="Last light").click()
    page.wait_for_selector(".field-image img")
    undecoded_images(page)
    page.screenshot(path=IMAGES / "admin-photo.png")


def picture_docs(page: Page, env: HmletEnv) -> None:
    page.goto(env.docs_url)
    page.wait_for_selector(".opblock")
    page.screenshot(path=IMAGES / "docs.png")


def picture_session(browser: Browser, env: HmletEnv, session: str) -> None:
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import PythonConsoleLexer  # type: ignore[import-untyped]

    from hmlet.tests import chromium

    inner = highlight(session, PythonConsoleLexer(), HtmlFormatter(style="github-dark", noclasses=True, wrapcode=True))
    with chromium.visit(browser, env, width=1200, height=600) as visit:
        visit.page.set_content(TERMINAL.replace("SESSION", inner))
        visit.page.locator(".terminal").screenshot(path=IMAGES / "client-session.png", omit_background=True)


TERMINAL = """<!doctype html>
<style>
  body { margin: 0; background: transparent }
  .terminal { display: inline-block; background: #0d1117; border-radius: 8px; padding: 2.2em 1.2em 1em; min-width: 60em;
              position: relative; font: 15px/1.45 "DejaVu Sans Mono", monospace }
  .terminal::before { content: "●●●"; position: absolute; top: .35em; left: 1em; color: #5c6370; letter-spacing: .3em }
  .highlight { background: none !important } pre { margin: 0 !important; white-space: pre-wrap; font: inherit }
</style>
<div class="terminal">SESSION</div>
"""


def shrink(file: Path) -> None:
    """Fewer colours, if the file is too large for a README."""
    from PIL import Image

    with Image.open(file) as opened:
        image: Image.Image = opened.copy()
    if file.stat().st_size > BYTES_MAX:
        image = image.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    image.save(file, optimize=True)
    if file.stat().st_size > BYTES_MAX:
        raise SystemExit(f"{file.name} has {file.stat().st_size} bytes; {BYTES_MAX} are allowed")


if __name__ == "__main__":
    main()
