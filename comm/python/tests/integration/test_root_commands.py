"""pl.test, pl.lint, pl.new, pl.bootstrap and the git hook, as they are typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from roots import Root, root_of
from shells import CHECKOUT, environment, wait_until
from vendors import mirror_of_everything

COMMANDS = ("bootstrap", "doctor", "lint", "lock", "new", "test")
OK = "def test_ok(): pass\n"
RED = "def test_red(): assert False\n"
SKIPS = "import pytest\ndef test_ok(): pass\ndef test_skips(): pytest.skip('no moon: wait for the night')\n"

MOON = """
[needs.moon]
name = "the moon"
found = ["no-such-program-on-earth"]
remedy = "wait for the night"
"""


COMBINED = """
[suites.combined]
about = "-"
[[suites.combined.steps]]
name = "it"
run = ["sh", "-c", "coverage combine -q reports/coverage && coverage json -q"]
env = { COVERAGE_FILE = "reports/.coverage" }
"""


def suite(name: str, path: str, *, more: str = "", needs: str = "") -> str:
    return f'[suites.{name}]\nabout = "-"\n{needs}\n[[suites.{name}.steps]]\nname = "it"\npytest = ["{path}"]\n{more}\n'


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    home = tmp_path_factory.mktemp("home")
    with root_of(home, environment(home)) as root:
        root.env["PL_MIRROR"] = str(mirror_of_everything(tmp_path_factory.mktemp("mirror")))
        made = root.run("pl.new", "cluster", "acme", "ac", "--emoji", "host=🌋")
        assert made.status == 0, made.err
        yield root


@pytest.fixture
def root(shared_root: Root) -> Iterator[Root]:
    """A checkout with a cluster called acme. Each test writes its own suites.toml."""
    yield shared_root
    assert not shared_root.leftovers(), "a throw-away stage was left behind"


@pytest.mark.parametrize("command", COMMANDS)
def test_outside_a_shell_a_command_names_the_one_that_opens_it(command: str, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PL_")}
    script = CHECKOUT / "comm/bin" / f"pl.{command}"
    done = subprocess.run([script, "x"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{CHECKOUT}/shell.py -- pl.{command} x" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_comes_from_any_directory(root: Root, command: str, tmp_path: Path) -> None:
    said = root.run(f"pl.{command}", "--help", cwd=tmp_path)
    assert said.status == 0
    assert f"Usage: pl.{command}" in said.out


def test_a_green_run_ends_with_the_table_and_writes_reports(root: Root, tmp_path: Path) -> None:
    root.write("t/test_a.py", OK)
    root.suites(suite("one", "t/test_a.py"))
    said = root.run("pl.test", cwd=tmp_path)
    assert said.status == 0, said.err
    assert "1 passed" in said.out, "pytest's own words are streamed"
    assert said.out.splitlines()[-3].split() == ["suite", "result", "time", "tests", "skipped"]
    assert said.out.splitlines()[-2].split()[:2] == ["one", "green"]
    assert said.out.splitlines()[-1] == "tests: 1 passed, 0 failed, 0 skipped"
    assert 'testsuite name="one-it"' in (root.checkout / "reports/junit/one-it.xml").read_text()


def test_a_red_suite_is_named_and_keeps_no_other_from_running(root: Root) -> None:
    root.write("t/test_a.py", OK)
    root.write("t/test_b.py", RED)
    root.suites(suite("first", "t/test_b.py") + suite("second", "t/test_a.py"))
    said = root.run("pl.test")
    assert said.status == 1
    assert "red: first: it: tests failed\nred: t.test_b::test_red\n  assert False\n" in said.out
    assert "tests: 1 passed, 1 failed, 0 skipped" in said.out
    assert "pl.test first" in said.err


def test_a_run_ends_with_the_first_test_that_fails_where_that_is_asked_for(root: Root) -> None:
    root.write("t/test_a.py", OK)
    root.write("t/test_b.py", RED + RED.replace("test_red", "test_red_too"))
    root.suites(suite("first", "t/test_b.py") + suite("second", "t/test_a.py"))
    said = root.run("pl.test", "--exitfirst")
    assert said.status == 1
    assert "red: first: it: tests failed" in said.out
    assert "1 of 2 suites did not come to their end" in said.out
    assert "tests: 0 passed, 1 failed, 0 skipped" in said.out


def test_a_suite_without_tests_is_red(root: Root) -> None:
    root.write("t/test_none.py", "")
    root.suites(suite("one", "t/test_none.py"))
    said = root.run("pl.test")
    assert said.status == 1
    assert "red: one: it: no test was found" in said.out


def test_what_the_machine_lacks_is_left_out_and_said(root: Root) -> None:
    root.write("t/test_a.py", OK)
    root.write("t/test_s.py", SKIPS)
    lunar = suite("lunar", "t/test_a.py", needs='needs = ["moon"]')
    root.suites(MOON + lunar + suite("some", "t/test_s.py") + suite("whole", "t/test_a.py"))
    said = root.run("pl.test")
    assert said.status == 0, said.out
    assert "left out: lunar needs the moon: wait for the night" in said.out
    assert "left out: some: 1 test: no moon: wait for the night" in said.out
    assert said.out.splitlines()[-1] == "tests: 2 passed, 0 failed, 1 skipped"
    everything = root.run("pl.test", "--all")
    assert everything.status == 1
    assert "not all was run: lunar, some" in everything.err
    assert root.run("pl.test", "--all", "whole").status == 0
    assert root.run("pl.test", "--all", "some").status == 1, "a skipped test is left out as well"
    listed = root.run("pl.test", "--list")
    assert listed.status == 0
    assert "the moon: wait for the night" in listed.out


def test_in_the_background_tests_may_be_interrupted_all_the_same(root: Root) -> None:
    root.write(
        "t/test_signal.py",
        "import signal\ndef test_signal(): assert signal.getsignal(signal.SIGINT) == signal.default_int_handler\n",
    )
    root.suites(suite("one", "t/test_signal.py"))
    script = "trap '' INT; exec ./shell.py -- pl.test"
    done = subprocess.run(["sh", "-c", script], cwd=root.checkout, env=root.env, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_an_unknown_suite_and_option_are_usage_errors(root: Root) -> None:
    root.suites(suite("one", "t"))
    assert root.run("pl.test", "two").status == 2
    assert root.run("pl.test", "--everything").status == 2


def test_tests_see_an_instance_and_a_state_of_their_own(root: Root) -> None:
    root.write(
        "t/test_where.py",
        "import os, pathlib\n"
        "def test_where():\n"
        "    assert os.environ['PL_INSTANCE'].startswith('test-')\n"
        "    assert pathlib.Path(os.environ['XDG_STATE_HOME']).parent.name.startswith('pl-test-')\n",
    )
    root.suites(suite("one", "t/test_where.py"))
    said = root.run("pl.test", PL_INSTANCE="mine")
    assert said.status == 0, said.out


def test_coverage_of_what_subprocesses_execute_is_measured(root: Root) -> None:
    used = "def used():\n" + "    one = 1\n" * 14 + "    return one\n\n\n"  # enough to stay above the checkout's floor
    root.write("src/covered.py", used + "def unused():\n    return 2\n")
    root.write(
        "t/test_c.py",
        "import subprocess, sys\n"
        "def test_c():\n"
        "    subprocess.run([sys.executable, '-c', 'import covered; covered.used()'], cwd='src', check=True)\n",
    )
    root.suites('[coverage]\nsources = ["src"]\n' + suite("one", "t/test_c.py", more="cover = true") + COMBINED)
    said = root.run("pl.test")
    assert said.status == 0, said.out
    files = json.loads((root.checkout / "coverage.json").read_text())["files"]
    assert files["src/covered.py"]["missing_lines"] == [20]


IN_STAGE = """
import os, urllib.request
def test_in_stage():
    assert os.environ["PL_STAGE"] == "host"
    assert os.environ["STATED"] == os.environ["AC_WEB_PORT"]
    assert b"acme" in urllib.request.urlopen(os.environ["AC_WEB_URL"]).read()
