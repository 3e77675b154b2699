"""What a shell takes over from the one outside it, pip's settings in uv's words, and the Pythons turned away."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from pl import env, shell, venv
from pl.errors import UsageError

CHECKOUT = Path(__file__).resolve().parents[4]
ENTRIES = ["shell.py", "hmlet/shell.py", "hmlet/photos/shell.py", "hmlet/frontend/shell.py"]


def outer(**variables: str) -> dict[str, str]:
    """The variables of the shell outside."""
    return variables


def test_the_instance_follows_from_the_checkouts_path() -> None:
    assert shell._instance(outer(), "/a/checkout") == env.derived_instance("/a/checkout")
    assert shell._instance(outer(), "/a/checkout") != shell._instance(outer(), "/another")


def test_an_instance_that_was_asked_for_is_taken() -> None:
    assert shell._instance(outer(PL_INSTANCE="demo-2"), "/a") == "demo-2"
    assert shell._instance(outer(PL_INSTANCE="demo-2", PL_CHECKOUT="/b"), "/a") == "demo-2"


def test_an_instance_that_another_checkout_derived_for_itself_is_not() -> None:
    told = outer(PL_INSTANCE=env.derived_instance("/b"), PL_CHECKOUT="/b")
    assert shell._instance(told, "/a") == env.derived_instance("/a")


@pytest.mark.parametrize("wrong", ["Demo", "a b", "a/b", "-a", "a-", "ä", "a" * 21, "..", "a\nb"])
def test_an_instance_that_cannot_be_part_of_names_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="PL_INSTANCE"):
        shell._instance(outer(PL_INSTANCE=wrong), "/a")


def test_a_nested_shell_takes_off_what_the_outer_one_put_on() -> None:
    told = outer(
        PATH="/out/.bin:/out/.venv/bin:/usr/local/bin:/usr/bin",
        PL_PATH="/out/.bin:/out/.venv/bin",
        PL_PREFIXES="PL HT",
        PL_STAGE="host",
        PL_INSTANCE="demo",
        PL_MIRROR="/mirror",
        HT_WEB_PORT="1",
        HTOP="kept",
        KUBECONFIG="/out/kubeconfig",
        LANG="C.UTF-8",
    )
    assert shell._undressed(told) == {
        "PATH": "/usr/local/bin:/usr/bin",
        "PL_INSTANCE": "demo",
        "PL_MIRROR": "/mirror",
        "HTOP": "kept",
        "LANG": "C.UTF-8",
    }


def test_a_first_shell_takes_off_nothing_but_another_pythons_environment() -> None:
    told = outer(
        PATH="/usr/bin",
        KUBECONFIG="/mine",
        HT_MINE="kept",
        VIRTUAL_ENV="/v",
        PYTHONHOME="/p",
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONPATH="/l",
    )
    assert shell._undressed(told) == {"PATH": "/usr/bin", "KUBECONFIG": "/mine", "HT_MINE": "kept", "PYTHONPATH": "/l"}


def test_what_pip_was_told_of_mirrors_and_certificates_is_told_to_uv() -> None:
    told = (
        ":env:.cert='/etc/ours.pem'\n"
        ":env:.find-links='/opt/one\\n/opt/two'\n"
        "global.index-url='https://user:word@mirror.invalid/simple?a=b'\n"
        "global.extra-index-url='https://one.invalid/\\nhttps://two.invalid/'\n"
        "global.cert='/etc/other.pem'\n"
        "global.timeout='60'\n"
    )
    assert venv.told_to_uv(told, {"UV_INDEX": "https://mine.invalid/"}) == {
        "SSL_CERT_FILE": "/etc/ours.pem",
        "UV_FIND_LINKS": "/opt/one,/opt/two",
        "UV_DEFAULT_INDEX": "https://user:word@mirror.invalid/simple?a=b",
        "UV_INDEX": "https://mine.invalid/",
    }


@pytest.mark.parametrize(
    ("why", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "free about 1 GB"),
        ("[Errno 30] Read-only file system: '/x/.deps'", "writable"),
        ("error sending request: dns error", "check the network"),
        ("Hash mismatch for `six`", "differs from the lock"),
        ("/usr/bin/python3: No module named pip", "ensurepip"),
        ("anything else", "call the same command again"),
    ],
)
def test_every_failure_of_a_build_comes_with_a_remedy(why: str, remedy: str) -> None:
    assert remedy in venv._remedy(why)


@pytest.mark.parametrize("file", [*ENTRIES, "comm/python/pl/__init__.py"])
def test_what_an_old_python_reads_before_it_is_turned_away_parses_there(file: str) -> None:
    source = (CHECKOUT / file).read_text(encoding="ascii")
    ast.parse(source, feature_version=(3, 4))
    assert "import annotations" not in source


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 10, 13)])
def test_an_old_python_says_so_in_one_line(version: tuple[int, int, int]) -> None:
    pretend = f"import sys; sys.version_info = {version}; sys.argv[0] = './shell.py'; import pl"
    done = subprocess.run(
        [sys.executable, "-c", pretend], cwd=CHECKOUT / "comm/python", capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert done.stdout == ""
    wanted = f"plasma needs Python 3.11 or later, and this is {version[0]}.{version[1]}: try python3.11 ./shell.py\n"
    assert done.stderr == wanted
