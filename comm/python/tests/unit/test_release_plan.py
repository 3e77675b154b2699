"""What a deploy would do, decided from what helm keeps and what is live. This cluster answers and takes no writes."""

import base64
import copy
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from pl import proc
from pl.cluster.api import Api
from pl.cluster.platform import ClusterPlatform, Image, Release
from pl.errors import ApiRefused, ReleaseInvalid, UsageError
from pl.release.changes import Change
from pl.release.fields import ABSENT
from pl.release.helm import Helm
from pl.release.manifest import HOOK_INPUTS
from pl.release.plan import Plan, ReleasePlan, plan
from pl.release.target import Target

Object = dict[str, Any]


class Recorded:
    """A cluster as it was recorded. It knows reads and dry runs; anything else is an AttributeError or fails."""

    def __init__(self, live: Sequence[Object] = (), revisions: Sequence[Object] = ()) -> None:
        self.live = {self.path_of(obj, namespace="n"): copy.deepcopy(obj) for obj in live}
        self.revisions = list(revisions)
        self.refusals: dict[str, str] = {}
        self.hidden: set[str] = set()
        self.dry_runs = 0

    def path_of(self, what: Object | tuple[str, str], *, namespace: str = "", name: str = "") -> str:
        if isinstance(what, tuple):
            assert what == ("v1", "Secret")
            return f"{namespace}/secrets"
        return f"{namespace}/{what['kind']}/{what['metadata']['name']}"

    def list(self, path: str, *, labels: str = "") -> tuple[list[Object], str]:
        if path == "n/secrets":
            assert labels == "owner=helm"
            return self.revisions, "1"
        assert labels == "app.kubernetes.io/managed-by=Helm"
        return [obj for at, obj in self.live.items() if at.startswith(f"{path}/") and at not in self.hidden], "1"

    def get(self, path: str) -> Object | None:
        return self.live.get(path)

    def apply(self, path: str, obj: Object, *, manager: str, force: bool, dry_run: bool = False) -> Object:
        assert (manager, force, dry_run) == ("helm", True, True)
        self.dry_runs += 1
        if path in self.refusals:
            raise ApiRefused("apply", status=422, reason="Invalid", message=self.refusals[path], context="c")
        return cast(Object, laid_over(self.live[path], obj))


def laid_over(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: laid_over(below.get(key), value) for key, value in above.items()}}


class Charts(Helm):
    """helm, of which every chart renders to its values' ``objects``."""

    def render(self, release: str, chart: Path, values: str, *, kube_version: str, is_upgrade: bool) -> proc.Result:
        documents = "\n---\n".join(json.dumps(obj) for obj in json.loads(values)["objects"])
        return proc.Result(argv=("helm",), status=0, stdout=documents, stderr="")


def configmap(name: str = "page", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(replicas: int) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas}}


def hook(script: str, inputs: str = "") -> Object:
    annotations = {"helm.sh/hook": "pre-upgrade", **({HOOK_INPUTS: inputs} if inputs else {})}
    metadata = {"name": "migrate", "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"command": script}}


def installed(obj: Object, release: str = "web", **metadata: Any) -> Object:
    """An object as it is live, with helm's marks."""
    marks = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": "n"}
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    return {
        **obj,
        "metadata": {
            **obj["metadata"],
            "labels": labels,
            "annotations": marks,
            "uid": f"u-{obj['metadata']['name']}",
            "resourceVersion": "1",
            **metadata,
        },
    }


def revision(
    number: int,
    status: str,
    objects: Sequence[Object],
    hooks: Sequence[Object] = (),
    *,
    name: str = "web",
    ours: bool = True,
) -> Object:
    content = {
        "manifest": "\n---\n".join(json.dumps(obj) for obj in objects),
        "hooks": [{"manifest": json.dumps(one)} for one in hooks],
    }
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(content).encode()))).decode()
    labels = {"owner": "helm", "name": name, "status": status, "version": str(number)}
    return {
        "metadata": {"labels": {**labels, **({"managed-by": "pl"} if ours else {})}},
        "data": {"release": packed},
    }


def platform(*releases: Release, images: tuple[Image, ...] = ()) -> ClusterPlatform:
    # What belongs to the stage, and not to its releases, is not looked at here.
    whole = ClusterPlatform.__new__(ClusterPlatform)
    object.__setattr__(whole, "releases", releases)
    object.__setattr__(whole, "images", images)
    return whole


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart/Chart.yaml").write_text("name: web")
    return tmp_path / "chart"


