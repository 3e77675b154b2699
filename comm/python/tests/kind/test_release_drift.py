"""Deploys of what is there already: nothing is written, and what drifted is put right and nothing else."""

from pathlib import Path

import pytest
from pl.errors import ReleaseInvalid, StepsFailed
from releases import Place, serve


def changed(place: Place) -> list[tuple[str, str, str]]:
    (one,) = place.plan(serve(store=True)).releases
    return [(change.sort, change.where, change.path) for change in (*one.changes, *one.additions)]


@pytest.fixture(scope="module")
def place(module_place: Place) -> Place:
    """With the release ``web`` in it."""
    module_place.deploy(serve(store=True))
    return module_place


def test_deploy_twice_makes_no_revision_and_writes_nothing(place: Place) -> None:
    before, pods, revisions = place.versions(), place.pods(), place.statuses("web")
    told = place.deploy(serve(store=True))
    assert told.done_ == {"web": "unchanged"}
    assert place.statuses("web") == revisions
    assert place.versions() == before
    assert place.pods() == pods


def test_drift_is_named_and_put_right_with_nothing_else_written(place: Place) -> None:
    before, revisions, store = place.written(), place.statuses("web"), place.pods()["web-store-0"]
    place.api.patch(place.deployment("web") + "/scale", {"spec": {"replicas": 3}}, manager="kubectl")
    container = {"name": "web", "env": [{"name": "DEBUG", "value": "on"}]}
    by_hand = {"spec": {"template": {"spec": {"containers": [container]}}}}
    place.api.patch(place.deployment("web"), by_hand, kind="strategic", manager="kubectl-edit")
    place.api.patch(place.path("ConfigMap", "web-page"), {"data": {"other.html": "changed"}}, manager="kubectl-edit")
    place.api.delete(place.path("Service", "web"))

    assert changed(place) == [
        ("drifted", "ConfigMap/web-page", 'data["other.html"]'),
        ("missing", "Service/web", ""),
        ("drifted", "Deployment/web", "spec.replicas"),
        ("drifted", "Deployment/web", "spec.template.spec.containers[web].env[DEBUG].value"),
    ]
    told = place.deploy(serve(store=True))
    assert told.done_ == {"web": "put right: ConfigMap/web-page, Service/web, Deployment/web"}
    assert changed(place) == []
    assert place.statuses("web") == revisions
    after = place.written()
    assert {name for name in before if after[name] != before[name]} == {
        "ConfigMap/web-page",
        "Service/web",
        "Deployment/web",
    }
    assert after.keys() == before.keys()
    assert place.pods()["web-store-0"] == store
    assert place.there(place.deployment("web"))["status"]["availableReplicas"] == 1


def test_what_somebody_added_is_named_and_goes_only_on_request(place: Place) -> None:
    revisions = place.statuses("web")
    place.api.patch(place.path("ConfigMap", "web-page"), {"data": {"mine": "x"}}, manager="kubectl-edit")
    place.api.patch(place.path("Service", "web"), {"metadata": {"annotations": {"note": "x"}}}, manager="kubectl-edit")
    foreign = [
        ("foreign", "ConfigMap/web-page", "data.mine"),
        ("foreign", "Service/web", "metadata.annotations.note"),
    ]
    assert changed(place) == foreign
    before = place.written()
    assert place.deploy(serve(store=True)).done_ == {"web": "unchanged"}
    assert place.written() == before
    assert changed(place) == foreign

    told = place.deploy(serve(store=True), remove_additions=True)
    assert told.done_ == {"web": "removed what others added to ConfigMap/web-page, Service/web"}
    assert changed(place) == []
    assert "mine" not in place.there(place.path("ConfigMap", "web-page"))["data"]
    assert "note" not in place.there(place.path("Service", "web"))["metadata"]["annotations"]
    after = place.written()
    moved = {name for name in before if after[name] != before[name]}
    assert moved == {"ConfigMap/web-page", "Service/web"}
    assert place.statuses("web") == revisions


def test_drift_that_an_upgrade_meets_is_put_right_by_it(function_place: Place) -> None:
    place = function_place
    place.deploy(serve())
    place.api.patch(place.deployment("web") + "/scale", {"spec": {"replicas": 2}}, manager="kubectl")
    place.api.patch(place.path("ConfigMap", "web-page"), {"data": {"other.html": "changed"}}, manager="kubectl-edit")
    place.api.delete(place.path("Service", "web"))
    place.deploy(serve(greeting="new"))
    assert place.statuses("web") == ["superseded", "deployed"]
    assert place.plan(serve(greeting="new")).is_idle
    assert place.there(place.path("ConfigMap", "web-page"))["data"]["other.html"] == "other"


def test_one_changed_value_moves_one_release_and_the_order_follows_the_needs(function_place: Place) -> None:
    place = function_place
    told = place.deploy(serve("one"), serve("two", needs=["one"]), serve("three", needs=["two"]))
    assert told.begun == ["one", "two", "three"]
    before = place.written()
    told = place.deploy(serve("one"), serve("two", needs=["one"], greeting="new"), serve("three", needs=["two"]))
    assert told.done_ == {"one": "unchanged", "two": "revision 2", "three": "unchanged"}
    after = place.written()
    moved = {name for name in after if after[name] != before.get(name)}
    assert moved == {
        "ConfigMap/two-page",
        "Deployment/two",
        "Secret/sh.helm.release.v1.two.v1",
        "Secret/sh.helm.release.v1.two.v2",
    }

    told = place.deploy(serve("one"))
    assert {name: told.done_[name] for name in ("two", "three")} == {"two": "removed", "three": "removed"}
    assert {name.split("/")[1].split("-")[0] for name in place.written() if name.startswith("Deployment/")} == {"one"}


def test_what_the_cluster_would_refuse_is_known_before_anything_is_written(
    function_place: Place, tmp_path: Path
) -> None:
    place = function_place
    place.deploy(serve(store=True))
    chart = tmp_path / "serve"
    chart.mkdir()
    for file in sorted(path for path in serve().chart.rglob("*") if path.is_file()):
        copy = chart / file.relative_to(serve().chart)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(file.read_text().replace("storage: 1Mi", "storage: 2Mi"))
    other = type(serve())(name="web", chart=chart, settings={"store": True})
    (one,) = place.plan(other).releases
    assert len(one.refusals) == 1
    assert one.refusals[0].startswith("StatefulSet/web-store: ")
    before = place.written()
    with pytest.raises(StepsFailed) as caught:
        place.deploy(other)
    assert isinstance(caught.value.failures["web"], ReleaseInvalid)
    assert place.written() == before


def test_values_that_the_chart_does_not_know_are_refused_with_their_path(function_place: Place) -> None:
    with pytest.raises(ReleaseInvalid) as caught:
        function_place.plan(serve(replica=2, replicas="2"))
    lines = caught.value.why.splitlines()
    assert "replica: the chart knows no such key (what follows from the stage's fields)" in lines
    assert "replicas: got string, want integer (what follows from the stage's fields)" in lines
