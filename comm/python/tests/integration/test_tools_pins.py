"""pl.lock --tools: what vendors publish is recorded in the tracked file, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pl.errors import LockFailed
from pl.tools import pins, registry
from vendors import QUICK, Place, Vendor, digest, script, vendor

CHECKOUT = Path(__file__).resolve().parents[4]
A, B = script("amd64"), script("arm64")


@pytest.fixture
def server() -> Iterator[Vendor]:
    with vendor() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path, server: Vendor) -> Place:
    """A tool of two platforms, one with an outdated checksum, and a tool that nobody vouches for; with comments."""
    found = Place(tmp_path / "checkout")
    server.files["/sums"] = f"{digest(A)}  moon-a\n{digest(B)}  moon-b\n".encode()
    found.tools(
        f"""# The head.
[moon]
version = "1.0"
checksums = {{ url = "{server.url}/sums", form = "lines" }}
linux-amd64 = {{ url = "{server.url}/moon-a" }}  # the common one
linux-arm64 = {{ sha256 = "{digest(A)}", url = "{server.url}/moon-b" }}

[sun]   # without checksums
version = "1.0"
linux-amd64 = {{ url = "{server.url}/moon-a" }}
"""
    )
    return found


def _text(place: Place) -> str:
    return (place.checkout / registry.FILE).read_text(encoding="utf-8")


def _record(place: Place) -> pins.Pins:
    return pins.record(place.checkout, say=lambda _: None, fetcher=QUICK)


def test_checksums_are_recorded_and_all_else_stays(place: Place, server: Vendor) -> None:
    before = _text(place)
    found = _record(place)
    assert [(each.platform, each.before, each.after) for each in found.recorded] == [
        ("linux-amd64", "", digest(A)),
        ("linux-arm64", digest(A), digest(B)),
    ]
    assert found.without == ("sun linux-amd64",)
    added = f'moon-a", sha256 = "{digest(A)}" }}  # the common one'
    expected = before.replace('moon-a" }  # the common one', added).replace(
        f'"{digest(A)}", url', f'"{digest(B)}", url'
    )
    assert _text(place) == expected
    assert server.times("/sums") == 1, "one file tells of both"
    assert server.times("/moon-a") == 0, "no tool is fetched for it"


def test_a_second_time_there_is_nothing_to_record(place: Place) -> None:
    _record(place)
    once = _text(place)
    assert _record(place).recorded == ()
    assert _text(place) == once


@pytest.mark.parametrize("sums", [None, b"", f"{digest(A)}  moon-a\n".encode()])
def test_when_one_cannot_be_learned_none_is_recorded(place: Place, server: Vendor, sums: bytes | None) -> None:
    before = _text(place)
    if sums is None:
        del server.files["/sums"]
    else:
        server.files["/sums"] = sums
    with pytest.raises(LockFailed, match="cannot be learned") as raised:
        _record(place)
    assert "as it was" in raised.value.hint
    assert _text(place) == before


def test_a_form_that_cannot_be_written_is_said(place: Place, server: Vendor) -> None:
    shared = f'checksums = {{ url = "{server.url}/sums", form = "lines" }}'
    place.tools(f'[moon]\nversion = "1"\n{shared}\n[moon.linux-amd64]\nurl = "{server.url}/moon-a"\n')
    before = _text(place)
    with pytest.raises(LockFailed, match="cannot be written"):
        _record(place)
    assert _text(place) == before


def test_ours_is_in_a_form_that_can_be_written() -> None:
    text = (CHECKOUT / registry.FILE).read_text(encoding="utf-8")
    wanted = {(name, platform): digest(f"{name} {platform}".encode()) for name, platform in _all(text)}
    written = registry.read(pins.with_digests(text, wanted), "x")
    assert {key: written[key[0]].artifacts[key[1]].sha256 for key in wanted} == wanted


def _all(text: str) -> list[tuple[str, str]]:
    return [(name, platform) for name, tool in registry.read(text, "x").items() for platform in tool.artifacts]
