#!/usr/bin/env python3
"""How long a deploy takes where nothing or little changed, beside what others do for the same.

    hmlet/shell.py test -- python bench/cluster.py [ROUNDS]

Works on the KIND stage of the shell, which must be deployed; in turns, in one run, on the same cluster:

- ``ht.deploy`` with nothing changed, all releases checked against the live objects (target: 1.0 s);
- ``helm upgrade --install`` of the same releases with the same values, one after the other;
- ``kubectl diff`` over what they render to;
- ``skaffold run`` of the same images and releases.

Then, once each: one changed source file, from ``ht.deploy`` to the first answer of the new code through the edge
(target: 8 s), in a copy of the checkout; and ``--help`` of every command over ``python -c pass`` (target: 0.1 s).
Prints medians and ends with 1 when a target is missed. helm and skaffold add revisions of the same content: use a stage
that is to go.
"""

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests
import yaml
from pl.commands import CLUSTER
from pl.env import current
from pl.resolving import resolving
from pl.tools.install import program

from hmlet.env_comm import HmletKindEnv
from hmlet.in_cluster import platform
from hmlet.tests.test_cluster.place import Place

IDLE_S, CHANGED_S, HELP_S = 1.0, 8.0, 0.1
ANSWER = 'HttpResponse("ok\\n"'


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    env = current(HmletKindEnv)
    place = Place(env=env, checkout=env.checkout)
    place.must("deploy")
    with tempfile.TemporaryDirectory(prefix="pl-bench-") as name:
        folder = Path(name)
        contenders = _contenders(env, place, folder)
        times: dict[str, list[float]] = {called: [] for called in contenders}
        for _ in range(rounds):
            place.must("deploy")  # skaffold's run leaves its labels, which are put right
            for called, (argv, environ) in contenders.items():
                times[called].append(_took_s(argv, environ))
        with resolving(dict.fromkeys((env.web_host, env.storage_host), "127.0.0.1")):
            changed = _changed_s(place.copy(folder / "copy"))
    place.must("deploy")
    helps = _helps_s(env)
    print(f"{rounds} rounds in turns, {os.cpu_count()} cores, s: median (fastest)")
    for called, taken in times.items():
        print(f"  {called:44} {statistics.median(taken):6.2f} ({min(taken):.2f})")
    print(f"  {'one changed file, deploy to new answer':44} {changed:6.2f}")
    slowest = max(helps, key=lambda command: helps[command])
    print(f"  {f'--help over python -c pass, slowest: {slowest}':44} {helps[slowest]:6.3f}")
    idle = statistics.median(times["ht.deploy, nothing changed"])
    sys.exit(idle > IDLE_S or changed > CHANGED_S or helps[slowest] > HELP_S)


def _contenders(env: HmletKindEnv, place: Place, folder: Path) -> dict[str, tuple[list[str], Mapping[str, str]]]:
    environ = {**os.environ, "KUBECONFIG": str(env.kubeconfig)}
    helm, kubectl, skaffold = (str(program(env.checkout, name)) for name in ("helm", "kubectl", "skaffold"))
    manifests, upgrades, releases = [], [], []
    for release in platform(env).releases:
        words = (helm, "--namespace", env.namespace, "get")
        values = folder / f"{release.name}.yaml"
        values.write_text(_printed([*words, "values", release.name, "--output", "yaml"], environ), encoding="utf-8")
        manifests.append(_printed([*words, "manifest", release.name], environ))
        upgrades.append(
            f"{helm} upgrade --install {release.name} {release.chart} --namespace {env.namespace} --values {values}"
            " --server-side=true --force-conflicts --wait >/dev/null"
        )
        releases.append(
            {
                "name": release.name,
                "chartPath": str(release.chart),
                "namespace": env.namespace,
                "valuesFiles": [str(values)],
                "upgradeOnChange": True,
                # skaffold's labels begin every pod anew, and the migration wants a database that is up.
                "wait": True,
            }
        )
    whole = folder / "manifests.yaml"
    whole.write_text("\n---\n".join(manifests), encoding="utf-8")
    config = yaml.safe_load((env.root / "skaffold.yaml").read_text(encoding="utf-8"))
    config["deploy"] = {"helm": {"releases": releases}}
    config["build"]["tagPolicy"] = {"inputDigest": {}}
    for artifact in config["build"]["artifacts"]:
        artifact["context"] = str(env.root / artifact["context"])
    (folder / "skaffold.yaml").write_text(json.dumps(config), encoding="utf-8")
    run = [skaffold, "run", "--filename", str(folder / "skaffold.yaml"), "--default-repo", env.registry]
    run += ["--cache-file", str(folder / "cache"), "--status-check=false", "--interactive=false"]
    path = f"{Path(helm).parent}:{os.environ['PATH']}"
    quiet = {**environ, "PATH": path, "SKAFFOLD_UPDATE_CHECK": "false", "DO_NOT_TRACK": "1"}
    return {
        "ht.deploy, nothing changed": (["ht.deploy"], os.environ),
        "helm upgrade of the same releases": (["sh", "-ec", "\n".join(upgrades)], environ),
        "kubectl diff": (
            [
                kubectl,
                "--namespace",
                env.namespace,
                "diff",
                "--server-side",
                "--force-conflicts",
                "--filename",
                str(whole),
            ],
            environ,
        ),
        "skaffold run": (run, quiet),
    }


def _changed_s(copy: Place) -> float:
    """From the start of a deploy of one changed file to the first answer of it."""
    copy.must("deploy")  # the copy's .venv is no part of it
    mark = secrets.token_hex(6)
    probes = copy.checkout / "hmlet/photos/flesh/ops/middleware.py"
    text = probes.read_text(encoding="utf-8")
    assert ANSWER in text, f"{probes} does not answer {ANSWER} any more: change something else"
    probes.write_text(text.replace(ANSWER, f'HttpResponse("{mark}"', 1), encoding="utf-8")
    over = threading.Event()
    seen: list[float] = []

    def look() -> None:
        while not over.wait(0.05) and not seen:
            answer = requests.get(f"{copy.env.web_url}/healthz/live", timeout=5)
            if mark in answer.text:
                seen.append(time.perf_counter())

    looking = threading.Thread(target=look)
    began = time.perf_counter()
    looking.start()
    copy.must("deploy")
    over.set()
    looking.join()
    return seen[0] - began


def _helps_s(env: HmletKindEnv) -> dict[str, float]:
    """How much longer than an interpreter that does nothing each command's help takes, the fastest of five."""
    python = str(env.checkout / ".venv/bin/python")
    nothing = min(_took_s([python, "-c", "pass"], os.environ) for _ in range(10))
    return {name: min(_took_s([f"ht.{name}", "--help"], os.environ) for _ in range(5)) - nothing for name in CLUSTER}


def _printed(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    return subprocess.run(argv, env=environ, check=True, capture_output=True, text=True).stdout


def _took_s(argv: Sequence[str], environ: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(argv, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    differs = "diff" in argv and done.returncode == 1
    assert done.returncode == 0 or differs, f"{argv}: {done.stdout}{done.stderr}"
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
