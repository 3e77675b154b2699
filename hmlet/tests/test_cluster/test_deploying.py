"""The life of a deployed stage: nothing to do, drift, a broken version, a killed deploy."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import requests
from pl.stage import Stage

from hmlet.tests.test_cluster.place import Place
from hmlet.tests.test_cluster.polling import polled

STEADY = ("deployments", "statefulsets", "services", "configmaps", "secrets", "serviceaccounts", "cronjobs", "hpa")
WITHIN_S = 120.0
_EMPTIED = json.dumps({"data": {"edge.conf": "# emptied by hand"}})


def _change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} holds {old!r} {text.count(old)} times"
    file.write_text(text.replace(old, new), encoding="utf-8")


def _live(place: Place) -> str:
    return f"{place.env.web_url}/healthz/live"


def test_deploying_again_makes_no_revision_and_restarts_no_pod(place: Place) -> None:
    before = place.revisions(), place.pods(), place.versions(STEADY)
    ended = place.must("deploy")
    assert "nothing to do" in ended.out
    assert (place.revisions(), place.pods(), place.versions(STEADY)) == before
    assert place.run("diff", "--exit-code").status == 0


def test_one_changed_value_moves_that_release_alone(place: Place, changed: Place) -> None:
    before, frontend = place.revisions(), place.pods("edge")
    values = changed.checkout / "hmlet/photos/values/test/backend.yaml"
    values.write_text(values.read_text(encoding="utf-8") + "\nbeat: {resources: {requests: {cpu: 11m}}}\n")
    assert "upgrade" in changed.must("diff").out
    changed.must("deploy")
    grown = set(place.revisions()) - set(before)
    assert {line.split(".")[4] for line in grown} == {"backend"}, grown
    assert place.pods("edge") == frontend


def test_drift_is_named_and_put_right_and_nothing_else_is_written(place: Place) -> None:
    place.kubectl("scale", "deployment/backend-worker", "--replicas=2")
    place.kubectl("set", "env", "deployment/backend-beat", "LOG_LEVEL=DEBUG")
    place.kubectl("patch", "configmap", "frontend", "--type=merge", f"--patch={_EMPTIED}")
    place.kubectl("delete", "service", "redis")
    revisions = place.revisions()

    review = place.run("diff", "--exit-code")
    assert review.status == 1
    for path in (
        "Deployment/backend-worker spec.replicas",
        "LOG_LEVEL",
        "ConfigMap/frontend data",
        "Service/redis",
    ):
        assert path in review.out, review.out
    untouched = {
        called: version
        for called, version in place.versions(STEADY).items()
        if called not in {"Deployment/backend-worker", "Deployment/backend-beat", "ConfigMap/frontend"}
    }

    place.must("deploy")
    assert place.run("diff", "--exit-code").status == 0
    assert place.revisions() == revisions
    now = place.versions(STEADY)
    assert {called: now.get(called) for called in untouched} == untouched


def test_a_version_that_crashes_is_named_and_taken_back_while_the_old_one_serves(place: Place, changed: Place) -> None:
    _change(
        changed.checkout / "hmlet/photos/flesh/config/wsgi.py",
        "application = ",
        'raise RuntimeError("planted: this version cannot start")\napplication = ',
    )
    with polled(_live(place)) as poll:
        ended = changed.run("deploy")
    assert ended.status == 1, ended.said
    assert "backend" in ended.err
    assert "planted: this version cannot start" in ended.err, ended.err
    assert poll.failures == []
    assert poll.answers > 20
    assert set(place.latest().values()) == {"deployed"}


def test_a_deploy_that_was_killed_is_repaired_by_the_next(place: Place, changed: Place) -> None:
    # Every pod of web and worker is replaced: there is time enough to be killed in.
    _change(changed.checkout / "hmlet/photos/flesh/config/wsgi.py", "application = ", "application = application_ = ")
    deploy = changed.start("deploy")
    deadline = time.monotonic() + WITHIN_S
    while place.latest()["backend"] != "pending-upgrade":
        assert deploy.poll() is None, deploy.communicate()
        assert time.monotonic() < deadline
    os.killpg(deploy.pid, signal.SIGKILL)
    deploy.communicate()

    ended = changed.must("deploy")
    assert "is deployed" in ended.out, ended.said
    assert set(place.latest().values()) == {"deployed"}
    assert changed.run("diff", "--exit-code").status == 0


def test_the_platform_serves_by_host_name_and_the_storage_gives_nothing_without_a_signature(
    place: Place, stage: Stage
) -> None:
    assert requests.get(place.env.docs_url, timeout=10).status_code == 200
    refused = requests.get(f"{place.env.storage_url}/{place.env.originals_bucket}/", timeout=10)
    assert 400 <= refused.status_code < 500
    assert stage.smoke()
