"""Interactive shells, as a person sees them: prompts, long lines, history, PATH, shells in shells."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pyte
import pytest
from shells import EMOJI, Terminal, copied, terminal, wait_until

UP, DOWN, LEFT, HOME, END, CTRL_U = "\x1b[A", "\x1b[B", "\x1b[D", "\x01", "\x05", "\x15"
COLUMNS = 40
LONG = "echo " + " ".join(f"word{number}" for number in range(16))
ZSH = shutil.which("zsh") or ""


@pytest.fixture(params=["bash", "zsh"])
def user_shell(request: pytest.FixtureRequest) -> str:
    found = shutil.which(request.param)
    if not found:
        pytest.skip(f"{request.param} is not installed: apt-get install {request.param}")
    return str(found)


@pytest.fixture
def user(env: dict[str, str], home: Path, user_shell: str) -> dict[str, str]:
    """Somebody with settings of their own: a prompt, a variable, and a directory that they put first on PATH."""
    mine = 'export FROM_MY_RC=yes\nexport PATH="/put/first/by/me:$PATH"\n'
    (home / ".bashrc").write_text(mine + "PS1='mine\\$ '\n", encoding="ascii")
    (home / ".zshrc").write_text(mine + "PROMPT='mine%# '\n", encoding="ascii")
    return {**env, "SHELL": user_shell, "PS1": "exported "}


def plain(env: dict[str, str], home: Path, width_of_emoji: str, code: str) -> tuple[list[str], dict[str, str]]:
    """The user's shell without us, with a prompt of plain letters as wide as ours is meant to be."""
    prompt = f"{width_of_emoji}({code}) "
    if Path(env["SHELL"]).name == "bash":
        rc = home / "plain.bash"
        rc.write_text(f". ~/.bashrc; PS1='{prompt}'\"$PS1\"\n", encoding="ascii")
        return [env["SHELL"], "--rcfile", str(rc), "-i"], env
    rc = home / "plain"
    rc.mkdir()
    (rc / ".zshrc").write_text(f"ZDOTDIR=$HOME; . ~/.zshrc; PROMPT='{prompt}'\"$PROMPT\"\n", encoding="ascii")
    return [env["SHELL"], "-i"], {**env, "ZDOTDIR": str(rc)}


@pytest.mark.parametrize(
    ("entry", "stage", "prompt"),
    [
        ("shell.py", [], "(pl) mine"),
        ("hmlet/shell.py", ["host"], "🏠(ht) mine"),
        ("hmlet/photos/shell.py", ["host"], "🏠(ps) mine"),
        ("hmlet/frontend/shell.py", ["host"], "🏠(fr) mine"),
        ("hmlet/shell.py", ["local"], "🐣(ht) mine"),
    ],
)
def test_the_prompt_says_where_one_is(
    checkout: Path, user: dict[str, str], entry: str, stage: list[str], prompt: str
) -> None:
    with terminal([str(checkout / entry), *stage], user, checkout) as shell:
        shell.wait_for_prompt(prompt)
        shell.send("echo $PL_CODE-$FROM_MY_RC; exit 3\r")
        shell.wait_for(f"{prompt[prompt.index('(') + 1 : prompt.index(')')]}-yes")
        assert shell.end() == 3


def test_our_directories_are_first_on_path_whatever_the_users_settings_put_there(
    checkout: Path, user: dict[str, str], tmp_path: Path
) -> None:
    told = tmp_path / "path"
    with terminal([str(checkout / "hmlet/photos/shell.py"), "host"], user, checkout) as shell:
        shell.wait_for_prompt("🏠(ps)")
        shell.run(f'printf %s "$PATH" > {told}', "🏠(ps)")
    path = told.read_text(encoding="utf-8").split(":")
    ours = ["hmlet/photos/.bin", "hmlet/.bin", "hmlet/comm/bin", "comm/bin", ".deps/bin", ".venv/bin"]
    assert path[:6] == [str(checkout / part) for part in ours]
    assert path[6] == "/put/first/by/me"


