"""A mirror takes the place of upstream, whole, and says all that it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from pl.errors import FetchFailed, MirrorUnusable, ToolMissing
from pl.tools import registry, sources

A, B = "a" * 64, "b" * 64
P = "linux-amd64"
OURS = registry.read(
    f"""
    [kind]
    version = "1.0"
    {P} = {{ url = "https://example.org/kind", sha256 = "{A}" }}
    [helm]
    version = "2.0"
    {P} = {{ url = "https://example.org/helm" }}
    [tele]
    version = "3.0"
    optional = true
    {P} = {{ url = "https://example.org/tele" }}
    """,
    "ours",
)


def _mirrored(text: str, mirror: str = "/mirror") -> sources.Offers:
    asked: list[str] = []

    def read(place: str | Path) -> str:
        asked.append(str(place))
        return text

    offers = sources.mirrored(mirror, OURS, P, read)
    assert [place.rpartition("/")[2] for place in asked] == ["tools.toml"]
    return offers


def _mirror(kind: str = "1.0", helm: str = "2.0", more: str = "") -> str:
    return (
        f'[kind]\nversion = "{kind}"\n{P} = {{ url = "t/kind", sha256 = "{B}" }}\n'
        f'[helm]\nversion = "{helm}"\n{P} = {{ url = "https://other.org/helm", sha256 = "{B}" }}\n{more}'
    )


def test_a_directory_gives_files_and_its_own_checksums() -> None:
    offers = _mirrored(_mirror())
    assert offers.tools["kind"].place == Path("/mirror/t/kind")
    assert offers.tools["kind"].sha256 == B
    assert offers.tools["helm"].place == "https://other.org/helm"
    assert offers.lacking == ("tele",)


@pytest.mark.parametrize("mirror", ["https://m.org/a", "https://m.org/a/", "https://m.org/a/tools.toml"])
def test_an_address_gives_addresses_below_it(mirror: str) -> None:
    assert _mirrored(_mirror(), mirror).tools["kind"].place == "https://m.org/a/t/kind"


def test_another_version_is_refused_and_both_are_named() -> None:
    with pytest.raises(MirrorUnusable) as raised:
        _mirrored(_mirror(kind="1.1", helm="1.9"))
    assert "kind: version 1.1 is there, and comm/tools.toml wants 1.0" in raised.value.why
    assert "helm: version 1.9 is there" in raised.value.why


def test_an_optional_tool_of_another_version_is_refused_too() -> None:
    with pytest.raises(MirrorUnusable, match="does not hold"):
        _mirrored(_mirror(more=f'[tele]\nversion = "9"\n{P} = {{ url = "t/tele", sha256 = "{B}" }}'))


def test_a_missing_platform_is_an_error_unless_the_tool_is_optional() -> None:
    text = _mirror(more=f'[tele]\nversion = "3.0"\ndarwin-arm64 = {{ url = "t/tele", sha256 = "{B}" }}')
    assert _mirrored(text).lacking == ("tele",)
    with pytest.raises(MirrorUnusable, match="does not hold") as raised:
        _mirrored(text.replace(f'{P} = {{ url = "t/kind"', 'darwin-amd64 = { url = "t/kind"'))
    assert "kind: is not there for linux-amd64" in raised.value.why


def test_a_missing_tool_is_an_error() -> None:
    with pytest.raises(MirrorUnusable) as raised:
        _mirrored(f'[kind]\nversion = "1.0"\n{P} = {{ url = "k", sha256 = "{B}" }}')
    assert raised.value.why == "helm: is not there"


@pytest.mark.parametrize("mirror", ["http://m.org/a", "ftp://m.org", "file:///mirror", "http://u:secret@m.org/"])
def test_a_mirror_on_an_open_wire_is_refused(mirror: str) -> None:
    with pytest.raises(MirrorUnusable, match="may be fetched") as raised:
        _mirrored(_mirror(), mirror)
    assert "secret" not in str(raised.value)


def test_a_relative_directory_is_refused_with_the_absolute_one() -> None:
    with pytest.raises(MirrorUnusable) as raised:
        _mirrored(_mirror(), "m")
    assert raised.value.hint == f"PL_MIRROR={Path.cwd() / 'm'}"


def test_an_unreadable_or_wrong_mirror_is_said() -> None:
    def read(place: str | Path) -> str:
        raise FetchFailed(f"{place} cannot be read")

    with pytest.raises(MirrorUnusable, match="cannot be used") as raised:
        sources.mirrored("/mirror", OURS, P, read)
    assert "/mirror/tools.toml cannot be read" in raised.value.why
    with pytest.raises(MirrorUnusable, match="cannot be used"):
        _mirrored("[kind")


def test_upstream_must_have_every_tool_that_is_needed() -> None:
    assert sources.upstream(OURS, P).tools["kind"].place == "https://example.org/kind"
    with pytest.raises(ToolMissing, match="kind, helm for darwin-arm64"):
        sources.upstream(OURS, "darwin-arm64")


def test_a_password_in_an_address_is_never_shown() -> None:
    assert sources.shown("https://u:secret@m.org/a?token=secret#secret") == "https://m.org/a"
