"""The subcommands on PATH: their names are those of the command lines, and their scripts are kept right."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from pl import commands, env, shell

CHECKOUT = Path(__file__).resolve().parents[4]
NAMES = ("deploy", "logs")


def test_the_names_on_path_are_those_that_the_command_lines_offer() -> None:
    import pl.cli.app
    import pl.cli.cluster
    import typer

    def offered(app: typer.Typer) -> set[str]:
        named = {
            str(command.name or command.callback.__name__) for command in app.registered_commands if command.callback
        }
        return named | {str(group.name) for group in app.registered_groups}

    assert set(commands.CLUSTER) == offered(pl.cli.cluster.app)
    assert set(commands.APP) == offered(pl.cli.app.app)


def test_each_subcommand_is_a_script_that_calls_the_entry_script(tmp_path: Path) -> None:
    folder = commands.put_on_path(tmp_path, "xx", "cluster.py", NAMES)
    assert folder == tmp_path / ".bin"
    assert sorted(file.name for file in folder.iterdir()) == ["xx.deploy", "xx.logs"]
    script = (folder / "xx.deploy").read_text(encoding="utf-8")
    assert '/../cluster.py" deploy "$@"' in script
    assert os.access(folder / "xx.deploy", os.X_OK)


def test_scripts_that_are_right_are_left_alone_and_others_mended(tmp_path: Path) -> None:
    folder = commands.put_on_path(tmp_path, "xx", "cluster.py", NAMES)
    before = (folder / "xx.logs").stat().st_ino
    (folder / "xx.deploy").write_text("damaged", encoding="utf-8")
    (folder / "xx.gone").write_text("of an older version", encoding="utf-8")
    (folder / "mine").write_text("the user's own", encoding="utf-8")
    commands.put_on_path(tmp_path, "xx", "cluster.py", NAMES)
    assert "cluster.py" in (folder / "xx.deploy").read_text(encoding="utf-8")
    assert (folder / "xx.deploy").stat().st_mode & stat.S_IXUSR
    assert (folder / "xx.logs").stat().st_ino == before
    assert not (folder / "xx.gone").exists()
    assert (folder / "mine").exists()


def test_a_folder_that_cannot_be_written_to_is_said_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".bin").write_text("a file where the folder belongs", encoding="utf-8")
    commands.put_on_path(tmp_path, "xx", "cluster.py", NAMES)
    assert "xx.* are not on PATH" in capsys.readouterr().err


def test_every_variable_of_ours_that_the_repository_uses_belongs_to_a_field() -> None:
    exported = {
        variable
        for stage in env.stages(CHECKOUT / "hmlet")
        for app in ("", "photos", "frontend")
        for variable in env.load(CHECKOUT, project="hmlet", app=app, stage=stage, instance="abc").exports()
    }
    exported |= set(env.root_env(CHECKOUT, "abc").exports())
    known = exported | set(shell.GIVEN_BY_USERS)
    name = re.compile(rb"(?<![A-Za-z0-9_])(?:PL|HT|PS|FR)_[A-Z][A-Z0-9_]*")
    strangers: dict[str, set[str]] = {}
    for file in tracked():
        if "tests" in file.parts:
            continue  # tests make up variables to show what becomes of them
        for found in name.findall(file.read_bytes()):
            if found.decode() not in known:
                strangers.setdefault(found.decode(), set()).add(str(file.relative_to(CHECKOUT)))
    assert strangers == {}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout
    files = (CHECKOUT / os.fsdecode(name) for name in listed.split(b"\0") if name)
    return [file for file in files if file.is_file() and file.stat().st_size < 1_000_000]
