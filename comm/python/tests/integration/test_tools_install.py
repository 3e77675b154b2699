"""Tools come from a real web server into .deps: whole and verified, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pl.errors import (
    ArchiveUnusable,
    ChecksumWrong,
    FetchFailed,
    Interrupted,
    MirrorUnusable,
    PlError,
    StepsFailed,
    ToolMissing,
    ToolUnverified,
)
from pl.tools import install as tools_install
from pl.tools.fetch import Fetcher
from pl.tools.shelf import Shelf
from vendors import (
    PLATFORM,
    QUICK,
    Handler,
    Place,
    Vendor,
    Watching,
    digest,
    packed,
    script,
    sha,
    table,
    vendor,
    wait_for,
)

MOON = script("moon 1.0", 900_000)
SUN = script("sun 1.0")


@pytest.fixture
def server() -> Iterator[Vendor]:
    with vendor() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "checkout")


def _said(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


def _moon(place: Place, server: Vendor, content: bytes = MOON, *, recorded: bytes | None = None) -> None:
    """A checkout that wants one tool, and a server that has it."""
    server.files["/moon"] = content
    place.tools(table("moon", f"{server.url}/moon", more=sha(content if recorded is None else recorded)))


def _failure(place: Place, name: str = "moon", *, mirror: str = "", fetcher: Fetcher = QUICK) -> PlError:
    with pytest.raises(StepsFailed) as raised:
        place.install(mirror, fetcher=fetcher)
    return raised.value.failures[name]


def _old_moon(place: Place, server: Vendor) -> None:
    """Version 0.9 is installed, and 1.0 is wanted."""
    old = script("moon 0.9")
    server.files["/old"] = old
    place.tools(table("moon", f"{server.url}/old", version="0.9", more=sha(old)))
    place.install()
    assert _said(place.program("moon")) == "moon 0.9"


def test_a_tool_is_fetched_once_and_then_nothing_is_asked(place: Place, server: Vendor) -> None:
    _moon(place, server)
    watching = Watching()
    first = place.install(watching=watching)
    assert (first.fetched, first.kept) == (("moon",), ())
    assert watching.ended == {"moon": "1.0"}
    assert watching.bytes["moon"][-1] == (len(MOON), len(MOON))
    assert _said(place.program("moon")) == "moon 1.0"
    assert str(place.program("moon").readlink()) == f"../tools/moon-1.0-{digest(MOON)[:16]}/moon"
    asked = len(server.asked)
    second = place.install()
    assert (second.fetched, second.kept) == ((), ("moon",))
    assert len(server.asked) == asked
    assert place.parts() == []


def test_an_archive_gives_its_programs_and_is_fetched_once_for_both(place: Place, server: Vendor) -> None:
    archive = packed(age__age=script("age"), age__keygen=script("keygen"), age__LICENSE=b"x")
    server.files["/age.tar.gz"] = archive
    both = (
        table(name, f"{server.url}/age.tar.gz", more=sha(archive), shared=f'member = "age/{name}"')
        for name in ("age", "keygen")
    )
    place.tools("".join(both))
    place.install()
    assert (_said(place.program("age")), _said(place.program("keygen"))) == ("age", "keygen")
    assert server.times("/age.tar.gz") == 1
    assert place.executables() == ["age", "age", "keygen", "keygen"], "a program and a link to it, twice"


@pytest.mark.parametrize("form", ["bare", "lines", "github"])
def test_the_vendors_checksum_is_learned_and_kept_out_of_the_tracked_file(
    place: Place, server: Vendor, form: str
) -> None:
    server.files["/moon"] = MOON
    server.files["/moon.sums"] = {
        "bare": digest(MOON).encode(),
        "lines": f"{digest(SUN)}  sun\n{digest(MOON)}  moon\n".encode(),
        "github": json.dumps({"assets": [{"name": "moon", "digest": f"sha256:{digest(MOON)}"}]}).encode(),
    }[form]
    shared = f'checksums = {{ url = "{{url}}.sums", form = "{form}" }}'
    text = table("moon", f"{server.url}/moon", shared=shared)
    place.tools(text)
    place.install()
    assert _said(place.program("moon")) == "moon 1.0"
    assert (place.checkout / "comm/tools.toml").read_text() == text
    assert digest(MOON) in (place.deps / "tools-learned.toml").read_text()
    shutil.rmtree(place.deps / "bin")
    shutil.rmtree(place.deps / "tools")
    server.files["/moon"] = server.files["/moon.sums"] = script("evil")
    assert isinstance(_failure(place), ChecksumWrong), "what was learned once holds from then on"


def test_what_nobody_vouches_for_is_not_even_fetched(place: Place, server: Vendor) -> None:
    server.files["/moon"] = MOON
    place.tools(table("moon", f"{server.url}/moon"))
    error = _failure(place)
    assert isinstance(error, ToolUnverified)
    assert "nothing says what it must be" in error.what
    assert "record its sha256" in error.hint
    assert server.asked == []


def test_a_checksum_file_that_does_not_name_it_verifies_nothing(place: Place, server: Vendor) -> None:
    server.files.update({"/moon": MOON, "/moon.sums": f"{digest(SUN)}  sun".encode()})
    place.tools(table("moon", f"{server.url}/moon", shared='checksums = { url = "{url}.sums", form = "lines" }'))
    assert isinstance(_failure(place), ToolUnverified)
    assert server.times("/moon") == 0


def test_a_wrong_checksum_is_refused_and_the_old_version_stays(place: Place, server: Vendor) -> None:
    _old_moon(place, server)
    _moon(place, server, script("evil"), recorded=MOON)
    error = _failure(place)
    assert isinstance(error, ChecksumWrong)
    assert digest(MOON) in error.why
    assert digest(script("evil")) in error.why
    assert _said(place.program("moon")) == "moon 0.9"
    assert place.parts() == []
    assert "evil" not in "".join(path.read_text() for path in (place.deps / "tools").rglob("moon"))


def test_what_is_not_there_is_said_and_the_other_tools_are_installed(place: Place, server: Vendor) -> None:
    _old_moon(place, server)
    server.files["/sun"] = SUN
    place.tools(table("moon", f"{server.url}/gone", more=sha(MOON)) + table("sun", f"{server.url}/sun", more=sha(SUN)))
    error = _failure(place)
    assert isinstance(error, FetchFailed)
    assert "/gone answered 404" in error.what
    assert "is that version published" in error.hint
    assert _said(place.program("sun")) == "sun 1.0"
    assert _said(place.program("moon")) == "moon 0.9"


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "without ranges"])
def test_a_connection_that_is_cut_is_gone_on_with(place: Place, server: Vendor, ranges: bool) -> None:
    cuts = [300_000, 0]

    def cut(handler: Handler, content: bytes) -> None:
        offset = handler.offset() if ranges else 0
        length = cuts.pop(0)
        body = content[offset : offset + length] if length else content[offset:]
        if offset:
            whole = f"bytes {offset}-{len(content) - 1}/{len(content)}"
            handler.answer(206, body, {"Content-Range": whole}, length=len(content) - offset)
        else:
            handler.answer(200, body, length=len(content))

    _moon(place, server)
    server.misbehaves["/moon"] = cut
    watching = Watching()
    place.install(watching=watching)
    assert _said(place.program("moon")) == "moon 1.0"
    assert [asked for _, asked in server.asked] == ["", "bytes=300000-"]
    assert all(total == len(MOON) for _, total in watching.bytes["moon"])
    assert sum(done <= 256 * 1024 for done, _ in watching.bytes["moon"]) == (1 if ranges else 2), "from the beginning"


def test_a_server_that_gives_less_than_was_asked_for_is_asked_for_the_rest(place: Place, server: Vendor) -> None:
    def piecemeal(handler: Handler, content: bytes) -> None:
        offset = handler.offset()
        if not offset:
            handler.answer(200, content[:100_000], length=len(content))
            return
        end = min(offset + 500_000, len(content))
        handler.answer(206, content[offset:end], {"Content-Range": f"bytes {offset}-{end - 1}/{len(content)}"})

    _moon(place, server)
    server.misbehaves["/moon"] = piecemeal
    place.install()
    assert [asked for _, asked in server.asked] == ["", "bytes=100000-", "bytes=600000-"]
    assert _said(place.program("moon")) == "moon 1.0"


def test_a_download_that_is_cut_again_and_again_fails_and_the_next_run_goes_on(place: Place, server: Vendor) -> None:
    _old_moon(place, server)

    def cut(handler: Handler, content: bytes) -> None:
        offset = handler.offset()
        piece = content[offset : offset + 50_000]
        headers = {"Content-Range": f"bytes {offset}-{len(content) - 1}/{len(content)}"}
        handler.answer(206 if offset else 200, piece, headers if offset else {}, length=len(content) - offset)

    _moon(place, server)
    server.misbehaves["/moon"] = cut
    error = _failure(place)
    assert isinstance(error, FetchFailed)
    assert "was cut" in error.what
    assert "goes on where it stopped" in error.hint
    assert _said(place.program("moon")) == "moon 0.9"
    (part,) = place.parts()
    assert part.read_bytes() == MOON[: QUICK.attempts * 50_000]
    assert not part.stat().st_mode & 0o111
    server.misbehaves.clear()
    place.install()
    assert server.asked[-1] == ("/moon", f"bytes={QUICK.attempts * 50_000}-")
    assert _said(place.program("moon")) == "moon 1.0"


def test_half_of_another_file_is_not_gone_on_with_for_ever(place: Place, server: Vendor) -> None:
    """A part whose rest does not fit: the file is fetched once more from its beginning."""
    _moon(place, server)
    place.install()
    shutil.rmtree(place.deps / "tools")
    part = Shelf(place.deps).part("moon", "1.0", f"{server.url}/moon")
    part.write_bytes(b"x" * 1000)
    place.install()
    assert [asked for _, asked in server.asked] == ["", "bytes=1000-", ""]
    assert _said(place.program("moon")) == "moon 1.0"


@pytest.mark.parametrize("size", [len(MOON), len(MOON) + 10])
def test_a_part_that_is_whole_or_too_long_is_no_dead_end(place: Place, server: Vendor, size: int) -> None:
    _moon(place, server)
    part = Shelf(place.deps).part("moon", "1.0", f"{server.url}/moon")
    part.parent.mkdir(parents=True)
    part.write_bytes((MOON + b"x" * 10)[:size])
    place.install()
    assert _said(place.program("moon")) == "moon 1.0"


def test_a_server_that_falls_silent_is_not_waited_for(place: Place, server: Vendor) -> None:
    over = threading.Event()

    def hang(handler: Handler, content: bytes) -> None:
        handler.answer(200, content[:1000], length=len(content))
        handler.wfile.flush()
        over.wait(30)

    _moon(place, server)
    server.misbehaves["/moon"] = hang
    try:
        error = _failure(place, fetcher=Fetcher(read_timeout_s=0.2, attempts=2, pause_s=0.01))
    finally:
        over.set()
    assert isinstance(error, FetchFailed)
    assert "sent nothing for 0.2 s" in error.what


def test_a_busy_server_is_asked_again(place: Place, server: Vendor) -> None:
    busy = [503, 429]

    def refuse(handler: Handler, content: bytes) -> None:
        handler.answer(busy.pop(0), b"later") if busy else handler.serve(content)

    _moon(place, server)
    server.misbehaves["/moon"] = refuse
    place.install()
    assert server.times("/moon") == 3


def test_a_server_that_is_not_there_is_said_at_once(place: Place, server: Vendor) -> None:
    place.tools(table("moon", "http://127.0.0.1:1/moon", more=sha(MOON)))
    error = _failure(place)
    assert "cannot be reached" in error.what
    assert "Connection refused" in error.why
    assert "PL_MIRROR" in error.hint


def test_a_redirect_is_followed(place: Place, server: Vendor) -> None:
    _moon(place, server)
    server.misbehaves["/moon"] = lambda handler, _: handler.answer(302, b"", {"Location": "/moved"})
    server.files["/moved"] = MOON
    place.install()
    assert _said(place.program("moon")) == "moon 1.0"


@pytest.mark.parametrize(
    ("location", "words"), [("http://example.org/moon", "nothing may be fetched"), ("/moon", "in a circle")]
)
def test_a_redirect_to_an_open_wire_or_to_itself_is_not(
    place: Place, server: Vendor, location: str, words: str
) -> None:
    _moon(place, server)
    server.misbehaves["/moon"] = lambda handler, _: handler.answer(302, b"", {"Location": location})
    assert words in _failure(place).what


@pytest.mark.parametrize(
    "content",
    [b"<html>", packed(other=b"x"), packed(moon=MOON)[:200]],
    ids=["a page", "another program", "cut short"],  # named, because an archive's bytes hold the time
)
def test_an_archive_that_does_not_hold_the_program_is_refused(place: Place, server: Vendor, content: bytes) -> None:
    _old_moon(place, server)
    server.files["/moon.tar.gz"] = content
    place.tools(table("moon", f"{server.url}/moon.tar.gz", more=sha(content) + ', member = "moon"'))
    error = _failure(place)
    assert isinstance(error, ArchiveUnusable)
    assert "tools.toml" in error.hint
    assert _said(place.program("moon")) == "moon 0.9"
    assert not list((place.deps / "tools").glob(".half-*"))


def test_a_full_disk_is_said_and_the_old_version_stays(tmp_path: Path, server: Vendor) -> None:
    """On a real file system of one megabyte, in a mount namespace of its own."""
    small = tmp_path / "small"
    small.mkdir()
    place = Place(small / "checkout")
    server.files.update({"/old": script("moon 0.9"), "/moon": script("moon 1.0", 3_000_000)})
    old = table("moon", f"{server.url}/old", version="0.9", more=sha(server.files["/old"]))
    new = table("moon", f"{server.url}/moon", more=sha(server.files["/moon"]))
    code = f"""
