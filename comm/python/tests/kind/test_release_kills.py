"""Deploys that are killed at any moment: the next one goes on by itself, and nothing is left over."""

import json
import signal
import subprocess
from collections.abc import Callable

import psutil
from pl.cluster.platform import Release
from releases import Place, serve

SLOW = "echo begun; sleep 60"


def killed(place: Place, release: Release, status: str, *, when: Callable[[], object] = lambda: True) -> None:
    """Deploy, and kill that when the release has this status and ``when`` is true."""
    with place.deploying(release) as process:
        place.until(lambda: place.statuses("web")[-1:] == [status], status, every_s=0.02)
        place.until(when, "the moment to kill it")
        helms = [child for child in psutil.Process(process.pid).children(recursive=True) if "helm" in child.name()]
        assert helms
        process.send_signal(signal.SIGKILL)
        process.wait()
        place.until(lambda: not any(_runs(child) for child in helms), "the end of helm", within_s=10)
    assert place.statuses("web")[-1] == status


def migrates_slowly(place: Place) -> bool:
    """Whether the slow migration has a pod: the Job of the deploy before may be there still."""
    job = place.api.get(place.path("Job", "web-migrate", "batch/v1"))
    if job is None or job["spec"]["template"]["spec"]["containers"][0]["command"][-1] != SLOW:
        return False
    return bool((job.get("status") or {}).get("active"))


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def names(place: Place) -> set[str]:
    """What there is, less helm's revisions."""
    return {name for name in place.written() if "sh.helm" not in name and name != "ConfigMap/kube-root-ca.crt"}


PAGE, SERVER = "ConfigMap/web-page", ("Service/web", "Deployment/web")


def test_an_install_that_was_killed_is_made_anew(function_place: Place) -> None:
    place = function_place
    broken = serve(store=True, extra=["left"], image=place.broken_image)
    killed(place, broken, "pending-install", when=lambda: place.api.get(place.deployment("web")))
    (one,) = place.plan(serve(store=True)).releases
    assert one.unfinished == "revision 1 was left pending-install: what is there of it goes first"
    told = place.deploy(serve(store=True))
    assert told.done_["web"] == "revision 1 was left pending-install and is gone, revision 1"
    assert "ConfigMap/web-left" not in names(place)
    assert place.plan(serve(store=True)).is_idle


def test_an_install_that_was_killed_in_its_migration_is_made_anew(function_place: Place) -> None:
    place = function_place
    killed(place, serve(migration=SLOW), "pending-install", when=lambda: migrates_slowly(place))
    place.deploy(serve())
    assert names(place) == {PAGE, *SERVER}
    assert place.statuses("web") == ["deployed"]


def test_an_upgrade_that_was_killed_is_taken_back_and_done(function_place: Place) -> None:
    place = function_place
    place.deploy(serve())
    with place.polled("web") as wrong:
        broken = serve(greeting="broken", extra=["left"], readinessPath="/no-such-page")
        killed(place, broken, "pending-upgrade", when=lambda: place.api.get(place.path("ConfigMap", "web-left")))
        told = place.deploy(serve(greeting="right"))
    assert told.done_["web"] == "taken back to revision 1, revision 4"
    assert wrong == []
    assert names(place) == {PAGE, *SERVER}
    assert place.there(place.path("ConfigMap", "web-page"))["data"]["index.html"] == "right"
    assert place.plan(serve(greeting="right")).is_idle


def test_a_migration_that_was_killed_does_not_run_on_and_the_next_one_does(function_place: Place) -> None:
    place = function_place
    place.deploy(serve(migration="true"))
    killed(place, serve(migration=SLOW), "pending-upgrade", when=lambda: migrates_slowly(place))
    told = place.deploy(serve(migration="echo done"))
    assert told.done_["web"] == "taken back to revision 1, revision 4"
    job = place.there(place.path("Job", "web-migrate", "batch/v1"))
    assert job["spec"]["template"]["spec"]["containers"][0]["command"][-1] == "echo done"
    place.until(lambda: sum("migrate" in name for name in place.pods()) == 1, "one migration alone")


def test_a_rollback_that_was_killed_is_finished(function_place: Place) -> None:
    place = function_place
    place.deploy(serve(store=True))
    # The store's pod is made anew on the way back, which takes long enough to be killed in.
    killed(place, serve(store=True, debug="on", extra=["left"], args=["exit 1"]), "pending-rollback")
    told = place.deploy(serve(store=True))
    assert told.done_["web"].startswith("taken back to revision 1")
    assert "ConfigMap/web-left" not in names(place)
    assert place.plan(serve(store=True)).is_idle
    assert place.statuses("web")[-1] == "deployed"


def test_an_uninstall_that_was_killed_is_finished(function_place: Place) -> None:
    place = function_place
    place.deploy(serve(), serve("other"))
    secret = place.path("Secret", "sh.helm.release.v1.other.v1")
    # As helm leaves it when it is killed between its first and its last write.
    place.api.patch(secret, {"metadata": {"labels": {"status": "uninstalling"}}})
    place.deploy(serve())
    assert place.history("other") is None
    assert "Deployment/other" not in names(place)


def test_of_two_deploys_at_once_the_second_waits_and_finds_nothing_to_do(function_place: Place) -> None:
    place = function_place
    with place.deploying(serve(), locks=True) as first, place.deploying(serve(), locks=True) as second:
        said = [process.communicate(timeout=120)[0] for process in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0], said
    assert sum("'revision 1'" in text for text in said) == 1
    assert sum("unchanged" in text and "waiting for" in text for text in said) == 1
    assert place.statuses("web") == ["deployed"]


def test_a_helm_that_survived_its_deploy_is_ended_by_the_next(function_place: Place) -> None:
    """As on a machine whose kernel does not tell a process that its parent died."""
    place = function_place
    place.deploy(serve())
    survivor = subprocess.Popen(["sleep", "60"])
    note = place.folder / "helm-processes" / f"{survivor.pid}.json"
    note.write_text(json.dumps({"pid": survivor.pid, "started": psutil.Process(survivor.pid).create_time()}))
    bystander = subprocess.Popen(["sleep", "60"])
    other = note.with_name(f"{bystander.pid}.json")
    other.write_text(json.dumps({"pid": bystander.pid, "started": 1.0}))
    try:
        assert place.deploy(serve()).done_ == {"web": "unchanged"}
        assert not psutil.pid_exists(survivor.pid)
        assert bystander.poll() is None  # another process by now has that number
        assert not note.exists()
        assert not other.exists()
    finally:
        for process in (survivor, bystander):
            process.kill()
            process.wait()
