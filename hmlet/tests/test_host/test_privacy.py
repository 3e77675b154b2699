"""What belongs to the user alone stays with the user."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pexpect
import psutil

from hmlet.tests.test_host.place import Place


def test_the_state_is_private_whatever_it_was_before(place: Place) -> None:
    place.state.folder.mkdir(parents=True)
    place.state.folder.chmod(0o755)
    place.deploy()
    assert stat.S_IMODE(place.state.folder.stat().st_mode) == 0o700
    assert len(place.secrets()) >= 7
    open_to_others = [
        path
        for path in place.state.folder.rglob("*")
        if not path.is_symlink() and not path.is_socket() and path.stat().st_mode & 0o077
    ]
    assert open_to_others == []


def test_no_secret_is_in_a_command_line_a_configuration_or_a_log(deployed: Place) -> None:
    deployed.ok("ht.smoke")
    secrets = deployed.secrets()
    running = psutil.process_iter(["cmdline"])
    texts: dict[object, str] = {process.pid: " ".join(process.info["cmdline"] or []) for process in running}
    files = [
        *deployed.state.folder.glob("*.json"),
        *deployed.state.run.glob("*.json"),
        *deployed.state.run.glob("*.started"),
        deployed.state.run / "supervisord.conf",
        *deployed.state.log.iterdir(),
    ]
    assert len(files) >= 14
    texts.update({file: file.read_text(errors="replace") for file in files})
    found = [(name, place) for name, value in secrets.items() for place, text in texts.items() if value in text]
    assert found == []


def test_env_masks_secrets(deployed: Place) -> None:
    secrets = deployed.secrets()
    plain, as_json = deployed.run("ht.env").out, deployed.run("ht.env", "--json").out
    assert not [name for name, value in secrets.items() if value in plain + as_json]
    fields = {field["field"]: field for field in json.loads(as_json)}
    assert {name for name, field in fields.items() if field["secret"]} == set(secrets)
    assert fields["web_port"]["value"] == str(deployed.ports()["web_port"])
    assert str(deployed.state.folder / "secrets/admin_password") in plain


def test_credentials_are_shown_on_a_terminal_and_not_into_a_pipe(deployed: Place) -> None:
    password = deployed.secret("admin_password")
    piped = deployed.run("ht.credentials")
    assert piped.status == 1
    assert password not in piped.said
    assert "on a terminal only" in piped.err
    terminal = deployed.on_terminal("ht.credentials")
    terminal.expect_exact(password)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_every_process_runs_with_a_strict_umask(deployed: Place) -> None:
    masks = {}
    for process in deployed.processes():
        status = Path(f"/proc/{process.pid}/status").read_text()
        masks[process.name()] = next(line.split()[1] for line in status.splitlines() if line.startswith("Umask"))
    assert set(masks.values()) == {"0077"}, masks
