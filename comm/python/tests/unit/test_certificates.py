"""A stage's own authority, and what it signs."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pl import certificates

WANTED = {"edge": ("photos.test", "127.0.0.1")}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "stage"


@pytest.fixture(autouse=True)
def _folder(state: Path) -> None:
    state.mkdir()


def met(state: Path, *, host: str, trusting: Path | None = None) -> str:
    """What a TLS client that trusts the authority has to say of a server with the certificate: nothing, or why not."""
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificates.certificate_of(state, "edge").path, certificates.key_of(state, "edge").path)
    trusted = ssl.create_default_context(cafile=str(trusting or certificates.authority_of(state).path))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with served.wrap_socket(theirs, server_side=True):
                pass
        except OSError:
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        with trusted.wrap_socket(ours, server_hostname=host):
            return ""
    except ssl.SSLError as error:
        return str(error)
    finally:
        ours.close()
        server.join()


def texts(state: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (state / "secrets").iterdir()}


@pytest.mark.parametrize("host", WANTED["edge"])
def test_who_trusts_the_authority_believes_the_stage(state: Path, host: str) -> None:
    assert certificates.provide(state, WANTED) == ("edge",)
    assert met(state, host=host) == ""


def test_no_other_name_is_believed_and_by_no_other_authority(state: Path, tmp_path: Path) -> None:
    certificates.provide(state, WANTED)
    assert "Hostname mismatch" in met(state, host="photos.example")
    other = tmp_path / "other"
    other.mkdir()
    certificates.provide(other, WANTED)
    assert "certificate verify failed" in met(state, host="photos.test", trusting=certificates.authority_of(other).path)


def test_keys_are_their_owners_alone(state: Path) -> None:
    certificates.provide(state, WANTED)
    assert {file.stat().st_mode & 0o777 for file in (state / "secrets").iterdir()} == {0o600}
    assert (state / "secrets").stat().st_mode & 0o777 == 0o700


def test_a_second_time_nothing_is_made(state: Path) -> None:
    certificates.provide(state, WANTED)
    before = texts(state)
    assert certificates.provide(state, WANTED) == ()
    assert texts(state) == before
    assert certificates.provide(state, {}) == ()


def test_other_names_want_another_certificate_by_the_same_authority(state: Path) -> None:
    certificates.provide(state, WANTED)
    authority = certificates.authority_of(state).reveal()
    assert certificates.provide(state, {"edge": ("photos.example",)}) == ("edge",)
    assert certificates.authority_of(state).reveal() == authority
    assert met(state, host="photos.example") == ""


@pytest.mark.parametrize("lost", ["edge.crt", "edge.key", "authority.key", "authority.crt"])
def test_what_was_lost_is_made_again(state: Path, lost: str) -> None:
    certificates.provide(state, WANTED)
    (state / "secrets" / lost).unlink()
    assert certificates.provide(state, WANTED) == ("edge",)
    assert met(state, host="photos.test") == ""


def test_what_is_about_to_expire_is_made_again(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(days=370)

    certificates.provide(state, WANTED)
    monkeypatch.setattr(certificates, "datetime", Later)
    assert certificates.provide(state, WANTED) == ("edge",)
    assert certificates.provide(state, WANTED) == ()
