"""Names, captions and tags."""

import pytest
from gallery.text import caption_clean, tags_parse


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("", []),
        ("no tags", []),
        ("#one #two", ["one", "two"]),
        ("#One and #ONE", ["one"]),
        ("#Straße #STRASSE", ["strasse"]),
        ("#été, #e\u0301te\u0301.", ["été"]),
        ("#日本語 #हिन्दी #русский", ["日本語", "हिन्दी", "русский"]),
        ("C# a#b x/#c &#39; ##", []),
        ("(#a) #b! #c_d #e-f", ["a", "b", "c_d", "e"]),
        ("#" + "x" * 51, []),
        (" ".join(f"#t{n}" for n in range(40)), [f"t{n}" for n in range(30)]),
    ],
)
def test_tags_are_parsed_from_a_caption(caption: str, tags: list[str]) -> None:
    assert tags_parse(caption) == tags


def test_captions_keep_their_lines_and_lose_nothing_else() -> None:
    assert caption_clean(" a\r\nb\tc ") == "a\nb\tc"
    with pytest.raises(ValueError, match="control"):
        caption_clean("a\0b")
    with pytest.raises(ValueError, match="2001"):
        caption_clean("x" * 2001)
