"""Encryption around an archive: age, for recipients' public keys. Who writes needs no secret; who reads has the key.

pyrage copies from a reader to a writer; here it does so in a thread at one end of a pipe, so that an archive can be
written and read like a file. Knows no Django.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, cast

import pyrage

from backups.archive import Target

_HOPELESS = "no key of yours opens it: it was encrypted for somebody else"


class SealBroken(Exception):
    """It cannot be decrypted: another key, damage, or a piece that is missing."""


class KeyInvalid(Exception):
    """What should be a key of age is none."""


def recipients_read(texts: Sequence[str]) -> list[Any]:
    """Public keys, ``age1...``. Raises KeyInvalid."""
    if not texts:
        raise KeyInvalid("nobody is named whom a backup is encrypted for")
    try:
        return [pyrage.x25519.Recipient.from_str(text) for text in texts]
    except pyrage.RecipientError as error:
        raise KeyInvalid(f"one of the recipients is no public key of age: {error}") from error


def identities_read(file: Path) -> list[Any]:
    """Private keys, from a file as age-keygen writes it. Raises KeyInvalid, and OSError."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError as error:
        raise KeyInvalid(f"{file} holds what is no private key of age") from error
    if not found:
        raise KeyInvalid(f"{file} holds no key")
    return found


@contextlib.contextmanager
def sealed(target: Target, recipients: Sequence[Any]) -> Iterator[IO[bytes]]:
    """A file: what is written there goes encrypted to ``target``. Raises what ``target`` raises."""
    reading, writing = os.pipe()
    failures: list[BaseException] = []
    remembering = _Remembering(target, failures)

    def encrypt() -> None:
        with os.fdopen(reading, "rb") as source:
            try:
                pyrage.encrypt_io(source, cast(BufferedIOBase, remembering), recipients)
            except BaseException as error:  # noqa: BLE001 - raised in the other thread
                failures.append(error)

    thread = threading.Thread(target=encrypt, name="seal")
    thread.start()
    try:
        with os.fdopen(writing, "wb", buffering=256 * 1024) as file:
            yield file
    except BrokenPipeError:
        thread.join()
        if not failures:
            raise
    finally:
        thread.join()
    if failures:
        raise failures[0]


@contextlib.contextmanager
def opened(source: IO[bytes], identities: Sequence[Any]) -> Iterator["Opened"]:
    """What is in an encrypted file, to be read once."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=256 * 1024) as plain:
        found = Opened(plain)

        def decrypt() -> None:
            with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=256 * 1024) as target:
                try:
                    pyrage.decrypt_io(cast(BufferedIOBase, source), cast(BufferedIOBase, target), identities)
                    target.flush()
                except BrokenPipeError:
                    pass  # nobody wants the rest
                except (pyrage.DecryptError, OSError) as error:
                    found.failure = error

        thread = threading.Thread(target=decrypt, name="unseal")
        thread.start()
        found.thread = thread
        try:
            yield found
        finally:
            plain.close()
            thread.join()


class _Remembering:
    """A target whose own error is known: that of the encryption says less."""

    def __init__(self, target: Target, failures: list[BaseException]) -> None:
        self._target = target
        self._failures = failures

    def write(self, content: bytes, /) -> int:
        try:
            self._target.write(content)
        except BaseException as error:
            self._failures.append(error)
            raise
        return len(content)

    def flush(self) -> None:
        """Whoever has the target does that."""


class Opened:
    """Reads what was decrypted. An end that is none is an error, and not the end."""

    failure: BaseException | None = None
    thread: threading.Thread | None = None

    def __init__(self, plain: IO[bytes]) -> None:
        self._plain = plain

    def read(self, size: int, /) -> bytes:
        """Raises SealBroken."""
        content = self._plain.read(size)
        if len(content) < size:
            if self.thread:
                self.thread.join()
            if self.failure:
                raise SealBroken(_why(self.failure)) from self.failure
        return content


def _why(error: BaseException) -> str:
    if isinstance(error, pyrage.DecryptError):
        return (
            _HOPELESS if "No matching keys" in str(error) else f"it is no backup, or its beginning is damaged: {error}"
        )
    if isinstance(error, OSError) and error.errno is not None:
        return f"it cannot be read: {error.strerror}"
    return "it is damaged, or a piece is missing"