@pytest.fixture(params=[1, 2], ids=["drawn-1-wide", "drawn-2-wide"])
def emoji_width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How wide this terminal draws emoji: real ones disagree."""
    width: int = request.param
    real = pyte.screens.wcwidth
    monkeypatch.setattr(pyte.screens, "wcwidth", lambda sign: width if sign in EMOJI else real(sign))
    return width


@pytest.mark.parametrize("stage", ["host", "test"])
def test_long_lines_and_history_look_as_with_a_prompt_of_plain_letters(
    checkout: Path, user: dict[str, str], home: Path, stage: str, emoji_width: int
) -> None:
    argv, plain_env = plain(user, home, "XX", "ht")
    emoji = {"host": "🏠", "test": "🛠"}[stage]
    with ExitStack() as both:
        size = {"columns": COLUMNS, "lines": 16}
        shell = both.enter_context(terminal([str(checkout / "hmlet/shell.py"), stage], user, home, **size))
        model = both.enter_context(terminal(argv, plain_env, home, **size))
        shell.wait_for_prompt(emoji)
        model.wait_for_prompt("XX")
        for screen in (shell, model):
            screen.clear()

        def type_(keys: str, shown: str) -> None:
            """Send keys to both, wait until the plain one shows what it should, and then until ours looks the same."""
            model.send(keys)
            shell.send(keys)
            model.wait_for(shown)
            if keys.endswith("\r"):
                model.wait_for_prompt("XX")
            wait_until(
                lambda: _without_emoji(shell, emoji) == _without_emoji(model, "XX"),
                lambda: "\n".join([*shell.look(), "-" * COLUMNS, *model.look()]),
            )

        type_("echo short\r", "short")
        type_(LONG, "word15")
        type_("\r", "(ht) mine")
        type_("echo other\r", "other")
        type_("first half", "first half")
        type_(CTRL_U + UP, "echo other")
        type_(UP, "echo word0")
        type_(UP, "echo short")
        type_(DOWN, "echo word0")
        type_(LEFT * 20 + "INSERTED", "INSERTED")
        type_(HOME + "START", "STARTecho")
        type_(END + "END", "END")
        type_(UP, "echo short")
        type_(DOWN, "STARTecho")
        type_("\x08" * 60 + "Q", "Q")
        type_(CTRL_U + "echo last\r", "last")
        assert any(line.startswith(emoji) for line in shell.look())


def _without_emoji(shown: Terminal, sign: str) -> tuple[list[str], int, int]:
    shown.look()
    rows = []
    for row in range(shown.screen.lines):
        cells = [shown.screen.buffer[row][column].data for column in range(shown.screen.columns)]
        text = "".join(cells)
        dressed = "(ht)" in text and (cells[0] + cells[1]).strip() == sign
        rows.append("  " + "".join(cells[2:]) if dressed else text)
    return rows, shown.screen.cursor.x, shown.screen.cursor.y


def test_a_theme_that_sets_the_prompt_anew_each_time_keeps_our_prefix(
    checkout: Path, user: dict[str, str], home: Path
) -> None:
    with (home / ".bashrc").open("a") as rc:
        rc.write("theme() { PS1='themed\\$ '; }; other() { :; }; PROMPT_COMMAND=(theme other)\n")
    with (home / ".zshrc").open("a") as rc:
        rc.write("theme() { PROMPT='themed%# ' }; precmd_functions+=(theme)\n")
    with terminal([str(checkout / "hmlet/shell.py"), "host"], user, checkout) as shell:
        shell.wait_for_prompt("🏠(ht) themed")
        shell.run("true", "🏠(ht) themed")
        shell.run("true", "🏠(ht) themed")


def test_the_last_status_is_there_for_the_users_prompt(checkout: Path, user: dict[str, str], home: Path) -> None:
    (home / ".bashrc").write_text("PS1='was $? \\$ '\n", encoding="ascii")
    (home / ".zshrc").write_text("PROMPT='was %? %# '\n", encoding="ascii")
    with terminal([str(checkout / "hmlet/shell.py"), "host"], user, checkout) as shell:
        shell.wait_for_prompt("🏠(ht) was 0")
        shell.send("(exit 42)\r")
        shell.wait_for_prompt("🏠(ht) was 42")


@pytest.mark.skipif(not ZSH, reason="zsh is not installed: apt-get install zsh")
@pytest.mark.parametrize("by", [".zshenv", "environment"])
def test_zsh_files_that_are_elsewhere_are_read_and_nothing_is_written_into_the_checkout(
    checkout: Path, env: dict[str, str], home: Path, by: str
) -> None:
    elsewhere = home / "config/zsh"
    elsewhere.mkdir(parents=True)
    (elsewhere / ".zshrc").write_text(
        "PROMPT='there%# '\nHISTSIZE=9 SAVEHIST=9 HISTFILE=${ZDOTDIR}/history\n", encoding="ascii"
    )
    if by == ".zshenv":
        (home / ".zshenv").write_text("ZDOTDIR=$HOME/config/zsh\n", encoding="ascii")
    else:
        env = {**env, "ZDOTDIR": str(elsewhere)}
    ours = sorted((checkout / "comm/bash").rglob("*"))
    with terminal([str(checkout / "shell.py")], {**env, "SHELL": ZSH}, checkout) as shell:
        shell.wait_for_prompt("(pl) there")
        shell.run('echo "at $ZDOTDIR, not ${ZDOTDIR_BEFORE-unset}"', "(pl) there")
        shell.send("exit\r")
        assert shell.end() == 0
    assert (elsewhere / "history").exists()
    assert [path for path in sorted((checkout / "comm/bash").rglob("*")) if "zcompdump" not in path.name] == ours


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    folder = tmp_path / "noted"
    folder.mkdir()
    return folder


def _note(shell: Terminal, folder: Path, name: str, prompt: str) -> dict[str, str]:
    """The variables that a command sees at this prompt."""
    shell.run(f"command env -0 > {folder}/{name}", prompt)
    pairs = (folder / name).read_text(encoding="utf-8", errors="surrogateescape").split("\0")
    return {pair.partition("=")[0]: pair.partition("=")[2] for pair in pairs if pair and not pair.startswith("_=")}


def test_shells_in_shells_each_have_their_own_and_exit_brings_back_what_was(
    checkout: Path, user: dict[str, str], noted: Path
) -> None:
    layers = [
        ("hmlet/shell.py host", "🏠(ht) mine", {"PL_STAGE": "host", "PL_CODE": "ht"}),
        ("hmlet/shell.py test", "🛠️(ht) mine", {"PL_STAGE": "test", "PL_CODE": "ht"}),
        ("hmlet/photos/shell.py test", "🛠️(ps) mine", {"PL_STAGE": "test", "PL_APP": "photos", "PL_CODE": "ps"}),
        ("shell.py", "(pl) mine", {"PL_CODE": "pl"}),
    ]
    user = {**user, "KUBECONFIG": "/the/users/own"}
    with terminal([str(checkout / "shell.py")], user, checkout, columns=200) as shell:
        shell.wait_for_prompt("(pl) mine")
        stack = [("(pl) mine", _note(shell, noted, "0", "(pl) mine"))]
        assert stack[0][1]["KUBECONFIG"] == "/the/users/own"
        for number, (entry, prompt, wanted) in enumerate(layers, start=1):
            shell.send(f"{checkout}/{entry}\r")
            shell.wait_for_prompt(prompt)
            seen = _note(shell, noted, str(number), prompt)
            assert {name: seen.get(name, "") for name in wanted} == wanted
            assert ("KUBECONFIG" in seen) == ("PL_STAGE" in seen)
            assert ("HT_WEB_PORT" in seen) == ("PL_STAGE" in seen)
            assert ("PS_FLESH" in seen) == (wanted["PL_CODE"] == "ps")
            path = seen["PATH"].split(":")
            assert (str(checkout / "hmlet/.bin") in path) == ("PL_STAGE" in seen)
            assert (str(checkout / "hmlet/photos/.bin") in path) == (wanted["PL_CODE"] == "ps")
            assert path.index(str(checkout / ".venv/bin")) < path.index("/usr/bin")
            stack.append((prompt, seen))
        while len(stack) > 1:
            stack.pop()
            shell.send("exit\r")
            prompt, before = stack[-1]
            shell.wait_for_prompt(prompt)
            assert _note(shell, noted, f"back{len(stack)}", prompt) == before


def test_a_shell_of_another_checkout_inherits_nothing_of_ours(
    checkout: Path, user: dict[str, str], noted: Path, tmp_path: Path
) -> None:
    another = copied(tmp_path / "another")
    with terminal([str(checkout / "hmlet/photos/shell.py"), "host"], user, checkout, columns=200) as shell:
        shell.wait_for_prompt("🏠(ps) mine")
        ours = _note(shell, noted, "ours", "🏠(ps) mine")
        shell.send(f"{another}/hmlet/shell.py host\r")
        shell.wait_for_prompt("🏠(ht) mine")
        theirs = _note(shell, noted, "theirs", "🏠(ht) mine")
    assert theirs["PL_INSTANCE"] != ours["PL_INSTANCE"]
    assert theirs["HT_WEB_PORT"] != ours["HT_WEB_PORT"]
    assert [(name, value) for name, value in theirs.items() if f"{checkout}/" in value or name.startswith("PS_")] == []


def test_subcommands_are_on_path_under_the_code(checkout: Path, user: dict[str, str]) -> None:
    with terminal([str(checkout / "hmlet/photos/shell.py"), "host"], user, checkout, columns=200) as shell:
        shell.wait_for_prompt("🏠(ps) mine")
        shown = shell.run("command -v ht.deploy ps.terminal fr.logs", "🏠(ps) mine")
    assert shown == [f"{checkout}/hmlet/.bin/ht.deploy", f"{checkout}/hmlet/photos/.bin/ps.terminal"]