"""
STAGED = 'stage = "acme/host"\nenv = { STATED = "$AC_WEB_PORT" }'


def test_a_step_in_a_stage_runs_in_a_deployed_one_that_is_gone_afterwards(root: Root) -> None:
    root.write("t/test_stage.py", IN_STAGE)
    root.suites(suite("one", "t/test_stage.py", more=STAGED) + suite("two", "t/test_stage.py", more=STAGED))
    said = root.run("pl.test")
    assert said.status == 0, said.out + said.err
    assert said.out.count("deploying a throw-away stage") == 1, "both suites share it"
    assert not root.processes()


def test_a_stage_that_cannot_be_deployed_makes_its_suite_red_and_is_gone(root: Root) -> None:
    root.write("t/test_stage.py", IN_STAGE)
    page = root.checkout / "acme/pages/index.html"
    sound = page.read_text()
    page.write_text("nothing of ours")
    try:
        root.suites(suite("one", "t/test_stage.py", more=STAGED))
        said = root.run("pl.test")
    finally:
        page.write_text(sound)
    assert said.status == 1
    assert "red: one: it: acme/host: deploy failed" in said.out
    assert not root.processes()


def test_a_variable_that_the_shell_does_not_have_is_named(root: Root) -> None:
    root.write("t/test_a.py", OK)
    root.suites(suite("one", "t/test_a.py", more='env = { X = "$NO_SUCH_THING" }'))
    said = root.run("pl.test")
    assert said.status == 1
    assert "$NO_SUCH_THING" in said.out


WAITS = """
import pathlib, time
def test_waits():
    pathlib.Path("started").touch()
    time.sleep(100)
