"""skaffold.yaml is the one list of images."""

from __future__ import annotations

from pathlib import Path

import pytest
from pl.cluster.platform import Image
from pl.errors import ImagesInvalid
from pl.images import skaffold


def _file(folder: Path, artifacts: str) -> Path:
    file = folder / "skaffold.yaml"
    file.write_text(f"build:\n  artifacts:\n{artifacts}", encoding="utf-8")
    return file


def test_images_are_what_the_artifacts_say(tmp_path: Path) -> None:
    (tmp_path / "app/flesh").mkdir(parents=True)
    file = _file(
        tmp_path,
        "  - {image: a, context: app/flesh, docker: {target: web, dockerfile: D, buildArgs: {X: 1}}}\n"
        "  - {image: b, context: app/flesh}\n",
    )
    context = tmp_path / "app/flesh"
    assert skaffold.images_of(file) == (
        Image(name="a", context=context, dockerfile="D", target="web", arguments={"X": "1"}),
        Image(name="b", context=context),
    )


def test_all_mistakes_of_the_file_are_told_at_once(tmp_path: Path) -> None:
    file = _file(tmp_path, "  - {image: a/b}\n  - {image: c, context: nowhere}\n  - {image: c}\n")
    with pytest.raises(ImagesInvalid) as caught:
        skaffold.images_of(file)
    told = "\n".join(caught.value.mistakes)
    assert len(caught.value.mistakes) == 3
    assert "build.artifacts[0].image" in told
    assert "build.artifacts[1].context" in told
    assert "c is there twice" in told


@pytest.mark.parametrize("text", ["", "build: {artifacts: []}", "- 1", "build: [", "build: {artifacts: {image: a}}"])
def test_a_file_without_images_is_told_as_such(tmp_path: Path, text: str) -> None:
    file = tmp_path / "skaffold.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ImagesInvalid):
        skaffold.images_of(file)


def test_skaffold_keeps_what_it_keeps_in_the_stage_and_hears_of_no_cluster(tmp_path: Path) -> None:
    env = skaffold.environment(tmp_path, {"hmlet-web": "abc"}, {"KUBECONFIG": "/somebody/elses", "PATH": "/bin"})
    assert env["IMAGE_TAG_HMLET_WEB"] == "abc"
    assert env["PATH"] == "/bin"
    assert env["KUBECONFIG"] == "/dev/null"
    assert env["SKAFFOLD_UPDATE_CHECK"] == "false"
    assert "collect-metrics: false" in Path(env["SKAFFOLD_CONFIG"]).read_text(encoding="utf-8")
    assert Path(env["SKAFFOLD_CONFIG"]).is_relative_to(tmp_path)
    assert Path(env["SKAFFOLD_CACHE_FILE"]).is_relative_to(tmp_path)
