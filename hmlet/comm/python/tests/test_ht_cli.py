"""The command line, as a process of its own, against the scripted server."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest
from ht.api_clients.photos import Photo
from ht.cli.thumbnail_files import file_name
from test_ht_photos import form

if TYPE_CHECKING:
    from conftest import Api, Handler, Received

PhotoJson = Callable[..., dict[str, object]]
JPEG = b"\xff\xd8\xff"
JOB = "0b8c3c0e-6f58-4d8e-9a54-6f4d5f3f9f10"


@dataclass
class Ran:
    status: int
    out: str
    err: str


class Ht:
    """``ht`` in a folder and with a state of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.password_file = folder / "password"
        self.password_file.write_text("correct horse\n")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HT_")}
        self.environ = {**inherited, "HT_WEB_URL": url, "XDG_STATE_HOME": str(self.state), "NO_COLOR": "1"}
        self.environ["HMLET_USERNAME"] = "ann"

    def __call__(self, *words: str, stdin: str = "", check: int | None = 0) -> Ran:
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        assert check is None or done.returncode == check, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def on_a_terminal(self, *words: str) -> bytes:
        """All that is drawn."""
        ours, theirs = pty.openpty()
        environ = {**self.environ, "TERM": "xterm", "COLUMNS": "120"}
        with subprocess.Popen(
            [*COMMAND, *words], cwd=self.folder, env=environ, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            drawn = b""
            while True:
                try:
                    drawn += os.read(ours, 4096)
                except OSError:  # how Linux tells that the other end is closed
                    break
        os.close(ours)
        assert process.returncode == 0, drawn
        return drawn

    def signed_in(self) -> Ht:
        self("--password-file", "password", "login")
        return self

    def file(self, name: str, content: bytes | None = None) -> str:
        (self.folder / name).write_bytes(JPEG + name.encode() if content is None else content)
        return name

    def kept(self, kind: str) -> list[Path]:
        return sorted((self.state / "ht" / kind).glob("*.json"))


COMMAND = (sys.executable, "-P", "-m", "ht.cli")


@pytest.fixture
def ht(api: Api, tmp_path: Path) -> Ht:
    return Ht(api.url, tmp_path)


def page(*photos: dict[str, object]) -> dict[str, object]:
    return {"next": None, "previous": None, "results": list(photos)}


def job_json(**changes: object) -> dict[str, object]:
    event = {"event": "queued", "at": "2026-01-02T03:04:05Z", "attempt": 1, "code": "", "message": ""}
    known = {"id": JOB, "kind": "thumbnail", "state": "queued", "username": "ann", "name": "cat.png", "attempts": 0}
    return {**known, "timeline": [event], **changes}


# --- signing in


def test_login_keeps_tokens_that_only_their_owner_can_read_and_no_password(api: Api, ht: Ht) -> None:
    ran = ht("--username", "ann", "--password-file", "-", "login", stdin="correct horse\n")
    assert ran.out == f"signed in as ann at {api.url}\n"
    (kept,) = ht.kept("tokens")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert "correct horse" not in kept.read_text()


def test_on_a_terminal_a_login_asks_and_shows_no_password(api: Api, ht: Ht) -> None:
    del ht.environ["HMLET_USERNAME"]
    drawn = io.BytesIO()
    with pexpect.spawn(COMMAND[0], [*COMMAND[1:], "login"], env=ht.environ, timeout=30) as terminal:
        terminal.logfile_read = drawn
        terminal.expect("Username")
        terminal.sendline("ann")
        terminal.expect("Password of ann at ")
        terminal.waitnoecho()
        terminal.sendline("correct horse")
        terminal.expect(pexpect.EOF)
    assert api.token_requests[0].json == {"username": "ann", "password": "correct horse"}
    assert b"signed in as ann at " in drawn.getvalue()
    assert b"correct horse" not in drawn.getvalue()


def test_what_follows_a_login_signs_in_no_more(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    del ht.environ["HMLET_USERNAME"]
    api.script(api.answer(page(photo_json())), api.answer(page(photo_json())))
    ht("photos", "list")
    ht("photos", "list")
    assert [request.path for request in api.token_requests] == ["/api/v1/token/"]


def test_an_old_token_is_renewed_and_the_new_one_kept(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    (kept,) = ht.kept("tokens")
    old = json.loads(kept.read_text())
    kept.write_text(json.dumps({**old, "renew_at": time.time() - 1.0}))
    api.script(api.answer(page()), api.answer(page()))
    ht("photos", "list")
    ht("photos", "list")
    assert [request.path for request in api.token_requests] == ["/api/v1/token/", "/api/v1/token/refresh/"]
    assert json.loads(kept.read_text())["access"] != old["access"]


def test_tokens_of_another_address_or_user_are_not_used(api: Api, elsewhere: Api, ht: Ht) -> None:
    ht.signed_in()
    for words in (["--url", elsewhere.url], ["--username", "bob"]):
        ran = ht(*words, "photos", "list", check=1)
        assert "is not signed in at" in ran.err
        assert ran.err.count("\n") == 1
        assert "ht login" in ran.err
    assert not elsewhere.connections


def test_after_logout_nobody_is_signed_in(api: Api, ht: Ht) -> None:
    ht.signed_in()("logout")
    assert api.token_requests[-1].path == "/api/v1/token/revoke/"
    del ht.environ["HMLET_USERNAME"]
    assert not ht.kept("tokens")
    assert ht("photos", "list", check=1).err == f"error: Nobody is signed in at {api.url} → ht login\n"


def test_a_wrong_password_ends_with_one_line_and_keeps_what_was_kept(api: Api, ht: Ht) -> None:
    ht.signed_in()
    before = ht.kept("tokens")[0].read_text()
    api.token_steps.append(api.error(401, "no_active_account", "No account has this name and password."))
    ran = ht("--password-file", "password", "login", check=1)
    assert ran.err.startswith("error: No account has this name and password.")
    assert ran.err.endswith("→ ht login\n")
    assert "correct horse" not in ran.err
    assert ht.kept("tokens")[0].read_text() == before


def test_a_refused_refresh_token_leads_to_login(api: Api, ht: Ht) -> None:
    ht.signed_in()
    api.script(api.error(401, "token_not_valid"))
    api.token_steps.append(api.error(401, "token_not_valid"))
    ran = ht("photos", "list", check=1)
    assert ran.err.endswith("→ ht login\n")
    assert ran.err.count("\n") == 1


# --- uploading


def test_upload_posts_each_file_named_like_it(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    api.script(*[api.answer(photo_json(id=number), status=201) for number in (1, 2)])
    ran = ht("photos", "upload", ht.file("a.jpg"), ht.file("b.jpg"), "--caption", "#alps", "--draft")
    assert sorted(form(request)["name"] for request in api.received) == [b"a", b"b"]
    assert all((form(request)["caption"], form(request)["draft"]) == (b"#alps", b"true") for request in api.received)
    assert sorted(line.split("\t")[0] for line in ran.out.splitlines()) == ["1", "2"]
    assert "2/2" in ran.err


def test_upload_goes_on_past_refused_files_and_lists_them(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    taken = api.error(409, "name_taken", "You have a photo of that name.")
    api.script(taken, api.answer(photo_json(id=2), status=201))
    ran = ht("photos", "upload", "--parallel", "1", "gone.jpg", ht.file("a.jpg"), ht.file("b.jpg"), check=1)
    assert ran.out.split("\t")[0] == "2"
    summary = ran.err[ran.err.index("error:") :].splitlines()
    assert summary[0] == "error: 2 of 3 files did not become what was asked for:"
    assert summary[1].startswith("  gone.jpg: ")
    assert summary[2].startswith("  a.jpg: You have a photo of that name.")


def test_when_nobody_is_signed_in_any_more_the_rest_is_not_tried(api: Api, ht: Ht) -> None:
    ht.signed_in()
    api.script(api.error(401, "token_not_valid"))
    api.token_steps.append(api.error(401, "token_not_valid"))
    ran = ht("photos", "upload", "--parallel", "1", *[ht.file(f"{name}.jpg") for name in "abc"], check=1)
    told = ran.err[ran.err.index("error:") :].splitlines()
    assert told[1].endswith("→ ht login")
    assert told[2:] == ["  b.jpg: Not tried any more", "  c.jpg: Not tried any more"]


def test_a_file_whose_name_is_no_unicode_is_refused_like_others(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    odd = os.fsdecode(b"odd\xff\x1b.jpg")
    (ht.folder / odd).write_bytes(JPEG)
    api.script(api.answer(photo_json(id=2), status=201), api.answer(photo_json(id=2)))
    ran = ht("photos", "upload", "--parallel", "1", odd, ht.file("a.jpg"), check=1)
    assert "  odd��.jpg: " in ran.err
    assert ran.out.startswith("2\t")
    assert json.loads(ht("photos", "upload", "--parallel", "1", "--json", odd, "a.jpg", check=1).out)[1]["there_before"]


def test_upload_once_more_posts_only_what_is_missing(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    words = ("photos", "upload", "--json", "--parallel", "1", ht.file("a.jpg"), ht.file("b.jpg"))
    api.script(api.answer(photo_json(id=1), status=201), api.error(400, "invalid", "Not now."))
    ht(*words, check=1)
    api.script(api.answer(photo_json(id=1)), api.answer(photo_json(id=2), status=201))
    again = json.loads(ht(*words).out)
    assert [(done["photo"]["id"], done["there_before"]) for done in again] == [(1, True), (2, False)]
    assert [request.method for request in api.received] == ["POST", "POST", "GET", "POST"]
    keys = [request.headers.get("Idempotency-Key") for request in api.received]
    assert keys[1] == keys[3]
    assert len({keys[0], keys[1]}) == 2


def test_a_photo_that_was_deleted_since_is_uploaded_under_another_key(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    words = ("photos", "upload", ht.file("a.jpg"))
    api.script(api.answer(photo_json(id=1), status=201))
    ht(*words)
    api.script(api.error(404, "not_found"), api.answer(photo_json(id=2), status=201))
    assert ht(*words).out.startswith("2\t")
    first, _, second = (request.headers.get("Idempotency-Key") for request in api.received)
    assert first != second


def test_a_large_upload_that_broke_off_is_gone_on_with(api: Api, elsewhere: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    content = JPEG + bytes(17 * 1024 * 1024)
    put = {"url": f"{elsewhere.url}/k?sig=1", "headers": {}, "bytes": len(content)}
    upload = {
        "id": "u-1",
        "bytes": len(content),
        "content_type": "image/jpeg",
        "put": put,
        "parts": [],
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    api.script(api.answer(upload, status=201), api.answer(upload))
    elsewhere.script(elsewhere.error(400, "broken"))
    words = ("photos", "upload", ht.file("large.jpg", content))
    ht(*words, check=1)
    api.script(api.answer(upload), api.answer(photo_json(id=5), status=201))
    elsewhere.script(elsewhere.answer())
    assert ht(*words).out.startswith("5\t")
    posts = [request.path for request in api.received if request.method == "POST"]
    assert posts == ["/api/v1/photos/uploads/", "/api/v1/photos/uploads/u-1/finalise/"]


def test_upload_waits_for_thumbnails_and_tells_of_photos_that_have_none(
    api: Api, ht: Ht, photo_json: PhotoJson
) -> None:
    ht.signed_in()
    failure = {"code": "image_truncated", "message": "The file ends early."}
    api.script(
        api.answer(photo_json(status="processing"), status=201),
        api.answer(photo_json(status="failed", failure=failure)),
    )
    ran = ht("photos", "upload", "--wait", ht.file("a.jpg"), check=1)
    assert "uploaded, no thumbnail can be made of it" in ran.err
    assert "The file ends early." in ran.err


def test_an_interrupt_ends_an_upload_at_once_with_130(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    waiting = threading.Event()
    processing = api.answer(photo_json(status="processing"))

    def asked(handler: Handler, received: Received) -> None:
        processing(handler, received)
        waiting.set()

    api.script(api.answer(photo_json(status="processing"), status=201), *[asked] * 9)
    words = [*COMMAND, "photos", "upload", "--wait", ht.file("a.jpg")]
    with subprocess.Popen(words, cwd=ht.folder, env=ht.environ, stderr=subprocess.PIPE, text=True) as process:
        assert waiting.wait(30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    api.steps.clear()
    assert process.returncode == 130
    assert err.endswith("interrupted\n")
    assert "Traceback" not in err


# --- listing


def test_list_asks_for_what_is_wanted_and_prints_columns(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    api.script(api.answer(page(photo_json(name="Sun\x1b[2J\nrise"))))
    words = ["--owner", "me", "--tag", "alps", "--search", "an", "--ordering", "-publish_date"]
    ran = ht("photos", "list", *words)
    assert api.received[0].query == {"owner": "me", "tag": "alps", "search": "an", "ordering": "-publish_date"}
    cells = ran.out.rstrip("\n").split("\t")
    assert cells == ["7", "Sun�[2J rise", "ann", "ready", "2026-01-02 03:04:05", "640×480", "alps"]


def test_list_gives_json_and_stops_at_the_limit(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    api.script(api.answer(page(*[photo_json(id=number) for number in range(3)])))
    ran = ht("photos", "list", "--json", "--limit", "2")
    assert [photo["id"] for photo in json.loads(ran.out)] == [0, 1]
    assert ran.err == "the first 2; --limit 0 lists all\n"


def test_a_terminal_gets_a_table_with_a_header(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    api.script(api.answer(page(photo_json(name="[bold]x"))))
    drawn = ht.on_a_terminal("photos", "list")
    assert b"PUBLISHED" in drawn
    assert b"[bold]x" in drawn


def test_a_terminal_gets_bars_that_are_gone_at_the_end(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    api.script(api.answer(photo_json(), status=201))
    drawn = ht.on_a_terminal("photos", "upload", ht.file("a.jpg"))
    bar = "photos ━".encode()
    assert bar in drawn
    left = drawn[drawn.rindex(bar) :]
    assert b"\x1b[2K" in left, "the bar is wiped"
    assert b"\x1b[?25h" in left, "the cursor is shown again"
    assert b"Sunrise" in left
    assert b"uploaded" not in drawn


# --- thumbnails


def test_thumbnails_are_downloaded_once_and_whole(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    urls = {"512": {"webp": f"{api.url}/t?sig=1"}}
    api.script(api.answer(page(photo_json(thumbnails=urls))), api.raw(b"webp"))
    words = ("photos", "download-thumbnails", "--size", "512", "--format", "webp", "--to", "small/deep")
    assert ht(*words).out == "downloaded\tsmall/deep/Sunrise-7-512.webp\n"
    assert api.received[0].query == {"owner": "me"}
    assert [file.name for file in (ht.folder / "small/deep").iterdir()] == ["Sunrise-7-512.webp"]
    assert (ht.folder / "small/deep/Sunrise-7-512.webp").read_bytes() == b"webp"
    api.script(api.answer(page(photo_json(thumbnails=urls))))
    assert ht(*words).out == "there already\tsmall/deep/Sunrise-7-512.webp\n"


def test_a_thumbnail_that_is_not_there_keeps_no_other_from_being_downloaded(
    api: Api, ht: Ht, photo_json: PhotoJson
) -> None:
    ht.signed_in()
    urls = {"128": {"jpeg": f"{api.url}/t?sig=1"}}
    photos = [photo_json(id=1, name="None", status="processing"), photo_json(id=2, thumbnails=urls)]
    api.script(api.answer(page(*photos)), api.raw(JPEG))
    ran = ht("photos", "download-thumbnails", "--parallel", "1", check=1)
    assert (ht.folder / "Sunrise-2-128.jpg").read_bytes() == JPEG
    assert "error: 1 of 2 thumbnails are missing:\n  None: " in ran.err


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(api: Api, ht: Ht) -> None:
    ht.signed_in()
    api.script(api.answer(page()))
    ran = ht("photos", "download-thumbnails", "--to", ht.file("a.jpg"), check=1)
    assert ran.err.startswith("error: a.jpg: File exists → ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "a\0b\r\n", "x" * 400, "é" * 400, "/", ""])
def test_no_name_of_a_photo_leads_out_of_the_folder_or_is_too_long(name: str) -> None:
    file = file_name(Photo(name=name, id="p1"), "128", "jpeg")
    assert file.endswith("p1-128.jpg")
    assert Path(file).name == file
    assert not file.startswith(".")
    assert len(file.encode()) < 200


# --- jobs


def test_jobs_are_listed_and_shown_with_their_past(api: Api, ht: Ht) -> None:
    ht.signed_in()
    failure = {"code": "image_truncated", "message": "The file ends early.", "retryable": False}
    failed = job_json(state="failed", failure=failure, attempts=1)
    api.script(api.answer(page(failed)), api.answer(failed), api.answer(failed))
    listed = ht("jobs", "list", "--state", "failed").out.split("\t")
    assert listed[:5] == [JOB, "failed", "thumbnail", "cat.png", "ann"]
    assert listed[-1] == "The file ends early.\n"
    assert api.received[0].query == {"state": "failed"}
    assert "2026-01-02 03:04:05\tqueued\n" in ht("jobs", "show", JOB).out
    assert json.loads(ht("jobs", "show", JOB, "--json").out)["failure"]["code"] == "image_truncated"


@pytest.mark.parametrize("word", ["retry", "cancel"])
def test_jobs_are_changed_past_those_that_refuse(api: Api, ht: Ht, word: str) -> None:
    ht.signed_in()
    api.script(api.error(409, "job_not_so", "It has ended."), api.answer(job_json()))
    ran = ht("jobs", word, "other", JOB, check=1)
    assert [request.path for request in api.received] == [f"/api/v1/jobs/{each}/{word}/" for each in ("other", JOB)]
    assert ran.out == f"{JOB}\tqueued\n"
    assert "  other: It has ended." in ran.err


# --- the door


def test_words_that_are_none_end_with_two(ht: Ht) -> None:
    for words in (["photo"], ["photos", "list", "--limit", "x"], ["photos", "upload"], ["--url", "ftp://x", "login"]):
        ran = ht("--password-file", "password", *words, check=2)
        assert ran.err.startswith("error: ")
        assert ran.err.count("\n") == 1


def test_without_an_address_it_says_how_to_give_one(ht: Ht) -> None:
    del ht.environ["HT_WEB_URL"]
    told = "error: which platform? Give --url http://HOST:PORT, or run in a stage's shell → ht photos list --help\n"
    assert ht("photos", "list", check=2).err == told


def test_a_platform_that_is_not_there_is_told_in_one_line(ht: Ht, free_port: int) -> None:
    ran = ht("--url", f"http://127.0.0.1:{free_port}", "--password-file", "password", "login", check=1)
    assert ran.err.startswith("error: ")
    assert "is the platform up" in ran.err
    assert ran.err.count("\n") == 1


def test_a_reader_that_has_enough_causes_no_complaint(api: Api, ht: Ht, photo_json: PhotoJson) -> None:
    ht.signed_in()
    api.script(api.answer(page(*[photo_json(id=number) for number in range(5000)])))
    line = 'set -o pipefail; "$@" | head -1'
    words = ["bash", "-c", line, "bash", *COMMAND, "photos", "list", "--limit", "0"]
    done = subprocess.run(words, env=ht.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == ""


def test_help_loads_neither_rich_nor_requests() -> None:
    words = (
        "import sys; sys.argv = ['ht', '--help']; from ht.cli.entry import main\ntry: main()\nexcept SystemExit: pass\n"
    )
    check = "print(sorted({name.partition('.')[0] for name in sys.modules} & {'rich', 'requests'}))"
    done = subprocess.run([sys.executable, "-c", words + check], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("[]\n")
    assert "photos" in done.stdout


def test_the_package_asks_for_requests_alone_and_for_more_with_its_extra() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    needed = [re.split("[<>=]", line)[0] for line in project["dependencies"]]
    extra = [re.split("[<>=]", line)[0] for line in project["optional-dependencies"]["cli"]]
    assert (needed, extra) == (["requests"], ["typer", "rich"])


def test_the_client_needs_requests_alone() -> None:
    """Every module but the command line's, with all that this environment has besides put out of reach."""
    program = """
import pkgutil, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"typer", "click", "rich"} or name.startswith("ht.cli"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import ht
names = [m.name for m in pkgutil.walk_packages(ht.__path__, "ht.", onerror=lambda name: None)]
for name in names:
    if not name.startswith("ht.cli"):
        __import__(name)
print(len(names))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_without_its_extra_the_command_line_says_what_is_missing() -> None:
    program = "import sys; sys.modules['typer'] = None; from ht.cli.entry import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1,
        "error: the command line needs typer and rich → pip install 'ht[cli]'\n",
    )
