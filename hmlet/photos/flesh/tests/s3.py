"""A real S3 server on this machine, for tests of how things are stored."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError
from gallery.buckets import OriginalsBucket

KEYS = {
    "access_key": "unit-test-access-key-0001",
    "secret_key": "unit-test-secret-key-0001",
    "region_name": "us-east-1",
}
STARTS_WITHIN_S = 60.0


def rclone() -> str | None:
    """Where the program is, beside the interpreter or on PATH."""
    beside = Path(sys.executable).parent / "rclone"
    return str(beside) if beside.exists() else shutil.which("rclone")


@contextmanager
def s3_server(program: str, root: Path) -> Iterator[str]:
    """The address of one that keeps its buckets in ``root``, and knows KEYS alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [program, "--config", "/dev/null", "serve", "s3", "--addr", f"127.0.0.1:{port}", "--dir-cache-time", "1s"]
    key = f'"{KEYS["access_key"]},{KEYS["secret_key"]}"'
    server = subprocess.Popen([*argv, str(root)], env={"RCLONE_AUTH_KEY": key}, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        bucket = OriginalsBucket(**KEYS, endpoint_url=address, bucket_name="waiting")
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                bucket.ensure()
                break
            except BotoCoreError:
                assert time.monotonic() < deadline, "rclone did not start"
        yield address
    finally:
        server.kill()
        server.wait()
