"""Walks the platform as somebody: follows every address, submits every harmless form, keeps all that it was shown."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import io
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urldefrag, urlencode, urljoin, urlsplit

import requests
from PIL import Image

from hmlet.tests.web import Web

VISITS_MAX = 600
PER_SHAPE = 2
"""Of pages that differ in an id or a filter's value alone, so many are visited; those about our photos all, and all of
their renditions."""
COMBINED_MAX = 2
"""A list can be filtered by everything at once; more of that than this shows nothing new."""
_LEFT_ALONE = ("logout", "password")
_CHANGES_NOTHING_EMPTY = "/admin/auth/"
"""Users and groups are not ours to change: their forms are sent without what they require, and come back."""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
WORD_MIN = 6
_WORD = re.compile(rf"[\w\-./%+~@:]{{{WORD_MIN},}}")
_DRAWN_ANEW = re.compile(
    r"""X-Request-ID: \S+|"request_id":\s*"[^"]*"|name="csrfmiddlewaretoken" value="[^"]*"|csrftoken=\S+""",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A photo that was posted, and the bytes that nobody may get back."""

    photo_id: str
    image: bytes = field(repr=False)
    size: tuple[int, int]
    key: str = field(repr=False)
    """Of the original in its bucket, which nobody may be told."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An answer, to whom and for what."""

    to: str
    asked: str
    status: int
    headers: str = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


def given_away(shown: Shown, exhibits: Iterable[Exhibit]) -> list[str]:
    """What of an original's bytes or pixels the answer holds, in words; nothing for most."""
    found = []
    digest = hashlib.sha256(shown.content).digest()
    size = _decoded_size(shown.content)
    for exhibit in exhibits:
        part = exhibit.image[len(exhibit.image) // 2 :][:48]
        if digest == hashlib.sha256(exhibit.image).digest():
            found.append("the original's bytes")
        elif part in shown.content or any(base64.b64encode(part[i : i + 45]) in shown.content for i in range(3)):
            found.append("a part of the original's bytes")
        if size in {exhibit.size, exhibit.size[::-1]}:
            found.append("an image of the original's size")
    return [f"{leak} to {shown.to} by {shown.asked}" for leak in found]


def told(shown: Shown, exhibits: Iterable[Exhibit]) -> list[str]:
    """Keys of originals, or most of one, that the answer names."""
    text = f"{shown.headers}\n{shown.text}"
    parts = {part for exhibit in exhibits for part in (exhibit.key, exhibit.key.partition("/")[2].partition(".")[0])}
    return [f"the original's key to {shown.to} by {shown.asked}" for part in parts if part in text]


class Walk:
    """One visitor's walk. ``web`` is signed in as ``visitor``, or as nobody; ``ours`` are our photos' ids, and
    ``pictures`` how the paths of their renditions begin."""

    def __init__(
        self, web: Web, visitor: str, *, storage_url: str, ours: Iterable[str], pictures: Iterable[str]
    ) -> None:
        self.shown: list[Shown] = []
        self._web = web
        self._visitor = visitor
        self._storage_url = storage_url
        self._foreign = Web(storage_url)
        self._ours = tuple(ours)
        self._pictures = tuple(pictures)
        self._seen: set[str] = set()
        self._shapes: Counter[str] = Counter()
        self._waiting: deque[str] = deque()

    def ask(self, method: str, url: str, **options: object) -> Shown:
        """Send one request, keep its answer, and remember the addresses in it."""
        url = urljoin(self._web.base_url, url)
        session = self._web if url.startswith(self._web.base_url) else self._foreign
        answer = session.request(method, url, **options)
        shown = shown_of(self._visitor, answer)
        self.shown.append(shown)
        for address in sorted(addresses_in(shown)):
            self._consider(urljoin(url, address))
        return shown

    def follow(self, starts: Iterable[str]) -> None:
        """Visit these addresses and all that they lead to."""
        for start in starts:
            self._consider(urljoin(self._web.base_url, start))
        while self._waiting:
            assert len(self._seen) < VISITS_MAX, f"{self._visitor}: the walk does not end: {list(self._waiting)[:20]}"
            url = self._waiting.popleft()
            shown = self.ask("GET", url)
            for form in forms_in(shown):
                self._submit(url, form)

    def _consider(self, url: str) -> None:
        url = urldefrag(url).url
        if not url.startswith((self._web.base_url, self._storage_url)) or url in self._seen:
            return
        parts = urlsplit(url)
        if any(word in parts.path for word in _LEFT_ALONE):
            return
        names = sorted(name for name, _ in parse_qsl(parts.query))
        shape = f"{_ID.sub('#', parts.path)}?{'&'.join(names)}"
        combined = len(names) > COMBINED_MAX and url.startswith(self._web.base_url)
        # Whatever else is on the stage, and however many renditions a photo has.
        ours = any(one in parts.path for one in self._ours) and not names
        picture = url.startswith(self._storage_url) and parts.path.startswith(self._pictures)
        if not (ours or picture) and (combined or self._shapes[shape] >= PER_SHAPE):
            return
        self._shapes[shape] += 1
        self._seen.add(url)
        self._waiting.append(url)

    def _submit(self, url: str, form: Form) -> None:
        target = urljoin(url, form.action or url)
        path = urlsplit(target).path
        if not target.startswith(self._web.base_url) or any(word in path for word in (*_LEFT_ALONE, "delete")):
            return
        if form.method == "get":
            self._consider(f"{target.partition('?')[0]}?{urlencode(form.fields)}")
            return
        signature = f"{path} {sorted(form.fields)}"
        if signature in self._seen:
            return
        self._seen.add(signature)
        variants = form.emptied() if path.startswith(_CHANGES_NOTHING_EMPTY) else form.variants(self._ours)
        for fields in variants:
            self.ask("POST", target, data=fields, headers={"Referer": url})


@dataclass
class Form:
    """A form of a page, with the values that it comes with, and what a select offers besides."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)

    def emptied(self) -> Iterator[dict[str, str | list[str]]]:
        """The token alone."""
        yield {name: value for name, value in self.fields.items() if name == "csrfmiddlewaretoken"}

    def variants(self, selected: Iterable[str]) -> Iterator[dict[str, str | list[str]]]:
        """As it is, and for a list's form once with each action, on these rows. No confirmation is among them."""
        if "action" not in self.options:
            yield {name: value for name, value in self.fields.items() if name != "post"}
            return
        for action in self.options["action"]:
            yield {**self.fields, "action": action, "_selected_action": list(selected), "index": "0"}


def shown_of(visitor: str, answer: requests.Response) -> Shown:
    cookies = "\n".join(f"{cookie.name}={cookie.value}" for cookie in answer.cookies)
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    asked = f"{answer.request.method} {answer.request.url}"
    return Shown(
        to=visitor, asked=asked, status=answer.status_code, headers=f"{headers}\n{cookies}", content=answer.content
    )


def addresses_in(shown: Shown) -> set[str]:
    """Everything in an answer that is an address, or looks like one."""
    found = {
        line.partition(": ")[2] for line in shown.headers.splitlines() if line.startswith(("Location: ", "Link: "))
    }
    if _is_static(shown):
        return found
    page = _Page(shown.text) if "<" in shown.text[:200] else None
    if page is not None:
        found |= page.addresses
    found |= {text for text in _json_strings(shown.text) if text.startswith(("http://", "https://", "/"))}
    found |= set(re.findall(r"""["'](https?://[^"'\s<>]+)""", shown.text))
    return {address.strip("<>; ") for address in found}


def forms_in(shown: Shown) -> list[Form]:
    return _Page(shown.text).forms if "text/html" in shown.headers else []


def words_in(shown: Shown) -> set[str]:
    """Every string that might be an address, a key or a part of one. What is drawn anew for each answer is none."""
    if _is_static(shown):
        return set()
    text = _DRAWN_ANEW.sub("", f"{shown.headers}\n{shown.text}")
    found = set(_WORD.findall(text)) | set(_WORD.findall(unquote(text)))
    for address in addresses_in(shown):
        parts = urlsplit(address)
        found |= {parts.path, parts.path.rpartition("/")[2]}
        found |= {value for _, value in parse_qsl(parts.query)}
    return {word.strip("/.:") for word in found if len(word) >= WORD_MIN}


def _is_static(shown: Shown) -> bool:
    return "/static/" in shown.asked or "image/" in shown.headers


class _Page(html.parser.HTMLParser):
    """The addresses and forms of an HTML page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: set[str] = set()
        self.forms: list[Form] = []
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name, value in given.items():
            if name in {"href", "src", "action", "srcset", "poster", "content"} or name.startswith("data-"):
                if name not in {"content"} and not name.startswith("data-"):
                    self.addresses.add(value.split(" ")[0])
                elif value.startswith(("/", "http")):
                    self.addresses.add(value)
        if tag == "form":
            self.forms.append(Form(action=given.get("action", ""), method=given.get("method", "get").lower()))
        elif self.forms:
            self._field(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""

    def _field(self, tag: str, given: dict[str, str]) -> None:
        form, name = self.forms[-1], given.get("name", "")
        unchecked = given.get("type") in {"checkbox", "radio"} and "checked" not in given
        if tag == "select":
            self._select = name
            form.options[name] = []
        elif tag == "option" and self._select:
            form.options[self._select].append(given.get("value", ""))
            if "selected" in given:
                form.fields[self._select] = given.get("value", "")
        elif tag in {"input", "textarea"} and name and not unchecked and not name.startswith("_"):
            form.fields[name] = given.get("value", "on" if given.get("type") == "checkbox" else "")


def _json_strings(text: str) -> Iterator[str]:
    try:
        waiting = [json.loads(text)]
    except ValueError:
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _decoded_size(content: bytes) -> tuple[int, int] | None:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except Exception:  # noqa: BLE001 - whatever Pillow makes of a page
        return None
