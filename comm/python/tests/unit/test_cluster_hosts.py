"""The block in the hosts file: what is written, what is left alone, what is refused and how it is said."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pl.cluster import hosts
from pl.cluster.hosts import LOOPBACK
from pl.errors import HostsUnwritable

OURS = "hmlet-local-3f2a1c"
NAMES = {"hmlet.photos.local": LOOPBACK, "hmlet.minio.local": LOOPBACK}
BEFORE = b"127.0.0.1\tlocalhost # the machine\n\n::1 ip6-localhost\r\n10.0.0.9 intranet"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "hosts"
    file.write_bytes(BEFORE)
    return file


def test_both_loopback_addresses_are_given_to_each_name(file: Path) -> None:
    assert hosts.add(NAMES, owner=OURS, file=file)
    assert file.read_bytes().startswith(BEFORE)
    lines = file.read_text().splitlines()
    assert lines[-4:-1][1:] == [
        "127.0.0.1 hmlet.photos.local hmlet.minio.local",
        "::1 hmlet.photos.local hmlet.minio.local",
    ]
    assert hosts.missing(NAMES, file=file) == []


def test_adding_twice_writes_nothing(file: Path) -> None:
    hosts.add(NAMES, owner=OURS, file=file)
    seen = file.stat()
    assert not hosts.add(NAMES, owner=OURS, file=file)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (seen.st_ino, seen.st_mtime_ns)


def test_other_addresses_take_the_place_of_those_before(file: Path) -> None:
    hosts.add(NAMES, owner=OURS, file=file)
    hosts.add({"hmlet.photos.local": ("192.0.2.7",)}, owner=OURS, file=file)
    text = file.read_text()
    assert "192.0.2.7 hmlet.photos.local\n" in text
    assert "::1 hmlet" not in text
    assert text.count("# plasma begin") == 1


def test_stages_have_blocks_of_their_own(file: Path) -> None:
    other = "hmlet-local-3f2a1cd"
    hosts.add(NAMES, owner=OURS, file=file)
    hosts.add({"hmlet.photos.test": LOOPBACK}, owner=other, file=file)
    assert hosts.remove(owner=OURS, file=file)
    assert "hmlet.photos.test" in file.read_text()
    assert "hmlet.photos.local" not in file.read_text()
    assert not hosts.remove(owner=OURS, file=file)
    hosts.remove(owner=other, file=file)
    assert file.read_bytes() == BEFORE + b"\n"


_LINES = st.lists(
    st.sampled_from(
        [b"127.0.0.1 localhost", b"", b"# a remark", b"\xff\xfe", b"# plasma begin other-test-1", b"\x85 x"]
    ),
)


@given(lines=_LINES, end=st.sampled_from([b"\n", b"\r\n", b"\r", b""]), more=st.sampled_from([b"", b"1.2.3.4 later\n"]))
def test_what_is_added_and_removed_leaves_every_other_byte(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, more: bytes
) -> None:
    file = tmp_path_factory.mktemp("h") / "hosts"
    before = b"\n".join(lines) + end
    file.write_bytes(before)
    hosts.add(NAMES, owner=OURS, file=file)
    file.write_bytes(file.read_bytes() + more)
    hosts.add({"hmlet.photos.local": ("192.0.2.7",)}, owner=OURS, file=file)
    hosts.remove(owner=OURS, file=file)
    joint = b"\n" if more and before and not before.endswith((b"\n", b"\r")) else b""
    assert file.read_bytes() == before + joint + more


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace(f"# plasma end {OURS}\n", ""), "a begin without its end"),
        (lambda text: text.replace(f"# plasma begin {OURS} (the line before had no end)\n", ""), "an end without"),
        (lambda text: text + f"# plasma begin {OURS}\n# plasma end {OURS}\n", "a second begin"),
        (lambda text: text.replace("::1 hmlet", "# plasma begin other\n::1 hmlet"), "another block within"),
    ],
)
def test_a_damaged_block_is_refused_with_its_line_and_left_as_it_is(
    file: Path, damage: Callable[[str], str], said: str
) -> None:
    hosts.add(NAMES, owner=OURS, file=file)
    file.write_text(damage(file.read_text()), newline="")
    damaged = file.read_bytes()
    acts: list[Callable[[], bool]] = [
        lambda: hosts.add(NAMES, owner=OURS, file=file),
        lambda: hosts.remove(owner=OURS, file=file),
    ]
    for act in acts:
        with pytest.raises(HostsUnwritable, match=rf"line \d+ is {said}") as caught:
            act()
        assert "sudoedit" in caught.value.hint
    assert file.read_bytes() == damaged


def test_a_file_that_cannot_be_replaced_is_written_in_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where it is mounted."""
    inode = file.stat().st_ino

    def busy(_half: Path, _to: Path) -> Path:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    hosts.add(NAMES, owner=OURS, file=file)
    assert file.stat().st_ino == inode
    assert [path.name for path in file.parent.iterdir()] == ["hosts"]
    hosts.remove(owner=OURS, file=file)
    assert file.read_bytes() == BEFORE


def test_a_full_disk_does_not_leave_half_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_half: Path, _to: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(HostsUnwritable, match="No space left"):
        hosts.add(NAMES, owner=OURS, file=file)
    assert file.read_bytes() == BEFORE
    assert [path.name for path in file.parent.iterdir()] == ["hosts"]


def test_mode_stays_and_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(file)
    hosts.add(NAMES, owner=OURS, file=link)
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert b"hmlet" in file.read_bytes()


@pytest.mark.parametrize("had_block", [False, True])
def test_without_permission_the_lines_and_a_command_are_said_and_the_command_does_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had_block: bool
) -> None:
    file.write_bytes(BEFORE + b"\n")
    if had_block:
        hosts.add({"old.local": LOOPBACK}, owner=OURS, file=file)

    opened = Path.open

    def denied(path: Path, mode: str = "r", *rest: object, **named: object) -> object:
        if mode not in ("r", "rb"):
            raise PermissionError(13, "Permission denied")
        return opened(path, mode, *rest, **named)  # type: ignore[call-overload]

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", denied)
        with pytest.raises(HostsUnwritable, match="Permission denied") as caught:
            hosts.add(NAMES, owner=OURS, file=file)
    assert "127.0.0.1 hmlet.photos.local hmlet.minio.local" in caught.value.why
    assert "sudo " in caught.value.hint
    sudo = tmp_path / "bin/sudo"
    sudo.parent.mkdir()
    sudo.write_text('#!/bin/sh\nexec "$@"\n')
    sudo.chmod(0o755)
    path = f"{sudo.parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", caught.value.hint], check=True, env={"PATH": path})
    assert not hosts.add(NAMES, owner=OURS, file=file)
    assert "old.local" not in file.read_text()


def test_names_that_another_line_gives_away_are_pointed_out(file: Path) -> None:
    file.write_bytes(BEFORE + b"\n10.1.1.1 other hmlet.photos.local # mine\n127.0.0.1 hmlet.minio.local\n")
    hosts.add(NAMES, owner=OURS, file=file)
    (remark,) = hosts.conflicts(NAMES, owner=OURS, file=file)
    assert remark.startswith("line 5 of ")
    assert "hmlet.photos.local to 10.1.1.1" in remark
    assert hosts.missing(NAMES, file=file) == ["hmlet.photos.local"]


def test_names_that_lead_nowhere_or_elsewhere_are_missing(file: Path) -> None:
    names = {"localhost": LOOPBACK, "no-such-name.invalid": LOOPBACK, "intranet": LOOPBACK}
    assert hosts.missing(names, file=file) == ["no-such-name.invalid", "intranet"]
