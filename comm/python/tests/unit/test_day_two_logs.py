"""Logs over broken streams and restarts: what was read once is not read again, and nothing is left out."""

from typing import Any

from pl.cluster_stage.logs import Place, containers, moment_of, stamped


def read(place: Place, *stamps: str) -> list[str]:
    return [stamp for stamp in stamps if place.is_new(stamp)]


def test_times_are_compared_whatever_the_length_of_their_fractions_and_their_zone() -> None:
    assert moment_of("2026-11-21T14:55:09.1Z") == moment_of("2026-11-21T14:55:09.100000000Z")
    assert (
        moment_of("2026-11-21T14:55:09.09Z") < moment_of("2026-11-21T14:55:09.1Z") < moment_of("2026-11-21T14:55:10Z")
    )
    assert moment_of("2026-11-21T15:55:09.1+01:00") == moment_of("2026-11-21T14:55:09.1Z")


def test_a_line_is_split_from_its_timestamp() -> None:
    assert stamped(b"2026-11-21T14:55:09.123456789Z  indented text") == (
        "2026-11-21T14:55:09.123456789Z",
        " indented text",
    )


def test_what_the_node_itself_says_has_no_timestamp() -> None:
    assert stamped(b"failed to create fsnotify watcher: too many open files") == (
        "",
        "failed to create fsnotify watcher: too many open files",
    )


def test_a_stream_is_gone_on_with_after_the_last_line() -> None:
    place = Place()
    read(place, "2026-11-21T14:00:00.1Z", "2026-11-21T14:00:00.2Z")
    assert place.resume() == "2026-11-21T14:00:00.2Z"
    again = ("2026-11-21T14:00:00.1Z", "2026-11-21T14:00:00.2Z", "2026-11-21T14:00:00.3Z")
    assert read(place, *again) == ["2026-11-21T14:00:00.3Z"]


def test_lines_of_one_moment_are_counted() -> None:
    place = Place()
    moment = "2026-11-21T14:00:00.1Z"
    read(place, moment, moment)
    place.resume()
    assert read(place, moment, moment, moment) == [moment]
    place.resume()
    assert read(place, moment, moment, moment) == []


def test_a_clock_that_goes_back_loses_no_line() -> None:
    place = Place()
    assert len(read(place, "2026-11-21T14:00:05Z", "2026-11-21T14:00:01Z", "2026-11-21T14:00:02Z")) == 3


def test_nothing_was_read_of_a_new_log() -> None:
    assert Place().resume() == ""


def pod(*statuses: dict[str, Any], containers: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": "backend-web-1-abc", "uid": "u", "labels": {"app.kubernetes.io/component": "web"}},
        "spec": {"containers": [{"name": "web"}] * containers},
        "status": {"containerStatuses": list(statuses)},
    }


def test_a_container_that_never_started_has_no_log() -> None:
    assert containers([pod({"name": "web", "state": {"waiting": {}}})]) == []


def test_containers_are_told_apart_where_there_are_several() -> None:
    running = {"name": "web", "containerID": "c1", "state": {"running": {}}}
    assert [found.source for found in containers([pod(running)])] == ["web-abc"]
    assert [found.source for found in containers([pod(running, containers=2)])] == ["web-abc/web"]


def test_a_container_that_waits_to_be_started_again_is_the_one_that_ended() -> None:
    ended = {"terminated": {"containerID": "c1"}}
    waiting = pod({"name": "web", "containerID": "c1", "state": {"waiting": {}}, "lastState": ended})
    again = pod({"name": "web", "containerID": "c2", "state": {"running": {}}, "lastState": ended})
    assert [(found.current, found.before) for found in containers([waiting, again])] == [("c1", ""), ("c2", "c1")]
