"""The schema in a process that has not made one yet, asked for by several at once."""

import subprocess
import sys
from pathlib import Path

FLESH = Path(__file__).parents[2]
PROGRAM = """
import threading
import django
django.setup()
from django.test import Client
together = threading.Barrier(8)
answers = []
def ask():
    together.wait()
    answers.append(Client(raise_request_exception=False).get("/api/v1/schema/").status_code)
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(answers)
"""


def test_the_first_requests_for_the_schema_may_come_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=FLESH,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip().splitlines()[-1:] == [str([200] * 8)], done.stderr[-3000:]
