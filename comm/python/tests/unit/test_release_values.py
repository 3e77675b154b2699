"""Values: merged from all their origins, and every mistake with its path and its place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pl import proc
from pl.cluster.platform import Release
from pl.errors import ReleaseInvalid
from pl.release.documents import documents
from pl.release.helm import Helm
from pl.release.render import Renderer
from pl.release.values import merged


class Rendering(Helm):
    """helm that says what it was told to say, and counts how often it was asked."""

    said: proc.Result
    asked: int

    def render(self, release: str, chart: Path, values: str, *, kube_version: str, is_upgrade: bool) -> proc.Result:
        object.__setattr__(self, "asked", self.asked + 1)
        return self.said


def rendering(
    folder: Path, *, status: int = 0, stdout: str = "", stderr: str = "", version: str = "4.3.1"
) -> Rendering:
    helm = Rendering(program=Path("helm"), version=version, kubeconfig=folder, namespace="n", home=folder)
    object.__setattr__(helm, "said", proc.Result(argv=("helm",), status=status, stdout=stdout, stderr=stderr))
    object.__setattr__(helm, "asked", 0)
    return helm


def release(folder: Path, text: str | None = None, **parts: Any) -> Release:
    file = folder / "web.yaml"
    if text is not None:
        file.write_text(text)
    chart = folder / "chart"
    chart.mkdir(exist_ok=True)
    (chart / "Chart.yaml").write_text("name: chart")
    return Release(name="web", chart=chart, values=None if text is None else file, **parts)


def tree(made: Release, references: Mapping[str, str] | None = None) -> Mapping[str, object]:
    return merged(made, references=references or {}, digests={"keys": "d1"}).tree


def test_later_origins_win_key_by_key(tmp_path: Path) -> None:
    made = release(
        tmp_path,
        "web: {replicas: 2, level: info, list: [1, 2]}\nimage: from-file",
        settings={"web": {"level": "debug", "list": [3]}},
        images={"image": "hmlet-web", "web.sidecar.image": "nginx:1"},
        secrets={"web.checksum": "keys"},
    )
    assert tree(made, {"hmlet-web": "127.0.0.1:5000/hmlet-web:abc"}) == {
        "web": {
            "replicas": 2,
            "level": "debug",
            "list": [3],
            "sidecar": {"image": "nginx:1"},
            "checksum": "d1",
        },
        "image": "127.0.0.1:5000/hmlet-web:abc",
    }


def test_merging_changes_nothing_of_what_it_is_given(tmp_path: Path) -> None:
    settings = {"web": {"level": "info"}}
    tree(release(tmp_path, settings=settings, images={"web.image": "nginx:1"}))
    assert settings == {"web": {"level": "info"}}


def test_a_release_may_do_without_a_file_and_with_an_empty_one(tmp_path: Path) -> None:
    assert tree(release(tmp_path)) == {}
    assert tree(release(tmp_path, "# nothing yet\n")) == {}


@pytest.mark.parametrize("text", ["- a list", "a: [", "a: 1\n---\nb: 2", "text"])
def test_a_file_that_holds_no_values_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReleaseInvalid) as caught:
        tree(release(tmp_path, text))
    assert "web.yaml" in caught.value.why


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    made = Release(name="web", chart=tmp_path, values=tmp_path / "gone.yaml")
    with pytest.raises(ReleaseInvalid, match="web"):
        tree(made)


def test_a_secret_that_nobody_makes_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseInvalid) as caught:
        tree(release(tmp_path, secrets={"checksum": "no-such"}))
    assert "no-such" in caught.value.why


def test_yaml_is_read_as_helm_reads_it() -> None:
    assert documents("at: 12:30\nday: 2026-01-01\nmode: 0644\nnumber: 1_000\non: yes") == [
        {"at": "12:30", "day": "2026-01-01", "mode": 420, "number": 1000, True: True}
    ]


SCHEMA_SAYS = """\
Error: values don't meet the specifications of the schema(s) in the following chart(s):
serve:
- at '/web/replicas': got string, want integer
- at '/web': additional properties 'replica', 'imagee' not allowed
- at '': additional properties 'bogus' not allowed
- at '/checksum': minLength: got 0, want 1
"""


def test_values_that_the_schema_refuses_are_told_with_path_and_place(tmp_path: Path) -> None:
    made = release(tmp_path, "web: {replicas: '2', replica: 1}\nbogus: 1", settings={"web": {"imagee": "x"}})
    values = merged(made, references={}, digests={})
    renderer = Renderer(rendering(tmp_path, status=1, stderr=SCHEMA_SAYS), tmp_path / "renders", kube_version="1.34.0")
    with pytest.raises(ReleaseInvalid) as caught:
        renderer.render(made, values, is_upgrade=True)
    file = tmp_path / "web.yaml"
    assert caught.value.why.splitlines() == [
        f"web.replicas: got string, want integer ({file})",
        f"web.replica: the chart knows no such key ({file})",
        "web.imagee: the chart knows no such key (what follows from the stage's fields)",
        f"bogus: the chart knows no such key ({file})",
        "checksum: minLength: got 0, want 1",
    ]


def test_other_failures_to_render_are_told_in_helms_words(tmp_path: Path) -> None:
    made = release(tmp_path)
    renderer = Renderer(rendering(tmp_path, status=1, stderr="Error: nil pointer"), tmp_path, kube_version="1.34.0")
    with pytest.raises(ReleaseInvalid) as caught:
        renderer.render(made, merged(made, references={}, digests={}), is_upgrade=True)
    assert caught.value.why == "Error: nil pointer"


RENDERED = """\
kind: Service
metadata: {name: a}
---
# nothing
---
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: "pre-install, pre-upgrade"}}
---
kind: Pod
metadata: {name: try, annotations: {helm.sh/hook: test}}
"""


def test_what_is_rendered_is_asked_for_once_for_each_set_of_inputs(tmp_path: Path) -> None:
    made = release(tmp_path, "a: 1")
    helm = rendering(tmp_path, stdout=RENDERED)
    renderer = Renderer(helm, tmp_path / "renders", kube_version="1.34.0")
    values = merged(made, references={}, digests={})
    first = renderer.render(made, values, is_upgrade=True)
    assert [obj["metadata"]["name"] for obj in first.objects] == ["a"]
    assert [obj["metadata"]["name"] for obj in first.hooks] == ["migrate"]
    assert renderer.render(made, values, is_upgrade=True) == first
    assert helm.asked == 1

    (made.chart / "Chart.yaml").write_text("name: other")
    renderer.render(made, values, is_upgrade=True)
    Renderer(helm, tmp_path / "renders", kube_version="1.35.0").render(made, values, is_upgrade=True)
    made = release(tmp_path, "a: 2")
    renderer.render(made, merged(made, references={}, digests={}), is_upgrade=True)
    assert helm.asked == 4


def test_old_renders_are_thrown_away_and_damaged_ones_made_again(tmp_path: Path) -> None:
    helm = rendering(tmp_path, stdout=RENDERED)
    renderer = Renderer(helm, tmp_path / "renders", kube_version="1.34.0")
    for number in range(8):
        made = release(tmp_path, f"a: {number}")
        values = merged(made, references={}, digests={})
        renderer.render(made, values, is_upgrade=True)
    kept = list((tmp_path / "renders").iterdir())
    assert len(kept) == 4
    for file in kept:
        file.write_text("{")
    assert renderer.render(made, values, is_upgrade=True).objects
    assert helm.asked == 9


def test_helm_3_is_called_by_its_own_flags(tmp_path: Path) -> None:
    def waiting(version: str) -> list[str]:
        helm = Helm(program=Path("helm"), version=version, kubeconfig=tmp_path, namespace="n", home=tmp_path)
        return [str(word) for word in helm.upgrade_words("web", tmp_path, timeout_s=60)]

    assert "--atomic" in waiting("3.22.0")
    assert not {"--rollback-on-failure", "--server-side=true", "--force-conflicts"} & set(waiting("3.22.0"))
    assert {"--rollback-on-failure", "--server-side=true", "--force-conflicts"} <= set(waiting("v4.3.1"))
    assert "--atomic" not in waiting("4.3.1")
