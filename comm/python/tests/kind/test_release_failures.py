"""Releases that do not come up: the cause by its name, soon; the way back; and clients that notice nothing."""

import signal
import time
from pathlib import Path

import pytest
from pl.errors import ReleaseFailed, StepsFailed
from releases import Place, serve

NAMED_WITHIN_S = 15.0


@pytest.fixture(scope="module")
def place(module_place: Place) -> Place:
    """With the release ``web`` in it, whose two pods serve."""
    module_place.deploy(serve(replicas=2))
    return module_place


def failed(place: Place, **values: object) -> tuple[ReleaseFailed, float]:
    """The failure of a deploy with these values, and after how many seconds its cause was known."""
    began = time.monotonic()
    with pytest.raises(StepsFailed) as caught:
        place.deploy(serve(**values))  # type: ignore[arg-type]
    error = caught.value.failures["web"]
    assert isinstance(error, ReleaseFailed)
    # The logs are written when the cause is known, and before anything is taken back.
    assert error.logs
    known = min(file.stat().st_mtime for file in Path(error.logs).iterdir())
    return error, known - (time.time() - (time.monotonic() - began))


@pytest.mark.parametrize(
    ("values", "words", "detail"),
    [
        ({"image": "BROKEN"}, ("ImagePullBackOff", "no-such-image:no-such-tag"), "not found"),
        ({"args": ["echo no database here; exit 3"]}, ("CrashLoop", "exit status 3"), "no database here"),
        ({"cpu": "200"}, ("unschedulable", "Insufficient cpu"), ""),
        ({"runAsUser": 0}, ("Deployment/web", "Pod Security", "runAsUser"), ""),
        ({"claim": "no-such-class"}, ("PersistentVolumeClaim/web-data", "no-such-class"), ""),
        ({"mountSecret": "no-such-secret"}, ("cannot start", "no-such-secret"), ""),
        ({"migration": "echo adding a column; echo it is there >&2; exit 7"}, ("Job/web-migrate", "7"), "it is there"),
    ],
    ids=["image", "crash", "unschedulable", "pod security", "volume", "mount", "migration"],
)
def test_a_failure_is_named_and_taken_back_while_clients_notice_nothing(
    place: Place, values: dict[str, object], words: tuple[str, ...], detail: str
) -> None:
    if "image" in values:
        values = {"image": place.broken_image}
    pods = {name for name in place.pods() if "migrate" not in name}
    with place.polled("web") as wrong:
        error, known_after_s = failed(place, replicas=2, **values)
    for word in words:
        assert word in error.cause
    assert detail in error.why
    assert "which serves" in error.outcome
    assert known_after_s < NAMED_WITHIN_S
    assert wrong == []
    assert {name for name in place.pods() if "migrate" not in name} == pods
    assert place.plan(serve(replicas=2)).is_idle
    assert place.statuses("web")[-2:] == ["failed", "deployed"]


def test_a_pod_that_never_gets_ready_is_named_at_the_timeout_with_its_probe(function_place: Place) -> None:
    place = function_place
    place.deploy(serve())
    with pytest.raises(StepsFailed) as caught:
        place.deploy(serve(readinessPath="/no-such-page"), timeout_s=8)
    error = caught.value.failures["web"]
    assert isinstance(error, ReleaseFailed)
    assert "is not ready: Readiness probe failed: HTTP probe failed with statuscode: 404" in error.cause
    assert place.plan(serve()).is_idle


def test_the_logs_of_a_failure_are_kept(place: Place) -> None:
    error, _ = failed(place, replicas=2, args=["echo first; echo second; exit 1"])
    kept = {file.name: file.read_text() for file in Path(error.logs).iterdir()}
    assert any("first\nsecond\n" in text for name, text in kept.items() if name.endswith(".web.log"))
    assert "BackOff" in kept["events.txt"]
    assert Path(error.logs).stat().st_mode & 0o077 == 0


def test_a_failed_first_install_leaves_nothing_but_the_volumes_and_the_next_succeeds(function_place: Place) -> None:
    place = function_place
    before = place.written()
    error, _ = failed(place, store=True, migration="true", args=["exit 1"])
    assert "nothing of it is left" in error.outcome
    left = set(place.written()) - set(before)
    assert left == {"PersistentVolumeClaim/data-web-store-0"}
    assert place.history("web") is None
    assert place.deploy(serve(store=True)).done_ == {"web": "revision 1"}


def test_a_release_that_needs_a_failed_one_is_not_tried(function_place: Place) -> None:
    place = function_place
    with pytest.raises(StepsFailed) as caught:
        place.deploy(serve(args=["exit 1"]), serve("other", needs=["web"]), serve("free"))
    assert set(caught.value.failures) == {"web"}
    assert "not tried, because of that: other" in str(caught.value)
    assert place.history("other") is None
    assert place.statuses("free") == ["deployed"]


def test_what_helm_itself_refuses_is_told_in_its_words(function_place: Place) -> None:
    place = function_place
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web-page"}, "data": {"theirs": "x"}}
    place.api.create(place.path("ConfigMap", ""), theirs)
    error, _ = failed(place)
    assert "invalid ownership metadata" in str(error)
    assert place.there(place.path("ConfigMap", "web-page"))["data"] == {"theirs": "x"}


def test_ctrl_c_takes_back_what_is_half_done_and_says_so(function_place: Place) -> None:
    place = function_place
    place.deploy(serve("one"), serve("two", needs=["one"]))
    with place.deploying(
        serve("one", readinessPath="/no-such-page"), serve("two", needs=["one"], greeting="new")
    ) as process:
        place.until(lambda: place.statuses("one") == ["deployed", "pending-upgrade"], "an upgrade")
        place.until(lambda: len(place.pods()) == 3, "a new pod")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "one: taken back to revision 1, which serves" in said
    assert "two: not begun" in said
    assert place.statuses("one") == ["superseded", "failed", "deployed"]
    assert place.plan(serve("one"), serve("two", needs=["one"])).is_idle


def test_what_an_upgraded_release_needs_is_waited_for_though_nothing_of_it_changes(function_place: Place) -> None:
    place = function_place
    place.deploy(serve("one"), serve("two", needs=["one"]))
    for pod in [name for name in place.pods() if name.startswith("one-")]:
        place.api.delete(place.path("Pod", pod))
    place.until(lambda: "availableReplicas" not in place.there(place.deployment("one"))["status"], "a gap")
    told = place.deploy(serve("one"), serve("two", needs=["one"], greeting="new"))
    assert told.done_ == {"one": "unchanged", "two": "revision 2"}
    assert place.there(place.deployment("one"))["status"]["availableReplicas"] == 1
