"""The child that decodes: what it may use, and what happens when it goes wrong."""

import faulthandler
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from imaging import sandbox as module
from imaging.errors import DecoderDied, DecoderLate, ImageTooHeavy, ImageTruncated
from imaging.sandbox import ForkServer, Limits, Work

Serving = Callable[[Work], ForkServer]


def run(work: Work, content: bytes = b"", **limits: float) -> bytes:
    server = ForkServer(work, limits=Limits(**limits))  # type: ignore[arg-type]
    child = server.sandbox()
    child.source.begin(len(content))
    child.source.write(content)
    try:
        return child.run()
    finally:
        child.close()
        server.close()


@pytest.fixture
def serving() -> Iterator[Callable[[Work], ForkServer]]:
    servers: list[ForkServer] = []

    def start(work: Work) -> ForkServer:
        servers.append(ForkServer(work))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def _descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_the_child_sees_the_file_and_its_answer_comes_back() -> None:
    content = os.urandom(3_000_000)
    assert run(lambda source, _: source.read()[::-1], content) == content[::-1]


def test_it_is_another_process_that_leaves_nothing_behind() -> None:
    before = _descriptors()
    pid = int(run(lambda *_: str(os.getpid()).encode()))
    assert pid != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert _descriptors() == before


def test_the_child_reads_while_the_file_still_arrives(serving: Serving, tmp_path: Path) -> None:
    news = tmp_path / "news"
    os.mkfifo(news)

    def work(source: BinaryIO, order: bytes) -> bytes:
        start = source.read(2)
        news.write_bytes(b"!")
        source.seek(-2, os.SEEK_END)
        return start + source.read()

    sandbox = serving(work).sandbox()
    sandbox.source.begin(500_004)
    sandbox.source.write(b"ab" + bytes(250_000))
    assert news.read_bytes() == b"!"
    sandbox.source.write(bytes(250_000) + b"yz")
    assert sandbox.run() == b"abyz"
    sandbox.close()


def test_a_file_that_does_not_arrive_completely_is_truncated(serving: Serving) -> None:
    sandbox = serving(lambda source, _: source.read()).sandbox()
    sandbox.source.begin(1000)
    sandbox.source.write(bytes(999))
    with pytest.raises(ImageTruncated):
        sandbox.run()
    sandbox.close()


def test_an_image_error_comes_back_as_what_it_was() -> None:
    def work(_: BinaryIO, order: bytes) -> bytes:
        raise ImageTruncated("cut")

    with pytest.raises(ImageTruncated, match="cut"):
        run(work)


def test_too_much_memory_is_refused() -> None:
    with pytest.raises(ImageTooHeavy):
        run(lambda *_: bytes(300_000_000)[:1], memory_bytes=100_000_000)
    assert run(lambda *_: bytes(50_000_000)[:1], memory_bytes=100_000_000) == b"\0"


def test_reading_more_than_there_is_takes_no_more_memory_than_there_is() -> None:
    assert run(lambda source, _: source.read(1_000_000_000), b"content", memory_bytes=100_000_000) == b"content"


def test_what_a_codec_complains_of_does_not_reach_the_callers_log(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(lambda *_: str(os.write(2, b"bad code word")).encode()) == b"13"
    assert capfd.readouterr().err == ""


def test_too_much_processor_time_is_refused() -> None:
    def spin(_: BinaryIO, order: bytes) -> bytes:
        while True:
            pass

    with pytest.raises(ImageTooHeavy):
        run(spin, cpu_s=1)


def test_a_child_that_hangs_is_ended_at_the_deadline() -> None:
    def hang(_: BinaryIO, order: bytes) -> bytes:
        signal.pause()
        return b""

    with pytest.raises(DecoderLate) as caught:
        run(hang, deadline_s=0.2)
    assert caught.value.retryable


def test_an_answer_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER_MAX", 10)
    assert run(lambda *_: bytes(9)) == bytes(9)
    with pytest.raises(ImageTooHeavy):
        run(lambda *_: bytes(10))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_child_that_dies_is_told_of(number: signal.Signals) -> None:
    def die(_: BinaryIO, order: bytes) -> bytes:
        faulthandler.disable()
        os.kill(os.getpid(), number)
        return b""

    with pytest.raises(DecoderDied):
        run(die)


def test_a_bug_in_the_child_does_not_come_out_of_it() -> None:
    def broken(_: BinaryIO, order: bytes) -> bytes:
        raise KeyError("bug")

    with pytest.raises(DecoderDied):
        run(broken)


def test_a_sandbox_that_is_not_used_goes_when_closed(serving: Serving) -> None:
    sandbox = serving(lambda *_: b"").sandbox()
    pid = sandbox._pid
    assert pid
    sandbox.close()
    sandbox.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_works_while_the_next_waits(serving: Serving) -> None:
    server = serving(lambda source, _: source.read())
    first, second = server.sandbox(), server.sandbox()
    for sandbox, content in ((second, b"two"), (first, b"one")):
        sandbox.source.begin(3)
        sandbox.source.write(content)
        assert sandbox.run() == content
        sandbox.close()


def test_the_server_holds_nothing_of_its_callers_open(serving: Serving) -> None:
    reading, writing = os.pipe()
    server = serving(lambda *_: b"")
    os.close(writing)
    assert os.read(reading, 1) == b"", "nobody else can write there"
    os.close(reading)
    server.sandbox().close()


def test_children_go_with_their_server(serving: Serving) -> None:
    server = serving(lambda *_: b"")
    sandbox = server.sandbox()
    server.close()
    sandbox.close()
    with pytest.raises(OSError, match=r"."):
        server.sandbox()


def test_the_server_goes_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "said"
    caller = os.fork()
    if caller == 0:
        server = ForkServer(lambda *_: b"")
        server.sandbox()
        said.write_text(str(server._pid))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(caller, 0)
    pid = int(said.read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.01)