"""


def _interrupted_while_waiting(root: Root, number: signal.Signals, *, group: bool) -> tuple[int, str]:
    started = root.checkout / "started"
    started.unlink(missing_ok=True)
    root.write("t/test_waits.py", WAITS)
    root.write("t/test_a.py", OK)
    root.suites(suite("one", "t/test_waits.py", more='stage = "acme/host"') + suite("two", "t/test_a.py"))
    run = root.start("pl.test")
    wait_until(started.exists)
    if group:
        os.killpg(run.pid, number)
    else:
        run.send_signal(number)
    output, _ = run.communicate(timeout=60)
    return run.returncode, output


@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_an_interrupted_run_takes_its_stage_with_it(root: Root, number: signal.Signals, group: bool) -> None:
    status, output = _interrupted_while_waiting(root, number, group=group)
    assert status == 130, output
    assert "2 of 2 suites did not come to their end" in output
    assert not root.processes()


def test_what_a_killed_run_left_is_destroyed_by_the_next(root: Root) -> None:
    status, _ = _interrupted_while_waiting(root, signal.SIGKILL, group=True)
    assert status == -signal.SIGKILL
    assert len(root.leftovers()) == 1
    assert root.processes()
    found = json.loads(root.run("pl.doctor", "--json").out)["findings"]
    assert [finding["found"] for finding in found if finding["name"] == "stale stage"] == [str(root.leftovers()[0])]
    root.suites(suite("two", "t/test_a.py"))
    said = root.run("pl.test")
    assert said.status == 0
    assert "destroying what a killed run left" in said.out
    assert not root.leftovers()
    assert not root.processes()


def test_lint_mends_what_a_program_can_mend(root: Root) -> None:
    step = 'name = "it"\nrun = ["ruff", "check", "u"]\nfix = ["ruff", "check", "--fix", "u"]\n'
    root.suites(f'[suites.lint]\nabout = "-"\n[[suites.lint.steps]]\n{step}')
    bad = root.write("u/bad.py", "import os\nimport sys\n\nprint(sys)  # noqa: T201\n")
    assert root.run("pl.lint").status == 1
    assert root.run("pl.lint", "--fix").status == 0
    assert "import os" not in bad.read_text()
    assert root.run("pl.lint").status == 0


def test_a_new_cluster_opens_in_every_stage_and_deploys_on_host(root: Root) -> None:
    for stage, sign in {"host": "🌋", "test": "🛠️", "local": "🐣", "stage": "🤖", "prod": "🔥"}.items():
        said = subprocess.run(
            [root.checkout / "acme/shell.py", stage, "--", "sh", "-c", "echo $PL_CODE $PL_EMOJI $PL_STAGE"],
            env=root.env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.split() == ["ac", sign, stage]
    env = {**root.env, "XDG_STATE_HOME": str(root.temporary / "s")}
    for words in (["ac.deploy"], ["ac.status"], ["ac.destroy", "--yes"]):
        subprocess.run([root.checkout / "acme/shell.py", "host", "--", *words], env=env, check=True, timeout=60)


def test_a_new_app_has_a_shell_and_its_subcommands(root: Root) -> None:
    made = root.run("pl.new", "app", "acme", "shop", "sp")
    assert made.status == 0, made.err
    script = 'echo "$PL_CODE $SP_FLESH $AC_WEB_HOST"; sp.skaffold'
    said = subprocess.run(
        [root.checkout / "acme/shop/shell.py", "host", "--", "sh", "-c", script],
        env=root.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.split() == ["sp", str(root.checkout / "acme/shop/flesh"), "127.0.0.1"]
    assert said.returncode == 1, "on host, skaffold says what there is instead"
    assert "skaffold" in said.stderr


def test_a_name_that_is_taken_is_refused(root: Root) -> None:
    assert root.run("pl.new", "cluster", "acme", "zz").status == 2
    assert root.run("pl.new", "cluster", "other", "ac").status == 2
    assert not (root.checkout / "other").exists()


def test_what_pl_new_makes_passes_our_own_checks(root: Root) -> None:
    root.run("pl.new", "app", "acme", "store", "st")
    assert root.run("ruff", "check", "acme").status == 0
    assert root.run("ruff", "format", "--check", "acme").status == 0
    files = [str(file.relative_to(root.checkout)) for file in (root.checkout / "acme").rglob("*.py")]
    typed = root.run("mypy", *files)
    assert typed.status == 0, typed.out


def _git(root: Root, *words: str) -> subprocess.CompletedProcess[str]:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *identity, *words], cwd=root.checkout, env=root.env, capture_output=True, text=True, check=False
    )


def test_bootstrap_twice_and_the_hook_that_looks_at_what_is_staged(root: Root) -> None:
    assert _git(root, "init", "--quiet").returncode == 0
    first, second = root.run("pl.bootstrap"), root.run("pl.bootstrap")
    assert first.status == second.status == 0, first.err + second.err
    assert "pre-commit was installed" in first.out
    assert "pre-commit is installed" in second.out
    assert "kubectl, skaffold, sops fetched from the mirror" in first.out
    assert "tools: nothing to do" in second.out
    assert "telepresence: the mirror" in second.out
    file = root.write("t/staged.py", "import os\n")
    _git(root, "add", "t/staged.py")
    file.write_text('"""Sound, but not staged."""\n')
    refused = _git(root, "commit", "-m", "x")
    assert refused.returncode == 1
    assert "F401" in refused.stdout + refused.stderr
    _git(root, "add", "t/staged.py")
    file.write_text("import os\n")
    assert _git(root, "commit", "-m", "x").returncode == 0
    assert not list((root.checkout / ".deps").glob("staged.*"))
    file.unlink()
    _git(root, "rm", "--cached", "--quiet", "t/staged.py")
    assert _git(root, "commit", "-m", "a commit without Python").returncode == 0


def test_a_hook_of_somebody_else_stays(root: Root) -> None:
    _git(root, "init", "--quiet")
    hook = root.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 0\n")
    try:
        said = root.run("pl.bootstrap")
        assert "is another one" in said.out
        assert hook.read_text() == "#!/bin/sh\nexit 0\n"
    finally:
        hook.unlink()


def test_bootstrap_goes_on_without_tools_and_says_why(root: Root, tmp_path: Path) -> None:
    """The host stage needs none of them: somebody offline, who wants no more, is not stopped."""
    said = root.run("pl.bootstrap", PL_MIRROR=str(tmp_path / "gone"))
    assert said.status == 0, said.err
    assert "not all of them could be had" in said.out
    assert f"{tmp_path}/gone/tools.toml cannot be read" in said.err


def test_the_shell_finds_our_tools_before_the_systems(root: Root, tmp_path: Path) -> None:
    assert root.run("pl.bootstrap", GIT_DIR="/nonexistent").status == 0
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho the system's\n", encoding="utf-8")
    (tmp_path / "kubectl").chmod(0o755)
    path = f"{tmp_path}:{root.env['PATH']}"
    assert root.run("kubectl", PATH=path).out == "kubectl\n"
    assert "on PATH" not in root.run("pl.doctor", PATH=path).out
    turned = root.run("sh", "-c", f"PATH={tmp_path}:$PATH pl.doctor")
    assert turned.status == 0
    assert "kubectl on PATH: take it from the front of PATH" in turned.out
    assert f"{tmp_path}/kubectl is not ours" in turned.out


def test_a_cluster_stages_shell_fetches_tools_and_the_host_stages_needs_none(root: Root) -> None:
    for stage, words in (("local", "tools: "), ("prod", "tools: nothing to do"), ("host", "nothing to do: everything")):
        argv: list[str | Path] = [
            root.checkout / "acme/shell.py",
            stage,
            "--",
            "ac.python",
            "bootstrap_local_dev",
            "--check",
        ]
        done = subprocess.run(argv, env=root.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert words in done.stdout


def test_tools_and_packages_are_recorded_by_different_words(root: Root) -> None:
    said = root.run("pl.lock", "--tools", "--upgrade")
    assert said.status == 2
    assert "packages are no tools" in said.err


def test_without_git_bootstrap_says_so_and_goes_on(root: Root) -> None:
    said = root.run("pl.bootstrap", GIT_DIR="/nonexistent")
    assert said.status == 0, said.err
    assert "not a git checkout" in said.out


def test_the_doctor_fails_where_something_required_is_wrong(root: Root, tmp_path: Path) -> None:
    state = tmp_path / "plasma"
    state.mkdir()
    state.chmod(0o777)
    assert root.run("pl.doctor").status == 0
    unfit = root.run("pl.doctor", XDG_STATE_HOME=str(tmp_path))
    assert unfit.status == 1
    assert f"chmod go-w {state}" in unfit.out
    assert json.loads(root.run("pl.doctor", "--json", XDG_STATE_HOME=str(tmp_path)).out)["fit"] is False


def test_packages_are_named_only_to_be_upgraded(root: Root) -> None:
    said = root.run("pl.lock", "django")
    assert said.status == 2
    assert "pl.lock --upgrade django" in said.err