def planned(cluster: Recorded, chart: Path, *objects: Object, **options: Any) -> ReleasePlan:
    return all_planned(cluster, platform(release(chart, *objects)), chart, **options).releases[0]


def release(chart: Path, *objects: Object, name: str = "web", **parts: Any) -> Release:
    return Release(name=name, chart=chart, settings={"objects": list(objects)}, **parts)


def all_planned(
    cluster: Recorded,
    whole: ClusterPlatform,
    chart: Path,
    *,
    references: Mapping[str, str] | None = None,
    **options: Any,
) -> Plan:
    folder = chart.parent / "state"
    helm = Charts(program=Path("helm"), version="4.3.1", kubeconfig=folder, namespace="n", home=folder)
    target = Target(api=cast(Api, cluster), helm=helm, kube_version="1.34.0", folder=folder)
    return plan(whole, target, references=references or {}, digests={}, **options)


def lines(changes: Sequence[Change]) -> list[tuple[str, str, str, object, object]]:
    return [(change.sort, change.where, change.path, change.old, change.new) for change in changes]


def test_what_was_never_there_is_installed(chart: Path) -> None:
    one = planned(Recorded(), chart, configmap(a="1"), hook("x"))
    assert (one.action, one.revision) == ("install", 0)
    assert lines(one.changes) == [("created", "ConfigMap/page", "", ABSENT, ABSENT)]


def test_what_is_as_it_should_be_is_left_alone(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(page)], [revision(1, "superseded", []), revision(2, "deployed", [page], [hook("x")])])
    one = planned(cluster, chart, page, hook("x"))
    assert (one.action, one.revision, one.changes, one.is_idle) == ("unchanged", 2, (), True)


def test_a_changed_chart_is_an_upgrade_and_drift_on_the_way_is_told_apart(chart: Path) -> None:
    old, gone = configmap(a="1", b="2"), configmap("gone")
    cluster = Recorded(
        [installed(old), installed(deployment(5)), installed(gone)],
        [revision(3, "deployed", [old, deployment(2), gone], [hook("old")])],
    )
    one = planned(cluster, chart, configmap(a="9", b="2"), deployment(2), configmap("new"), hook("new"))
    assert one.action == "upgrade"
    assert lines(one.changes) == [
        ("changed", "ConfigMap/page", "data.a", "1", "9"),
        ("drifted", "Deployment/web", "spec.replicas", 5, 2),
        ("created", "ConfigMap/new", "", ABSENT, ABSENT),
        ("changed", "Job/migrate (hook)", "spec.command", "old", "new"),
        ("removed", "ConfigMap/gone", "", ABSENT, ABSENT),
    ]


def test_an_object_that_is_to_be_kept_is_not_said_to_go(chart: Path) -> None:
    kept = configmap("kept")
    kept["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    one = planned(Recorded([], [revision(1, "deployed", [kept])]), chart, configmap(a="1"))
    assert [change.sort for change in one.changes] == ["created"]


def test_a_changed_hook_alone_is_an_upgrade(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(page)], [revision(1, "deployed", [page], [hook("old")])])
    assert planned(cluster, chart, page, hook("new")).action == "upgrade"


@pytest.mark.parametrize(
    ("before", "after", "skipped"),
    [
        pytest.param([hook("old", "a")], [hook("new", "a")], True, id="as it was"),
        pytest.param([hook("old", "a")], [hook("new", "b")], False, id="anew"),
        pytest.param([hook("old")], [hook("new")], False, id="it says nothing"),
        pytest.param([hook("old", "a")], [hook("new")], False, id="it says nothing any more"),
        pytest.param([], [hook("new", "a")], False, id="there was none"),
        pytest.param([], [], False, id="there are none"),
    ],
)
def test_a_hook_that_works_with_what_it_worked_with_is_left_out(
    chart: Path, before: list[Object], after: list[Object], skipped: bool
) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(page)], [revision(1, "deployed", [page], before)])
    one = planned(cluster, chart, configmap(a="2"), *after)
    assert (one.action, one.skips_hooks) == ("upgrade", skipped)
    assert any("(hook)" in change.where for change in one.changes) is (not skipped and bool(after))