import pathlib, subprocess, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pl.errors import NoSpace, StepsFailed
from vendors import Place
place = Place(pathlib.Path({str(place.checkout)!r}))
place.tools({old!r}); place.install(); place.tools({new!r})
try:
    place.install()
except StepsFailed as error:
    assert isinstance(error.failures["moon"], NoSpace), error
    print(error)
print(subprocess.run([place.program("moon")], capture_output=True, text=True).stdout)
print(place.executables())
"""
    mount = f"mount -t tmpfs -o size=1m none {small}"
    if subprocess.run(["unshare", "-Urm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no user namespaces with mounts: sysctl kernel.unprivileged_userns_clone=1")
    argv = ["unshare", "-Urm", "sh", "-c", f'{mount} && exec "$0" -c "$1"', sys.executable, code]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "no space left" in said
    assert "moon 0.9" in said
    assert "['moon', 'moon']" in said


def test_a_folder_that_cannot_be_written_to_is_said(place: Place, server: Vendor) -> None:
    _moon(place, server)
    place.checkout.joinpath(".deps").write_text("a file where a folder belongs", encoding="utf-8")
    with pytest.raises(FetchFailed, match="nothing can be written"):
        place.install()


def test_a_link_that_cannot_be_made_keeps_no_other_tool_from_its_place(place: Place, server: Vendor) -> None:
    _moon(place, server)
    server.files["/sun"] = SUN
    both = (place.checkout / "comm/tools.toml").read_text() + table("sun", f"{server.url}/sun", more=sha(SUN))
    place.tools(both)
    place.program("moon").mkdir(parents=True)
    error = _failure(place)
    assert "nothing can be written" in error.what
    assert _said(place.program("sun")) == "sun 1.0"


def test_ctrl_c_ends_downloads_and_the_next_run_goes_on(place: Place, server: Vendor) -> None:
    _moon(place, server)
    interrupted = threading.Event()
    interrupted.set()
    assert isinstance(_failure(place, fetcher=Fetcher(interrupted=interrupted)), Interrupted)
    came = place.parts()[0].stat().st_size
    assert 0 < came < len(MOON)
    place.install()
    assert server.asked[-1] == ("/moon", f"bytes={came}-")
    assert _said(place.program("moon")) == "moon 1.0"


def _run_alone(place: Place) -> subprocess.Popen[str]:
    code = (
        f"import pathlib, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from vendors import Place\n"
        f"print(Place(pathlib.Path({str(place.checkout)!r})).install())"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_run_that_is_killed_leaves_nothing_that_runs_and_the_next_goes_on(place: Place, server: Vendor) -> None:
    over = threading.Event()

    def half(handler: Handler, content: bytes) -> None:
        if handler.offset():
            handler.serve(content)
            return
        handler.answer(200, content[:500_000], length=len(content))
        handler.wfile.flush()
        over.wait(30)

    _old_moon(place, server)
    _moon(place, server)
    server.misbehaves["/moon"] = half
    run = _run_alone(place)
    wait_for(lambda: place.parts() and place.parts()[0].stat().st_size)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    over.set()
    assert _said(place.program("moon")) == "moon 0.9"
    (place.deps / "tools/.half-moon-1.0-killed").mkdir()
    place.install()
    assert server.asked[-1][1].startswith("bytes="), "it went on"
    assert _said(place.program("moon")) == "moon 1.0"
    assert not list((place.deps / "tools").glob(".half-*"))


def test_two_at_once_fetch_once(place: Place, server: Vendor) -> None:
    both_there = threading.Event()

    def slowly(handler: Handler, content: bytes) -> None:
        both_there.wait(20)
        handler.serve(content)

    _moon(place, server)
    server.misbehaves["/moon"] = slowly
    runs = [_run_alone(place), _run_alone(place)]
    wait_for(lambda: server.times("/moon"))
    both_there.set()
    said = [run.communicate(timeout=30)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert server.times("/moon") == 1
    assert sorted("kept=('moon',)" in each for each in said) == [False, True], "the second found it there"
    assert _said(place.program("moon")) == "moon 1.0"


def test_a_program_that_was_tampered_with_is_fetched_again(place: Place, server: Vendor) -> None:
    _moon(place, server)
    place.install()
    real = place.program("moon").resolve()
    seen = real.stat()
    real.write_bytes(script("evil", len(MOON)))
    assert place.install().fetched == ("moon",), "its time gives it away"
    real = place.program("moon").resolve()
    seen = real.stat()
    real.write_bytes(script("evil", len(MOON)))
    os.utime(real, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert place.install().fetched == (), "size and time are as they were"
    assert not tools_install.states(place.checkout, rehash=True)["moon"]
    assert place.install(rehash=True).fetched == ("moon",)
    assert _said(place.program("moon")) == "moon 1.0"


def test_a_program_that_a_power_failure_cut_short_is_fetched_again(place: Place, server: Vendor) -> None:
    _moon(place, server)
    place.install()
    real = place.program("moon").resolve()
    seen = real.stat()
    os.truncate(real, 100)
    os.utime(real, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert place.install().fetched == ("moon",)


def test_a_program_that_a_backup_brought_back_is_kept(place: Place, server: Vendor) -> None:
    _moon(place, server)
    place.install()
    os.utime(place.program("moon").resolve(), (1, 1))
    assert place.install().kept == ("moon",)


def test_an_earlier_version_is_linked_again_without_being_fetched(place: Place, server: Vendor) -> None:
    _old_moon(place, server)
    tracked = (place.checkout / "comm/tools.toml").read_text()
    _moon(place, server)
    place.install()
    place.tools(tracked)
    place.install()
    assert _said(place.program("moon")) == "moon 0.9"
    assert server.times("/old") == 1


def test_program_gives_the_recorded_version_alone(place: Place, server: Vendor) -> None:
    _old_moon(place, server)
    assert tools_install.program(place.checkout, "moon") == place.program("moon")
    _moon(place, server)
    for each in ("acme/cluster.py", "acme/project.py", "aaa/cluster.py"):
        (place.checkout / each).parent.mkdir(exist_ok=True)
        (place.checkout / each).touch()
    with pytest.raises(ToolMissing, match=r"moon 1\.0 is not in \.deps") as missing:
        tools_install.program(place.checkout, "moon")
    assert missing.value.hint.endswith(": acme/cluster.py python bootstrap_local_dev"), "a project's, no other script"
    place.install()
    leads_to = place.program("moon").readlink()
    for elsewhere in ("/bin/sh", f"../other/{leads_to.parent.name}/moon", f"../tools/{leads_to.parent.name}/sun"):
        place.program("moon").unlink()
        place.program("moon").symlink_to(elsewhere)
        with pytest.raises(ToolMissing):
            tools_install.program(place.checkout, "moon")


def _mirror_of(folder: Path, text: str) -> Path:
    (folder / "tools").mkdir(parents=True)
    (folder / "tools/moon").write_bytes(MOON)
    (folder / "tools.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", ["directory", "address"])
def test_a_mirror_takes_the_place_of_upstream(place: Place, server: Vendor, tmp_path: Path, kind: str) -> None:
    optional = table("tele", f"{server.url}/tele", shared="optional = true", more=sha(SUN))
    place.tools(table("moon", f"{server.url}/upstream", more=sha(SUN)) + optional)
    text = table("moon", "tools/moon", more=sha(MOON))
    mirror = str(_mirror_of(tmp_path / "mirror", text)) if kind == "directory" else f"{server.url}/m"
    server.files.update({"/m/tools.toml": text.encode(), "/m/tools/moon": MOON})
    found = place.install(mirror)
    assert (found.fetched, found.lacking) == (("moon",), ("tele",))
    assert mirror in found.source
    assert _said(place.program("moon")) == "moon 1.0"
    assert server.times("/upstream") == 0
    assert place.install(mirror).kept == ("moon",)


def test_a_mirror_of_another_version_installs_nothing(place: Place, server: Vendor, tmp_path: Path) -> None:
    _old_moon(place, server)
    place.tools(table("moon", f"{server.url}/moon", version="2.0", more=sha(MOON)))
    with pytest.raises(MirrorUnusable, match="does not hold") as raised:
        place.install(str(_mirror_of(tmp_path / "mirror", table("moon", "tools/moon", more=sha(MOON)))))
    assert "1.0" in raised.value.why
    assert "2.0" in raised.value.why
    assert _said(place.program("moon")) == "moon 0.9"


def test_a_mirrors_file_that_is_not_what_the_mirror_says_is_refused(place: Place, tmp_path: Path) -> None:
    place.tools(table("moon", "https://127.0.0.1:1/moon", more=sha(MOON)))
    mirror = _mirror_of(tmp_path / "mirror", table("moon", "tools/moon", more=sha(SUN)))
    assert isinstance(_failure(place, mirror=str(mirror)), ChecksumWrong)
    assert place.executables() == []


def test_a_mirror_without_checksums_is_not_believed(place: Place, tmp_path: Path) -> None:
    place.tools(table("moon", "https://127.0.0.1:1/moon", more=sha(MOON)))
    mirror = _mirror_of(tmp_path / "mirror", table("moon", "tools/moon"))
    assert isinstance(_failure(place, mirror=str(mirror)), ToolUnverified)


@pytest.mark.parametrize("missing", ["tools.toml", "tools/moon"])
def test_a_mirror_that_cannot_be_read_is_said(place: Place, tmp_path: Path, missing: str) -> None:
    place.tools(table("moon", "https://127.0.0.1:1/moon", more=sha(MOON)))
    mirror = _mirror_of(tmp_path / "mirror", table("moon", "tools/moon", more=sha(MOON)))
    (mirror / missing).unlink()
    with pytest.raises(PlError) as raised:
        place.install(str(mirror))
    assert f"{mirror / missing} cannot be read" in str(raised.value)
    assert "PL_MIRROR" in str(raised.value)


def test_what_a_mirror_brought_stays_when_there_is_none(place: Place, server: Vendor, tmp_path: Path) -> None:
    """Upstream's checksum is not known yet: there is nothing that the installed one could differ from."""
    shared = 'checksums = { url = "{url}.sums", form = "bare" }'
    place.tools(table("moon", f"{server.url}/moon", shared=shared))
    place.install(str(_mirror_of(tmp_path / "mirror", table("moon", "tools/moon", more=sha(MOON)))))
    assert place.install().kept == ("moon",)
    assert server.asked == []


def test_the_wrong_platform_is_said(place: Place, server: Vendor) -> None:
    _moon(place, server)
    with pytest.raises(ToolMissing, match="moon for darwin-arm64"):
        tools_install.install(
            place.checkout, mirror="", progress=Watching(), say=print, platform="darwin-arm64", fetcher=QUICK
        )
    assert PLATFORM != "darwin-arm64"
