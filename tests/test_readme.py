"""Every command of README.rst is run as it stands there, in its order, in a stage of its own; its Python, too."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
README = (CHECKOUT / "README.rst").read_text(encoding="utf-8")
TIMEOUT_S = 120
BLOCK = re.compile(r"^(?:\.\. code-block:: (\w+)|[^.\n].*::)\n\n((?:    .*\n|\n)+)", re.MULTILINE)
SHELL_PROMPT = r"\(ht\) \$ "


@dataclass(frozen=True)
class Line:
    """One thing to type: in the caller's shell, at the stage's prompt, or in Python."""

    where: str
    text: str


def lines() -> Iterator[Line]:
    """What a reader types, from top to bottom. A Python block is typed where the line before it was ``python``."""
    python_open = False
    for match in BLOCK.finditer(README):
        language, block = match.groups()
        if language == "sh":
            continue  # in a cluster: hmlet/tests/test_cluster/test_readme.py
        body = re.sub(r"^    ", "", block, flags=re.MULTILINE)
        if language == "python":
            if python_open:
                yield Line("python", body)
                python_open = False
            continue
        for text in body.splitlines():
            if text.startswith("./"):
                yield Line("caller", text)
            elif text.startswith("$ "):
                yield Line("caller", text.removeprefix("$ "))
            elif " $ " in text:
                command = text.partition(" $ ")[2]
                python_open = command == "python"
                yield Line("prompt", command)


@pytest.fixture(scope="module")
def environ() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="plasma-") as folder:
        home = Path(folder)
        (home / ".bashrc").write_text("PS1='$ '\n")
        dropped = ("PL_", "HT_", "PS_", "FR_", "KUBECONFIG", "XDG_STATE_HOME", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        path = ":".join(part for part in kept["PATH"].split(":") if not part.startswith(str(CHECKOUT)))
        environ = {
            **kept,
            "PATH": path,
            "SHELL": "/bin/bash",
            "XDG_STATE_HOME": folder,
            "PL_INSTANCE": "readme",
            "TERM": "xterm",
        }
        # The user's settings come from here, but pip's and uv's caches stay where they are.
        environ.update(HOME=folder, UV_CACHE_DIR=os.environ.get("UV_CACHE_DIR", str(Path("~/.cache/uv").expanduser())))
        yield environ
        pexpect.run("./hmlet/shell.py host -- ht.destroy --yes", cwd=str(CHECKOUT), env=environ, timeout=TIMEOUT_S)


def test_every_command_of_the_readme_works_in_its_order(environ: dict[str, str]) -> None:
    shell: pexpect.spawn[str] | None = None
    typed = []
    for line in lines():
        typed.append(line.text)
        if line.where == "python":
            assert shell is not None
            type_python(shell, line.text)
        elif line.where == "prompt":
            assert shell is not None, f"{line.text!r} stands at a prompt that nothing opened"
            shell = type_at_prompt(shell, line.text)
        elif line.text == "./hmlet/shell.py host":
            shell = pexpect.spawn(line.text, cwd=str(CHECKOUT), env=environ, encoding="utf-8", timeout=TIMEOUT_S)
            shell.setwinsize(50, 200)
            shell.expect(SHELL_PROMPT)
        else:
            run(line.text, environ)
    assert shell is None, "the README opens a shell and does not leave it"
    # The parser above must not fall silent when the README's form changes.
    assert len(typed) >= 12, typed


def test_the_example_of_a_test_is_a_test_that_runs() -> None:
    block = re.search(
        r"\.\. code-block:: python\n\n((?:    .*\n|\n)+?)\n(?=\S)", README[README.index("def test_") - 100 :]
    )
    assert block is not None
    example = re.sub(r"^    ", "", block.group(1), flags=re.MULTILINE).strip()
    tests = (CHECKOUT / "hmlet/tests/test_e2e").glob("test_*.py")
    assert any(example in test.read_text(encoding="utf-8") for test in tests), example


def type_at_prompt(shell: pexpect.spawn[str], command: str) -> pexpect.spawn[str] | None:
    shell.sendline(command)
    if command == "exit":
        shell.expect(pexpect.EOF)
        shell.close()
        assert shell.exitstatus == 0
        return None
    if command == "python":
        shell.expect(">>> ")
        return shell
    shell.expect(SHELL_PROMPT)
    said = shell.before
    shell.sendline("echo status=$?")
    shell.expect(r"status=(\d+)\r")
    assert shell.match is not None
    assert shell.match.group(1) == "0", f"{command}: {said}"
    shell.expect(SHELL_PROMPT)
    return shell


def type_python(shell: pexpect.spawn[str], block: str) -> None:
    for text in filter(None, block.splitlines()):
        shell.sendline(text)
        shell.expect(">>> ")
        assert "Traceback" not in (shell.before or ""), shell.before
    shell.sendline("exit()")
    shell.expect(SHELL_PROMPT)


def run(command: str, environ: dict[str, str]) -> None:
    if command == "./shell.py -- pl.test":
        # This test is run by that command; here it is enough that it is there and knows what to run.
        command += " --list"
    said, status = pexpect.run(
        shlex.join(["/bin/sh", "-c", command]),
        cwd=str(CHECKOUT),
        env=environ,
        timeout=TIMEOUT_S,
        withexitstatus=True,
        encoding="utf-8",
    )
    assert status == 0, f"{command}: {said}"