def test_hooks_run_where_what_the_release_needs_is_new(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(page)], [revision(1, "deployed", [page], [hook("old", "a")])])
    database = release(chart, configmap("database"), name="database")
    web = release(chart, configmap(a="2"), hook("new", "a"), needs=("database",))
    assert [one.skips_hooks for one in all_planned(cluster, platform(database, web), chart).releases] == [False, False]


def test_values_that_render_to_the_same_make_no_revision(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(page)], [revision(1, "deployed", [page])])
    whole = platform(Release(name="web", chart=chart, settings={"objects": [page], "unused": 2}))
    assert all_planned(cluster, whole, chart).is_idle


def test_drift_is_restored_without_an_upgrade(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(configmap(a="hand"))], [revision(1, "deployed", [page, deployment(2)])])
    one = planned(cluster, chart, page, deployment(2))
    assert one.action == "restore"
    assert lines(one.changes) == [
        ("drifted", "ConfigMap/page", "data.a", "hand", "1"),
        ("missing", "Deployment/web", "", ABSENT, ABSENT),
    ]


def test_an_object_is_asked_about_again_when_somebody_wrote_it(chart: Path) -> None:
    page, other = configmap(a="1"), configmap("other", b="1")
    cluster = Recorded([installed(page), installed(other)], [revision(1, "deployed", [page, other])])
    for dry_runs in (2, 2):
        assert planned(cluster, chart, page, other).is_idle
        assert cluster.dry_runs == dry_runs
    cluster.live["n/ConfigMap/page"] = installed(configmap(a="hand"), resourceVersion="2")
    for dry_runs in (3, 4):  # one that is not as it should be is never taken for granted
        assert planned(cluster, chart, page, other).action == "restore"
        assert cluster.dry_runs == dry_runs


def test_an_object_that_lost_helms_label_is_not_missing(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(page)], [revision(1, "deployed", [page])])
    cluster.hidden = {"n/ConfigMap/page"}
    cluster.live["n/ConfigMap/page"]["metadata"]["labels"] = {}
    one = planned(cluster, chart, page)
    assert lines(one.changes) == [
        ("drifted", "ConfigMap/page", 'metadata.labels["app.kubernetes.io/managed-by"]', ABSENT, "Helm")
    ]


@pytest.mark.parametrize("by", ["target", "owner"])
def test_the_number_that_an_autoscaler_chose_is_no_drift(chart: Path, by: str) -> None:
    objects = [deployment(2)]
    scale = {"manager": "kube-controller-manager", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    live = [installed(deployment(5), managedFields=[scale] if by == "owner" else [])]
    if by == "target":
        target = {"kind": "Deployment", "name": "web"}
        spec = {"scaleTargetRef": target}
        objects.append({"apiVersion": "v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": spec})
        live.append(installed(objects[1]))
    assert planned(Recorded(live, [revision(1, "deployed", objects)]), chart, *objects).is_idle


def note() -> Object:
    return {
        "manager": "kubectl-edit",
        "operation": "Update",
        "fieldsV1": {"f:data": {"f:mine": {}}},
    }


def test_what_others_added_is_told_and_removed_only_on_request(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded(
        [installed(configmap(a="1", mine="x"), managedFields=[note()])], [revision(1, "deployed", [page])]
    )
    one = planned(cluster, chart, page)
    assert one.is_idle
    assert lines(one.additions) == [("foreign", "ConfigMap/page", "data.mine", "x", ABSENT)]
    assert one.additions[0].by == "kubectl-edit"
    assert planned(cluster, chart, page, remove_additions=True).action == "clean"


@pytest.mark.parametrize(
    ("statuses", "action", "serving", "said"),
    [
        (
            ["deployed", "pending-upgrade"],
            "unchanged",
            1,
            "revision 2 was left pending-upgrade: back to revision 1 first",
        ),
        (["deployed", "failed", "pending-rollback"], "unchanged", 1, "back to revision 1 first"),
        (["superseded", "deployed", "superseded", "pending-upgrade"], "unchanged", 2, "back to revision 2 first"),
        (["superseded", "pending-rollback"], "unchanged", 1, "back to revision 1 first"),
        (["pending-install"], "install", 0, "what is there of it goes first"),
        (["uninstalling"], "install", 0, "goes first"),
        (["superseded", "uninstalling"], "install", 0, "goes first"),
        (["deployed", "failed"], "unchanged", 1, "back to revision 1 first"),
        (["failed"], "install", 0, ""),
        (["uninstalled"], "install", 0, ""),
    ],
)
def test_what_was_left_half_done_is_taken_back_first(
    chart: Path, statuses: list[str], action: str, serving: int, said: str
) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(page)], [revision(n, status, [page]) for n, status in enumerate(statuses, 1)])
    one = planned(cluster, chart, page)
    assert (one.action, one.revision) == (action, serving)
    assert said in one.unfinished
    assert bool(said) is bool(one.unfinished)
    assert one.is_idle is False


