"""What other programs are told: skaffold, telepresence, kubectl."""

import json
from pathlib import Path

import pytest
from pl.cluster.kubeconfig import Access
from pl.cluster.platform import ClusterPlatform, Development, Image, Release
from pl.cluster_stage.develop import configuration, developed
from pl.cluster_stage.forward import parse_port
from pl.cluster_stage.telepresence import Intercept, commands
from pl.errors import StageUnsupported, UsageError

PLATFORM = ClusterPlatform(
    namespace="shop",
    images=(
        Image(name="shop-web", context=Path("/src/web"), target="web", arguments={"A": "1"}),
        Image(name="shop-other", context=Path("/src/other")),
    ),
    secrets=(),
    releases=(
        Release(name="store", chart=Path("/charts/store"), app="shop", images={"image": "postgres:18"}),
        Release(
            name="backend",
            chart=Path("/charts/backend"),
            app="shop",
            images={"images.web": "shop-web", "images.other": "shop-other"},
        ),
    ),
    inside={},
    host_names=(),
    edge="",
    development={
        "shop-web": Development(
            folder="/srv", files=("**/*.py",), arguments={"SOURCE_OWNER": "1000"}, after=("kill", "-HUP", "1")
        )
    },
)


def test_releases_without_an_image_that_can_be_worked_on_are_left_alone() -> None:
    assert [release.name for release in developed(PLATFORM, "shop")] == ["backend"]


def test_an_app_of_which_nothing_can_be_worked_on_is_refused() -> None:
    with pytest.raises(StageUnsupported, match="nothing of pages"):
        developed(PLATFORM, "pages")


def test_skaffold_builds_and_syncs_what_is_worked_on_and_deploys_it_with_the_values_of_a_deploy() -> None:
    told = configuration(
        PLATFORM,
        developed(PLATFORM, "shop"),
        {"backend": Path("/state/backend.json")},
        helm_flags=["--force-conflicts"],
    )
    text = json.loads(json.dumps(told))
    (artifact,) = text["build"]["artifacts"]
    assert artifact["image"] == "shop-web"
    assert artifact["docker"] == {
        "dockerfile": "Dockerfile",
        "target": "web",
        "buildArgs": {"A": "1", "SOURCE_OWNER": "1000"},
    }
    assert artifact["sync"]["manual"] == [{"src": "**/*.py", "dest": "/srv"}]
    assert artifact["sync"]["hooks"]["after"][0]["container"]["command"] == ["kill", "-HUP", "1"]
    (release,) = text["deploy"]["helm"]["releases"]
    assert release["valuesFiles"] == ["/state/backend.json"]
    assert release["setValueTemplates"] == {"images.web": "{{.IMAGE_FULLY_QUALIFIED_shop_web}}"}
    assert text["deploy"]["helm"]["flags"]["upgrade"][0] == "--force-conflicts"


def test_telepresence_is_led_to_the_stages_cluster_and_nowhere_else() -> None:
    access = Access(file=Path("/state/kubeconfig"), context="kind-x", cluster="x", user="x", server="https://x")
    intercept = Intercept(workload="backend-web", container="web", port="8000:http")
    connect, run, end = commands(Path("/deps/telepresence"), access, "shop", intercept, ["make", "run"])
    assert connect[1:] == ["connect", "--kubeconfig", "/state/kubeconfig", "--context", "kind-x", "--namespace", "shop"]
    assert run[1:] == [
        *("intercept", "backend-web", "--container", "web", "--port", "8000:http"),
        *("--", "make", "run"),
    ]
    assert end == ["/deps/telepresence", "quit"]


@pytest.mark.parametrize(
    ("text", "meant"), [("5432", (0, "5432")), ("15432:5432", (15432, "5432")), ("80:http", (80, "http"))]
)
def test_ports_are_read_as_people_type_them(text: str, meant: tuple[int, str]) -> None:
    assert parse_port(text) == meant


@pytest.mark.parametrize("text", ["", ":", "5432:", ":5432", "x:5432", "0:5432", "70000:1", "70000"])
def test_a_port_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_port(text)
