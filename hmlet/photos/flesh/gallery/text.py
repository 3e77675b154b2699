"""What a name and a caption may hold, and the tags in a caption. Pure functions."""

import re
import unicodedata

NAME_MAX = 150
CAPTION_MAX = 2000
TAG_MAX = 50
TAGS_MAX = 30

DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They make ``gpj.exe`` read ``exe.jpg``. Letters of right-to-left scripts need none of them in a name."""

_before_tag = re.compile(r"[\w&/]")


def name_clean(value: str) -> str:
    """A photo's name in NFC, without space around it. Raises ValueError with what to change."""
    name = unicodedata.normalize("NFC", value).strip()
    if not name:
        raise ValueError("Give the photo a name.")
    if len(name) > NAME_MAX:
        raise ValueError(f"The name has {len(name)} characters; {NAME_MAX} are allowed.")
    if any(character in DIRECTION_MARKS for character in name):
        raise ValueError("The name holds an invisible mark that turns the direction of writing. Remove it.")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        raise ValueError("The name holds a control character, such as a line break or NUL. Remove it.")
    return name


def caption_clean(value: str) -> str:
    """A caption in NFC, with plain line ends. Raises ValueError with what to change."""
    caption = unicodedata.normalize("NFC", value).replace("\r\n", "\n").strip()
    if len(caption) > CAPTION_MAX:
        raise ValueError(f"The caption has {len(caption)} characters; {CAPTION_MAX} are allowed.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t" for character in caption):
        raise ValueError("The caption holds a control character, such as NUL. Remove it.")
    return caption


def tags_parse(caption: str) -> list[str]:
    """The ``#tags`` of a caption: folded, each once, in order. Letters, digits, marks and ``_`` of any script."""
    tags: dict[str, None] = {}
    for position, character in enumerate(caption):
        if character == "#" and not (position and _before_tag.match(caption[position - 1])):
            tag = tag_fold(_run_of_tag_characters(caption, position + 1))
            if tag and len(tag) <= TAG_MAX:
                tags[tag] = None
    return list(tags)[:TAGS_MAX]


def tag_fold(tag: str) -> str:
    """The form in which tags are compared."""
    return unicodedata.normalize("NFC", tag.casefold())


def _run_of_tag_characters(text: str, start: int) -> str:
    end = start
    while end < len(text) and (text[end] in "_\u200c\u200d" or unicodedata.category(text[end])[0] in "LNM"):
        end += 1
    return text[start:end]