def test_a_release_that_the_platform_no_longer_has_goes_if_it_is_ours(chart: Path) -> None:
    page = configmap(a="1")
    revisions = [
        revision(1, "deployed", [page]),
        revision(4, "deployed", [page], name="old"),
        revision(1, "deployed", [page], name="theirs", ours=False),
    ]
    cluster, whole = Recorded([installed(page)], revisions), platform(release(chart, page))
    found = all_planned(cluster, whole, chart)
    assert [(one.name, one.action) for one in found.releases] == [("web", "unchanged"), ("old", "uninstall")]
    assert all_planned(cluster, whole, chart, names=["web"]).is_idle


def test_what_the_server_would_refuse_is_told(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(page)], [revision(1, "deployed", [page])])
    cluster.refusals["n/ConfigMap/page"] = "data: field is immutable"
    one = planned(cluster, chart, configmap(a="2"))
    assert one.refusals == ("ConfigMap/page: data: field is immutable",)


def test_releases_are_chosen_with_what_they_need(chart: Path) -> None:
    whole = platform(
        release(chart, name="database"),
        release(chart, name="cache"),
        release(chart, name="web", needs=("database",)),
        release(chart, name="edge", needs=("web",)),
    )
    found = all_planned(Recorded(), whole, chart, names=["web"])
    assert [one.name for one in found.releases] == ["database", "web"]
    with pytest.raises(UsageError, match="nothing"):
        all_planned(Recorded(), whole, chart, names=["nothing"])


def test_an_image_of_ours_without_a_reference_is_refused(chart: Path) -> None:
    whole = platform(release(chart, images={"image": "hmlet-web"}), images=(Image(name="hmlet-web", context=chart),))
    with pytest.raises(ReleaseInvalid) as caught:
        all_planned(Recorded(), whole, chart)
    assert "hmlet-web" in caught.value.why


def test_the_digest_follows_from_what_would_change_and_from_what(chart: Path) -> None:
    def digest(live: str, wanted: str, number: int = 1, **options: Any) -> str:
        cluster = Recorded([installed(configmap(a=live))], [revision(number, "deployed", [configmap(a="1")])])
        return all_planned(cluster, platform(release(chart, configmap(a=wanted))), chart, **options).digest

    first = digest("1", "2")
    assert digest("1", "2") == first
    assert len({first, digest("1", "3"), digest("hand", "2"), digest("1", "2", number=7), digest("1", "1")}) == 5


def test_a_secret_counts_for_the_digest_and_is_not_shown(chart: Path) -> None:
    def secret(value: str) -> Object:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": value}}

    def found(value: str) -> Plan:
        cluster = Recorded([installed(secret("b2xk"))], [revision(1, "deployed", [secret("b2xk")])])
        return all_planned(cluster, platform(release(chart, secret(value))), chart)

    one, other = found("aHVudGVyMg=="), found("aHVudGVyMw==")
    assert one.digest != other.digest
    shown = json.dumps(one.as_json(), ensure_ascii=False)
    assert "data.password" in shown
    assert "aHVudGVyMg" not in shown + repr(one.releases[0].changes)
    assert "b2xk" not in shown


def test_a_script_reads_a_plan_as_json(chart: Path) -> None:
    page = configmap(a="1")
    cluster = Recorded([installed(configmap(a="hand"))], [revision(1, "deployed", [page])])
    whole = all_planned(cluster, platform(release(chart, page)), chart)
    assert whole.as_json() == {
        "digest": whole.digest,
        "releases": [
            {
                "release": "web",
                "action": "restore",
                "why": "live objects are not as in revision 1",
                "revision": 1,
                "unfinished": "",
                "refusals": [],
                "changes": [
                    {"object": "ConfigMap/page", "path": "data.a", "sort": "drifted", "old": "hand", "new": "1"}
                ],
                "additions": [],
            }
        ],
    }
