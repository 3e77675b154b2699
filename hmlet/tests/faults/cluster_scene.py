"""A KIND stage while people upload to it: kubectl in place of signals, and a look past the API by commands in pods."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from pl.errors import PlError
from pl.stage import Stage

from hmlet.tests.accounts import Account
from hmlet.tests.faults.scene import Counts, Scene, Unanswered
from hmlet.tests.test_cluster.place import Place
from hmlet.tests.waiting import wait_for

COMPONENTS = frozenset({"web", "worker", "beat", "queue", "database", "storage"})
"""What the chart calls the parts of the platform: a label of their pods."""
_MOVED_WITHIN_S = 180.0
_COUNTED = re.compile(r"(\d+) missing, (\d+) mismatched, (\d+) orphaned")
_HELD = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)
_ASKED = """
import json, sys
from django.db import connection
statement, values = json.load(sys.stdin)
with connection.cursor() as cursor:
    cursor.execute(statement, values)
    print("\\n" + json.dumps(cursor.fetchall(), default=str))
"""
_FLUSH = 'REDISCLI_AUTH="$(cat /run/secrets/redis/password)" valkey-cli FLUSHALL'


@dataclass(kw_only=True)
class ClusterScene(Scene):
    """One fault's turn on the KIND stage of the shell. ``account`` is who uploads."""

    place: Place
    stage: Stage
    account: Account

    @property
    def web_url(self) -> str:
        return self.place.env.web_url

    @property
    def credentials(self) -> tuple[str, str]:
        return self.account.name, self.account.password

    def kill(self, component: str) -> None:
        """SIGKILL to all containers of its pods, from their node: inside one, its first process is immune."""
        for pod in self.place.objects("pods", "--selector", f"app.kubernetes.io/component={component}"):
            node = pod["spec"]["nodeName"]
            for container in pod["status"]["containerStatuses"]:
                _, _, name = container["containerID"].partition("://")
                _on(node, "ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", "--all", name)

    def memory_mb(self, component: str) -> float:
        """What the processes of its largest pod hold; what they share is counted once."""
        asked = ("--", "sh", "-c", "cat /proc/[0-9]*/smaps_rollup 2> /dev/null || true")
        said = [self.place.kubectl("exec", pod, *asked) for pod in self.place.pods(component)]
        assert said, f"no pod of {component} runs"
        return max(sum(map(int, _HELD.findall(each))) for each in said) / 1024

    def queue_flushed(self) -> bool:
        try:
            return "OK" in self.place.kubectl("exec", "statefulset/redis", "--", "sh", "-c", _FLUSH)
        except AssertionError:
            return False

    def shell(self, code: str) -> str:
        return self._inside(code, "")

    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        try:
            told = self._inside(_ASKED, json.dumps([statement, values], default=str))
        except PlError as error:
            raise Unanswered(str(error)) from error
        return [tuple(row) for row in json.loads(told)]

    def _inside(self, code: str, given: str) -> str:
        argv = ["python", "manage.py", "shell", "--no-imports", "-c", code]
        return self.stage.run_inside(argv, input=given).strip().rpartition("\n")[2]

    def objects_named(self, words: str) -> list[str]:
        """MinIO keeps an object in a folder of its key."""
        listed = self.place.kubectl(
            "exec", "statefulset/minio", "--container", "minio", "--", "ls", "-R", "/data/hmlet-thumbnails"
        )
        return [line for line in listed.splitlines() if words in line]

    @contextlib.contextmanager
    def asleep(self, program: str) -> Iterator[None]:
        """Scaled to none, so what begins work afterwards is another pod."""
        there = len(self.place.pods(program))
        self._scaled(program, 0)
        try:
            yield
        finally:
            self._scaled(program, there)

    @contextlib.contextmanager
    def second_beat(self) -> Iterator[None]:
        self._scaled("beat", 2)
        try:
            yield
        finally:
            self._scaled("beat", 1)

    def _scaled(self, program: str, replicas: int) -> None:
        self.place.kubectl("scale", f"deployment/backend-{program}", f"--replicas={replicas}")
        selector = f"app.kubernetes.io/component={program}"

        def there() -> bool:
            pods = self.place.objects("pods", "--selector", selector)
            ready = [all(said["ready"] for said in pod["status"].get("containerStatuses", ())) for pod in pods]
            return len(pods) == replicas and all(ready)

        wait_for(there, what=f"{replicas} of {program} are there", within_s=_MOVED_WITHIN_S, pause_s=1)

    def integrity(self) -> tuple[Counts, Counts]:
        """Without SHA-256, for which the sweeper has no right; an object of the last hour is no orphan yet."""
        before = self._counts("--repair")
        return before, self._counts()

    def _counts(self, *words: str) -> Counts:
        lines: list[str] = []
        self.stage.run_scheduled("integrity", words, on_line=lines.append)
        told = _COUNTED.search("\n".join(lines))
        assert told is not None, lines
        missing, mismatched, orphaned = map(int, told.groups())
        return Counts(missing=missing, mismatched=mismatched, orphaned=orphaned)

    def left_running(self) -> list[str]:
        """Kubernetes ends what belongs to no pod."""
        return []


def _on(node: str, *words: str) -> str:
    """A command in the machine that a node of KIND is."""
    return subprocess.run(["docker", "exec", node, *words], capture_output=True, text=True, check=True).stdout
