"""What a deploy draws: lines that stay on a terminal of any width, plain lines elsewhere."""

from __future__ import annotations

import re

import pexpect
import pyte
import pytest

from hmlet.tests.test_host.place import Place


@pytest.mark.parametrize("columns", [80, 12])
def test_a_terminal_shows_each_step_once_and_nothing_is_left_over(place: Place, columns: int) -> None:
    screen = pyte.HistoryScreen(columns, 24, history=1000, ratio=0.9)
    stream = pyte.Stream(screen)
    terminal = place.on_terminal("ht.bootstrap", columns=columns)
    raw = ""
    while True:
        try:
            read = terminal.read_nonblocking(4096, timeout=60)
        except pexpect.EOF:
            break
        raw += read
        stream.feed(read)
    terminal.close()
    assert terminal.exitstatus == 0
    lines = [line.rstrip() for line in screen.display]
    text = "".join(lines)
    for name in ("postgresql", "redis", "storage"):
        assert text.count(f"✓ {name}") == 1, "\n".join(lines)
    assert not re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", text), "\n".join(lines)
    assert re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] postgres", raw), "something was drawn meanwhile"
    assert "\033[32m" in raw


def test_a_pipe_gets_plain_lines(place: Place) -> None:
    said = place.ok("ht.bootstrap")
    assert "\033" not in said
    assert len(re.findall(r"^✓ (?:postgresql|redis|storage) \d+\.\d s  127\.0\.0\.1:\d+$", said, re.M)) == 3


def test_no_colour_where_none_is_wanted(deployed: Place) -> None:
    for setting, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        argv = deployed.argv("ht.status")
        output = pexpect.run(
            " ".join(argv),
            env={**deployed.env, **setting},
            encoding="utf-8",
            timeout=60,
        )
        assert ("\033[" in str(output)) is coloured
