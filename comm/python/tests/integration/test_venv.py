"""``.venv`` in throw-away checkouts: real builds, and everything that may come between."""

import os
import shutil
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from shells import CHECKOUT, PYTHON, copied, locked, terminal, wait_until

PREFIX = ["python", "-c", "import sys, iniconfig, packaging; print(sys.prefix)"]
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
LONG_S = 60


def run(argv: Sequence[str | Path], **kwargs: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, capture_output=True, text=True, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


def opened(checkout: Path, env: dict[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    return run([checkout / "shell.py", "--", *(command or PREFIX)], env=env)


def works(checkout: Path, env: dict[str, str]) -> bool:
    """A shell opens without building anything, and its packages are there."""
    done = opened(checkout, env)
    return (done.returncode, done.stdout, done.stderr) == (0, f"{checkout}/.venv\n", "")


def environments(checkout: Path) -> list[str]:
    return sorted(path.name for path in (checkout / ".deps").iterdir() if path.name.startswith("venv-"))


def current(checkout: Path) -> Path:
    return (checkout / ".venv").resolve()


def site_packages(checkout: Path) -> Path:
    return next(current(checkout).glob("lib/python3.*/site-packages"))


@pytest.fixture
def no_network(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same person where every address is out of reach, and nothing is in any cache."""
    told = {name: value for name, value in env.items() if name not in ("NO_PROXY", "no_proxy", "PIP_FIND_LINKS")}
    return {
        **told,
        **NO_NETWORK,
        "UV_CACHE_DIR": str(tmp_path / "empty-uv"),
        "PIP_CACHE_DIR": str(tmp_path / "empty-pip"),
    }


@pytest.fixture
def built(fresh: Path, env: dict[str, str]) -> Path:
    """A checkout of this test alone, with a current ``.venv``."""
    assert opened(fresh, env).returncode == 0
    return fresh


def change_lock(checkout: Path, *packages: str) -> None:
    (checkout / "requirements/dev.txt").write_text(locked("iniconfig", "packaging", *packages), encoding="utf-8")


class Uv:
    """uv with a script before it, which notes each call and may stop at one."""

    def __init__(self, checkout: Path) -> None:
        self._uv = next((checkout / ".deps").glob("uv-*/bin/uv"))
        self._real = self._uv.with_name("uv.real")
        self._uv.rename(self._real)
        self.calls = checkout / "calls"
        self.reached = checkout / "reached"
        self.go_on = checkout / "go-on"
        self.wrap("")

    def wrap(self, steps: str) -> None:
        script = f"""\
            #!/bin/sh
            echo "$1 $2" >> '{self.calls}'
            stop() {{  # three minutes at most, should the test that waits end before it
                touch '{self.reached}'
                for _ in $(seq 9000); do [ -e '{self.go_on}' ] && return; sleep 0.02; done
            }}
            {steps}
            exec '{self._real}' "$@"
        """
        self._uv.write_text(textwrap.dedent(script), encoding="utf-8")
        self._uv.chmod(0o755)

    def unwrap(self) -> None:
        self._real.replace(self._uv)


STOPS = {
    "before the environment": '[ "$1" = venv ] && stop',
    "before the packages": '[ "$1 $2" = "pip sync" ] && stop',
    "among the packages": """[ "$1 $2" = "pip sync" ] && {
                "$0.real" "$@"; rm -r "${6%/bin/python}"/lib/*/site-packages/packaging; stop; }""",
    "before the mark": '[ "$1 $2" = "pip sync" ] && { "$0.real" "$@"; stop; exit; }',
}


def test_the_first_shell_makes_it_and_the_second_only_looks(fresh: Path, env: dict[str, str]) -> None:
    first = opened(fresh, env, "printf", "x")
    assert (first.returncode, first.stdout) == (0, "x")
    assert (fresh / ".venv").is_symlink()
    assert not (fresh / ".venv").readlink().is_absolute()
    assert works(fresh, env)
    assert works(fresh, {**env, "PATH": f"{fresh}/.venv/bin:{env['PATH']}"})


def test_a_fresh_clone_without_uv_fetches_it_and_prints_nothing_of_ours(tmp_path: Path, env: dict[str, str]) -> None:
    clone = copied(tmp_path / "clone", installer=False)
    in_the_way = {"PIP_REQUIRE_VIRTUALENV": "1", "PIP_USER": "1"}
    done = opened(clone, {**env, **in_the_way}, "printf", "x")
    assert (done.returncode, done.stdout) == (0, "x"), done.stderr
    assert "plasma: fetching the installer (uv)" in done.stderr.splitlines()
    assert works(clone, env)


def test_a_shell_inside_a_shell_can_build_although_its_python_has_no_pip(built: Path, env: dict[str, str]) -> None:
    change_lock(built, "pygments")
    for fetched in (built / ".deps").glob("uv-*"):
        shutil.rmtree(fetched)
    inside = f'{built}/.venv/bin/python {built}/shell.py -- python -c "import pygments, sys; print(sys.prefix)"'
    done = run(["sh", "-c", inside], env={**env, "PATH": f"{built}/.venv/bin:{env['PATH']}"})
    assert (done.returncode, done.stdout) == (0, f"{built}/.venv\n"), done.stderr


def test_four_shells_at_once_on_a_fresh_clone_build_once_and_all_work(fresh: Path, env: dict[str, str]) -> None:
    uv = Uv(fresh)
    uv.wrap(STOPS["before the environment"])
    argv = [str(fresh / "shell.py"), "--", *PREFIX]
    shells = [
        subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    wait_until(uv.reached.exists)
    uv.go_on.touch()
    said = [shell.communicate(timeout=LONG_S) for shell in shells]
    assert [shell.returncode for shell in shells] == [0] * 4, said
    assert [out for out, _ in said] == [f"{fresh}/.venv\n"] * 4
    assert uv.calls.read_text(encoding="ascii").split("\n").count("venv --quiet") == 1
    assert len(environments(fresh)) == 1


@pytest.mark.parametrize("moment", STOPS)
@pytest.mark.parametrize("whom", ["all", "the shell alone"])
def test_a_build_killed_at_any_moment_is_made_again(fresh: Path, env: dict[str, str], moment: str, whom: str) -> None:
    uv = Uv(fresh)
    uv.wrap(STOPS[moment])
    first = subprocess.Popen(
        [fresh / "shell.py", "--", *PREFIX], env=env, start_new_session=True, stderr=subprocess.DEVNULL
    )
    wait_until(uv.reached.exists)
    if whom == "all":
        os.killpg(first.pid, signal.SIGKILL)
    else:
        first.kill()
    first.wait(timeout=LONG_S)
    assert not (fresh / ".venv").exists()
    uv.unwrap()
    second = subprocess.Popen(
        [fresh / "shell.py", "--", *PREFIX], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if whom != "all":  # what the killed one started still works in there, and is waited for
        assert second.stderr is not None
        assert "waiting" in second.stderr.readline()
        uv.go_on.touch()
    out, err = second.communicate(timeout=LONG_S)
    assert (second.returncode, out) == (0, f"{fresh}/.venv\n"), err
    assert works(fresh, env)
    assert len(environments(fresh)) == 1


def _no_mark(checkout: Path) -> None:
    (current(checkout) / ".complete").unlink()


def _no_package(checkout: Path) -> None:
    shutil.rmtree(site_packages(checkout) / "iniconfig")


def _no_interpreter(checkout: Path) -> None:
    (current(checkout) / "bin/python").unlink()


def _interpreter_gone(checkout: Path) -> None:
    (current(checkout) / "bin/python").unlink()
    (current(checkout) / "bin/python").symlink_to("/usr/lib/no-such-python")


def _no_folder(checkout: Path) -> None:
    shutil.rmtree(current(checkout))


def _no_link(checkout: Path) -> None:
    (checkout / ".venv").unlink()


def _another_link(checkout: Path) -> None:
    (checkout / ".venv").unlink()
    (checkout / ".venv").symlink_to("/usr")


def _added_package(checkout: Path) -> None:
    (site_packages(checkout) / "stranger.py").touch()


DAMAGES = [
    _no_mark,
    _no_package,
    _no_interpreter,
    _interpreter_gone,
    _no_folder,
    _no_link,
    _another_link,
    _added_package,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_environment_is_noticed_and_made_again(
    built: Path, env: dict[str, str], damage: Callable[[Path], None]
) -> None:
    damage(built)
    done = opened(built, env)
    assert (done.returncode, done.stdout) == (0, f"{built}/.venv\n"), done.stderr
    assert works(built, env)
    assert not list((built / ".deps").glob("*.before"))


def test_an_environment_restored_from_a_backup_is_as_good(built: Path, env: dict[str, str]) -> None:
    for folder in [site_packages(built), *site_packages(built).iterdir()]:
        os.utime(folder, (1_000_000_000, 1_000_000_000))
    assert works(built, env)


def test_a_directory_in_the_place_of_the_link_is_moved_aside(fresh: Path, env: dict[str, str]) -> None:
    for number in (1, 2):
        if (fresh / ".venv").is_symlink():
            (fresh / ".venv").unlink()
        (fresh / ".venv/bin").mkdir(parents=True)
        (fresh / ".venv/precious").write_text("mine", encoding="ascii")
        done = opened(fresh, env)
        assert done.returncode == 0
        assert f"it is now .deps/replaced-venv-{number}" in done.stderr
        assert (fresh / f".deps/replaced-venv-{number}/precious").read_text(encoding="ascii") == "mine"
        assert works(fresh, env)


def test_a_changed_lock_makes_another_beside_the_old_and_moves_the_link_at_once(
    built: Path, env: dict[str, str]
) -> None:
    before = current(built)
    change_lock(built, "pygments")
    uv = Uv(built)
    uv.wrap(STOPS["before the mark"])
    ask = ["python", "-c", "import pygments"]
    building = subprocess.Popen([built / "shell.py", "--", *ask], env=env, stderr=subprocess.DEVNULL)
    wait_until(uv.reached.exists)
    assert current(built) == before
    assert run([built / ".venv/bin/python", "-c", "import iniconfig"]).returncode == 0
    uv.go_on.touch()
    while building.poll() is None:
        assert (built / ".venv/bin/python").exists()
    assert building.returncode == 0
    after = current(built)
    assert after != before
    assert (before / ".complete").exists()
    change_lock(built)
    calls = uv.calls.read_text(encoding="ascii")
    assert opened(built, env).returncode == 0
    assert current(built) == before
    assert uv.calls.read_text(encoding="ascii") == calls


def test_without_network_a_cold_start_fails_soon_with_a_remedy(tmp_path: Path, no_network: dict[str, str]) -> None:
    clone = copied(tmp_path / "clone", installer=False)
    started = time.monotonic()
    done = opened(clone, no_network)
    assert time.monotonic() - started < 60
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: the environment could not be made" in done.stderr
    assert "→ check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (clone / ".deps").iterdir()] == ["venv.lock"]


def test_without_network_the_old_environment_stays(
    built: Path, env: dict[str, str], no_network: dict[str, str]
) -> None:
    before = current(built)
    change_lock(built, "pygments")
    started = time.monotonic()
    done = opened(built, no_network)
    assert time.monotonic() - started < 60
    assert (done.returncode, done.stdout) == (1, "")
    assert "→ check the network" in done.stderr
    assert current(built) == before
    assert environments(built) == [before.name]
    change_lock(built)
    assert works(built, no_network)


def test_without_network_a_changed_environment_stays_too(built: Path, no_network: dict[str, str]) -> None:
    _added_package(built)
    assert opened(built, no_network).returncode == 1
    assert (site_packages(built) / "stranger.py").exists()
    assert not list((built / ".deps").glob("*.before"))


def test_without_network_a_warm_cache_is_enough(built: Path, env: dict[str, str]) -> None:
    shutil.rmtree(current(built))
    done = opened(built, {**env, **NO_NETWORK, "NO_PROXY": "", "no_proxy": ""})
    assert (done.returncode, done.stdout) == (0, f"{built}/.venv\n"), done.stderr


def test_on_a_terminal_the_installers_words_are_seen_and_the_remedy_after_them(
    fresh: Path, no_network: dict[str, str]
) -> None:
    with terminal([str(fresh / "shell.py"), "--", "true"], no_network, fresh, columns=200, lines=60) as shell:
        assert shell.end() == 1
        shell.wait_for("→ check the network")
        assert shell.shows("proxy") or shell.shows("connect")


@pytest.mark.parametrize("moment", ["before the environment", "before the packages"])
def test_an_interrupted_build_ends_with_130_and_leaves_nothing(
    fresh: Path, env: dict[str, str], tmp_path: Path, moment: str
) -> None:
    uv = Uv(fresh)
    uv.wrap(STOPS[moment])
    with terminal([str(fresh / "shell.py"), "--", "true"], env, fresh) as shell:
        wait_until(uv.reached.exists)
        shell.send("\x03")
        assert shell.end() == 130
        assert "Traceback" not in "\n".join(shell.look())
    assert environments(fresh) == []


def test_a_package_that_differs_from_the_lock_is_not_installed(
    fresh: Path, env: dict[str, str], tmp_path: Path
) -> None:
    lock = fresh / "requirements/dev.txt"
    text = lock.read_text(encoding="utf-8")
    lock.write_text("".join(_zeroed(line) for line in text.splitlines(keepends=True)), encoding="utf-8")
    done = opened(fresh, {**env, "UV_CACHE_DIR": str(tmp_path / "cache")})
    assert done.returncode == 1
    assert "differs from the lock" in done.stderr
    assert environments(fresh) == []


def _zeroed(line: str) -> str:
    before, sign, digest = line.partition("sha256:")
    return before + sign + "0" * 64 + digest[64:] if sign else line


Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system for the time of the test: ``mount(folder, "-t", "tmpfs", ...)``."""
    mounted: list[Path] = []

    def mount(folder: Path, *words: str) -> Path:
        folder.mkdir(exist_ok=True)
        done = run(["mount", *words, folder])
        if done.returncode != 0:
            pytest.skip(f"this needs the right to mount, as root has on a machine of its own: {done.stderr.strip()}")
        if folder not in mounted:
            mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        run(["umount", "-l", folder])


def test_a_disk_that_is_full_is_said_and_nothing_half_made_is_left(
    env: dict[str, str], tmp_path: Path, mount: Mount
) -> None:
    uv_bytes = sum(file.stat().st_size for file in (CHECKOUT / ".deps").glob("uv-*/bin/*"))
    small = mount(tmp_path / "small", "-t", "tmpfs", "-o", f"size={uv_bytes + 12_000_000}", "none")
    checkout = copied(small / "checkout", installer=False)
    for fetched in (CHECKOUT / ".deps").glob("uv-????????????????"):
        (checkout / ".deps" / fetched.name / "bin").mkdir(parents=True)
        shutil.copy2(fetched / "bin/uv", checkout / ".deps" / fetched.name / "bin/uv")
    assert opened(checkout, env).returncode == 0
    before = current(checkout)
    change_lock(checkout, "ruff")
    done = opened(checkout, env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "→ free about 1 GB" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert environments(checkout) == [before.name]
    change_lock(checkout)
    assert works(checkout, env)


def test_a_disk_that_is_full_before_uv_is_there_is_said_as_well(
    env: dict[str, str], tmp_path: Path, mount: Mount
) -> None:
    small = mount(tmp_path / "small", "-t", "tmpfs", "-o", "size=10m", "none")
    checkout = copied(small / "checkout", installer=False)
    done = opened(checkout, env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "→ free about 1 GB" in done.stderr, done.stderr
    assert [path.name for path in (checkout / ".deps").iterdir()] == ["venv.lock"]


@pytest.mark.parametrize("prepared", [True, False], ids=["used before", "root shell alone used before"])
def test_a_read_only_checkout_with_a_current_environment_works(
    built: Path, env: dict[str, str], mount: Mount, prepared: bool
) -> None:
    ask: list[str | Path] = [built / "hmlet/shell.py", "host", "--", "printenv", "PL_STAGE"]
    if prepared:
        assert run(ask, env=env).stdout == "host\n"
    mount(mount(built, "--bind", str(built)), "-o", "remount,ro,bind")
    for _ in range(2):
        done = run(ask, env=env)
        assert (done.returncode, done.stdout) == (0, "host\n"), done.stderr
        assert "Traceback" not in done.stderr
        assert ("ht.* are not on PATH" in done.stderr) != prepared


def test_a_read_only_checkout_without_an_environment_says_what_it_needs(
    fresh: Path, env: dict[str, str], mount: Mount
) -> None:
    mount(mount(fresh, "--bind", str(fresh)), "-o", "remount,ro,bind")
    done = opened(fresh, env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "→ make the checkout writable" in done.stderr
    assert "Traceback" not in done.stderr


ODD_PATHS = ["with spaces", 'it\'s "quoted"', "päth 🛠 東京", "$HOME `id`", "-dash", "a%sb{c}*?[d]"]


@pytest.mark.parametrize("name", ODD_PATHS)
def test_a_checkout_may_have_an_odd_path(tmp_path: Path, env: dict[str, str], name: str) -> None:
    odd = copied(tmp_path / name)
    change_lock(odd, "pygments")
    (odd / "hmlet/cluster.py").write_text("import sys; print(sys.prefix, *sys.argv[1:])\n", encoding="ascii")
    ask = "pygmentize -V && ht.deploy 'a b' && python -c 'import pl.env; print(pl.env.current().root)'"
    done = run([odd / "hmlet/shell.py", "host", "--", "sh", "-c", ask], env=env)
    assert done.returncode == 0, done.stderr
    version, deploy, root = done.stdout.splitlines()
    assert version.startswith("Pygments")
    assert deploy == f"{odd}/.venv deploy a b"
    assert root == str(odd / "hmlet")
    for shell in filter(None, map(shutil.which, ("bash", "zsh"))):
        with terminal([str(odd / "hmlet/shell.py"), "host"], {**env, "SHELL": shell}, tmp_path, columns=200) as seen:
            seen.wait_for_prompt("🏠(ht)")
            assert seen.run("command -v pygmentize", "🏠(ht)") == [f"{odd}/.venv/bin/pygmentize"]


@pytest.mark.parametrize("name", ["a:b", "a\nb"])
def test_a_path_that_cannot_be_on_path_is_refused(tmp_path: Path, env: dict[str, str], name: str) -> None:
    odd = copied(tmp_path / name)
    done = opened(odd, env)
    assert done.returncode == 2
    assert "cannot be used" in done.stderr
    assert not (odd / ".venv").exists()


def test_a_clone_of_the_repository_opens_by_any_way_to_it(tmp_path: Path, built: Path, env: dict[str, str]) -> None:
    link = tmp_path / "link"
    link.symlink_to(built)
    for script in (link / "shell.py", tmp_path / "shell-link"):
        if script.name == "shell-link":
            script.symlink_to(built / "shell.py")
        done = run([PYTHON, script, "--", *PREFIX], env=env, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{built}/.venv\n", "")
