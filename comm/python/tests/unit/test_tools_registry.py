"""tools.toml: what is in ours, and every mistake in a wrong one at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pl.errors import ToolMissing, ToolsInvalid
from pl.tools import registry
from pl.tools.install import known

CHECKOUT = Path(__file__).resolve().parents[4]
DIGEST = "a" * 64


def _mistakes(text: str, *, relative: bool = False) -> tuple[str, ...]:
    with pytest.raises(ToolsInvalid) as raised:
        registry.read(text, "tools.toml", relative=relative)
    return raised.value.mistakes


def test_ours_names_every_tool_on_every_platform_with_something_to_verify_it_by() -> None:
    tools = known(CHECKOUT)
    assert set(tools) == {"kubectl", "helm", "kind", "skaffold", "telepresence", "sops", "age", "age-keygen"}
    assert [tool.name for tool in tools.values() if tool.optional] == ["telepresence"]
    for tool in tools.values():
        assert set(tool.artifacts) == set(registry.PLATFORMS)
        for platform, artifact in tool.artifacts.items():
            assert tool.version in artifact.url
            assert artifact.sha256 or artifact.checksums, f"{tool.name} {platform} could never be verified"
            assert "{" not in artifact.url


def test_a_programs_address_names_its_own_platform() -> None:
    for tool in known(CHECKOUT).values():
        for platform, artifact in tool.artifacts.items():
            system, machine = platform.split("-")
            assert system in artifact.url
            assert machine in artifact.url


def test_all_mistakes_are_named_at_once() -> None:
    found = _mistakes(
        """
        [kind]
        verion = "1"
        linux-amd64 = { url = "http://example.org/kind", sha256 = "abc" }
        [helm]
        version = "1.0"
        optional = "yes"
        linux-amd64 = { url = "https://example.org/helm.tar.gz" }
        darwin-arm64 = { url = "https://example.org/helm", member = "../helm", checksums = { url = "x", form = "md5" } }
        [Sun]
        version = "1.0"
        """
    )
    wanted = (
        "kind.version: must be a version",
        "kind.verion: is not known; version was meant?",
        "kind.linux-amd64.url: must begin with https://",
        "kind.linux-amd64.sha256: must be 64 of 0-9a-f",
        "helm.optional: must be true or false",
        "helm.linux-amd64: is an archive and lacks member",
        "helm.darwin-arm64.member: must be a path inside",
        "helm.darwin-arm64.checksums.form: must be one of bare, lines, github, not 'md5'",
        "Sun: is no name",
        "Sun: has no platform",
    )
    for words in wanted:
        assert any(mistake.startswith(words) for mistake in found), (words, found)
    assert len(found) == len(wanted)


def test_a_tool_that_is_no_table_is_a_mistake() -> None:
    assert any("must be a table" in mistake for mistake in _mistakes("kind = 1"))
    assert "linux-amd64: must be a table" in _mistakes('[kind]\nversion = "1"\nlinux-amd64 = "x"')[0]


def test_what_is_no_toml_is_said_with_its_place() -> None:
    assert "line 2" in _mistakes("\nkind = = 1")[0]


@pytest.mark.parametrize("version", ["../1", "1/2", "", "a b"])
def test_a_version_becomes_part_of_a_path_and_may_hold_none(version: str) -> None:
    text = f'[kind]\nversion = "{version}"\nlinux-amd64 = {{ url = "https://example.org/kind" }}'
    assert _mistakes(text)[0].startswith("kind.version")


@pytest.mark.parametrize("url", ["/etc/passwd", "../kind", "a/../../kind", "file:///kind", "ftp://example.org/kind"])
def test_a_mirrors_address_leads_below_the_mirror_or_to_https(url: str) -> None:
    assert len(_mistakes(f'[kind]\nversion = "1"\nlinux-amd64 = {{ url = "{url}" }}', relative=True)) == 1


def test_only_a_mirror_has_relative_addresses() -> None:
    text = '[kind]\nversion = "1"\nlinux-amd64 = { url = "tools/kind" }'
    assert registry.read(text, "x", relative=True)["kind"].artifacts["linux-amd64"].url == "tools/kind"
    assert len(_mistakes(text)) == 1


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.org/a", True),
        ("http://localhost:8000/a", True),
        ("http://127.0.0.1:1/a", True),
        ("http://[::1]:1/a", True),
        ("http://example.org/a", False),
        ("http://localhost.example.org/a", False),
        ("http://127.0.0.1.example.org/a", False),
        ("http://127.0.0.1@example.org/a", False),
        ("https:///a", False),
        ("https://[", False),
        ("file:///a", False),
    ],
)
def test_only_https_and_this_machine_may_be_fetched_from(url: str, allowed: bool) -> None:
    assert registry.is_allowed(url) is allowed


@pytest.mark.parametrize(
    ("system", "machine", "platform"),
    [
        ("linux", "x86_64", "linux-amd64"),
        ("linux", "aarch64", "linux-arm64"),
        ("darwin", "arm64", "darwin-arm64"),
        ("darwin", "x86_64", "darwin-amd64"),
    ],
)
def test_a_machine_is_one_of_four_platforms(system: str, machine: str, platform: str) -> None:
    assert registry.this_platform(system, machine) == platform


@pytest.mark.parametrize(("system", "machine"), [("linux", "riscv64"), ("win32", "AMD64")])
def test_another_machine_is_told_what_there_is(system: str, machine: str) -> None:
    with pytest.raises(ToolMissing, match=f"{system}-") as raised:
        registry.this_platform(system, machine)
    assert "linux-amd64" in str(raised.value)
    assert "host stage" in str(raised.value)
