"""A real browser on the platform's pages, which tells what went wrong in them and whom they tried to reach."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Route, sync_playwright

from hmlet.env_comm import HmletEnv

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb"),
)
PATIENCE_MS = 15_000


@dataclass
class Visit:
    """A page, what its console complained of (violations of the policy too), and requests that were not let out."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def sign_in(self, env: HmletEnv) -> None:
        """To the admin, with the password that the stage generated."""
        self.page.goto(env.admin_url)
        self.page.fill("#id_username", env.admin_username)
        self.page.fill("#id_password", env.admin_password.reveal())
        self.page.click("input[type=submit]")
        self.page.wait_for_selector("#user-tools")


@contextmanager
def browser() -> Iterator[Browser]:
    """The machine's Chromium. Raises FileNotFoundError when it has none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise FileNotFoundError("no Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield launched
        finally:
            launched.close()


@contextmanager
def visit(
    launched: Browser, env: HmletEnv, *, width: int = 1280, height: int = 800, scale: float = 1
) -> Iterator[Visit]:
    """A page in a profile of its own, from which nothing but the stage can be reached."""
    context = launched.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=scale, locale="en-GB", timezone_id="UTC"
    )
    context.set_default_timeout(PATIENCE_MS)
    made = Visit(page=context.new_page())
    ours = {urlsplit(url).netloc for url in (env.web_url, env.storage_url)}

    def let_out(route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in {"data", "blob", "about"} or parts.netloc in ours:
            route.continue_()
            return
        made.foreign.append(route.request.url)
        route.abort()

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            made.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    context.route("**/*", let_out)
    made.page.on("console", note)
    made.page.on("pageerror", lambda error: made.complaints.append(f"uncaught: {error}"))
    try:
        yield made
    finally:
        context.close()


def undecoded_images(page: Page) -> list[str]:
    """The addresses of images that cannot be shown, once all have been loaded, those out of sight too."""
    script = """async () => {
        const images = [...document.images];
        for (const image of images) { image.loading = 'eager'; await image.decode().catch(() => undefined); }
        return images.filter(image => image.naturalWidth === 0).map(image => image.src);
    }"""
    found: list[str] = page.evaluate(script)
    return found
