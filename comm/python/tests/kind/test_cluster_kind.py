"""A stage's kind cluster: made, found, started again, put right, destroyed."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from clusters import ENV, KIND_CONFIG, PROJECT, Clusters, Kind, Quiet, eventually
from pl.cluster.api import Api
from pl.cluster.kind import KindCluster
from pl.cluster_env import KindEnv
from pl.errors import ClusterMistaken, PortTaken, StageDown, StateInvalid, StepsFailed

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def docker(*argv: str) -> str:
    return subprocess.run(["docker", *argv], check=True, capture_output=True, text=True).stdout.strip()


def node_of(cluster: KindCluster) -> str:
    return f"{cluster.env.cluster}-control-plane"


def remember(api: Api, name: str) -> None:
    api.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})


def remembers(cluster: KindCluster, name: str) -> bool:
    return cluster.connect().get(f"{CONFIG_MAPS}/{name}") is not None


def identity_of(name: str) -> str:
    return docker("inspect", "--format", "{{.Id}}", name)


def test_a_cluster_works_when_it_is_said_to_be_up(kind_cluster: Kind) -> None:
    api = kind_cluster.api
    (node,), _ = api.list("/api/v1/nodes")
    assert {item["type"]: item["status"] for item in node["status"]["conditions"]}["Ready"] == "True"
    dns = api.get("/apis/apps/v1/namespaces/kube-system/deployments/coredns")
    assert dns
    assert dns["status"]["readyReplicas"] >= 1
    assert api.get("/api/v1/namespaces/default/serviceaccounts/default")
    assert kind_cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert kind_cluster.cluster.state.folder.stat().st_mode & 0o777 == 0o700


def test_a_cluster_that_is_up_is_found_in_half_a_second_and_nothing_is_changed(
    kind_cluster: Kind, clusters: Clusters
) -> None:
    script = (
        "import sys; from pathlib import Path; from pl.env import load; from pl.cluster.kind import KindCluster; "
        f"env = load(Path({str(clusters.checkout)!r}), project={PROJECT!r}, stage='local', "
        f"instance={clusters.instance!r}); sys.exit(KindCluster(env, print).bootstrap(None))"
    )
    taken = []
    for _ in range(5):
        # Of the processor, and the best of a few: others may use the same cores.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", script], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.4, taken


def test_pods_pull_what_was_pushed_to_the_registry(kind_cluster: Kind) -> None:
    image = f"{kind_cluster.registry}/pushed:1"
    docker("tag", "registry.k8s.io/pause:3.10.1", image)
    try:
        docker("push", "-q", image)
    finally:
        docker("rmi", image)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pulls", "namespace": "default"},
        "spec": {"containers": [{"name": "pause", "image": image}]},
    }
    api = kind_cluster.api
    path = api.path_of(pod)
    api.apply(path, pod, manager="test")
    try:
        assert eventually(lambda: (api.get(path) or {})["status"]["phase"] == "Running"), api.get(path)
    finally:
        api.delete(path)


def test_a_stopped_node_is_started_again_with_its_data(kind_cluster: Kind, clusters: Clusters) -> None:
    cluster, node = kind_cluster.cluster, node_of(kind_cluster.cluster)
    made = identity_of(node)
    remember(kind_cluster.api, "stopped")
    docker("stop", node, f"{cluster.env.cluster}-registry")
    with pytest.raises(StageDown, match="does not run") as caught:
        clusters.of("local").connect()
    assert "sa.bootstrap" in caught.value.hint
    assert clusters.of("local").bootstrap(Quiet())
    assert identity_of(node) == made
    assert remembers(cluster, "stopped")
    assert not clusters.of("local").bootstrap(Quiet())


def test_an_engine_that_starts_everything_in_another_order_loses_nothing(
    kind_cluster: Kind, clusters: Clusters
) -> None:
    """Killed as by an engine that ends, and started by it, the registry first: it must not take the node's address."""
    cluster = kind_cluster.cluster
    node, registry = node_of(cluster), f"{cluster.env.cluster}-registry"
    remember(kind_cluster.api, "killed")
    docker("kill", node, registry)
    docker("start", registry)
    docker("start", node)
    clusters.of("local").bootstrap(Quiet())
    assert remembers(cluster, "killed")


def test_two_clusters_that_come_back_in_reverse_order_do_not_meet(kind_cluster: Kind, clusters: Clusters) -> None:
    first = kind_cluster.cluster
    with clusters.destroyed_after("test") as second:
        second.bootstrap(Quiet())
        assert first.env.web_port != second.env.web_port  # type: ignore[attr-defined]
        assert first.env.registry_port != second.env.registry_port
        remember(kind_cluster.api, "first")
        remember(second.connect(), "second")
        nodes = [node_of(first), node_of(second)]
        docker("kill", *nodes)
        docker("start", nodes[1])
        docker("start", nodes[0])
        for stage in ("local", "test"):
            clusters.of(stage).bootstrap(Quiet())
        assert remembers(first, "first")
        assert not remembers(first, "second")
        assert remembers(second, "second")
        _swapped_context_is_refused(clusters)
        _destroy_leaves_nothing(clusters, second)
    assert not clusters.of("local").bootstrap(Quiet())


def _swapped_context_is_refused(clusters: Clusters) -> None:
    """The kubeconfig of one stage in the place of another's."""
    ours, other = clusters.of("test").state.kubeconfig, clusters.of("local").state.kubeconfig
    before = ours.read_text()
    ours.write_bytes(other.read_bytes())
    try:
        for act in (lambda: clusters.of("test").connect(), lambda: clusters.of("test").bootstrap(Quiet())):
            with pytest.raises(ClusterMistaken) as caught:
                act()
            for stage in ("local", "test"):
                assert f"kind-{clusters.of(stage).env.cluster}" in caught.value.why
    finally:
        ours.write_text(before)


def _destroy_leaves_nothing(clusters: Clusters, cluster: KindCluster) -> None:
    name = cluster.env.cluster
    volume = docker("inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", node_of(cluster)).split()
    dies = "\n".join(cluster.what_dies())
    for thing in (f"{name}-control-plane", f"{name}-registry", f"the network {name}", str(cluster.state.folder)):
        assert thing in dies
    assert cluster.destroy()
    left = docker("ps", "-a", "--format", "{{.Names}}") + docker("network", "ls", "--format", "{{.Name}}")
    assert name not in left
    volumes = docker("volume", "ls", "--format", "{{.Name}}").split()
    assert not {f"{name}-registry", *volume} & set(volumes)
    assert not cluster.state.folder.exists()
    assert clusters.of("test").what_dies() == []
    assert not clusters.of("test").destroy()


def test_a_lost_kubeconfig_is_asked_for_again(kind_cluster: Kind, clusters: Clusters) -> None:
    kind_cluster.kubeconfig.unlink()
    with pytest.raises(StageDown, match="kubeconfig") as caught:
        clusters.of("local").connect()
    assert "sa.bootstrap" in caught.value.hint
    clusters.of("local").bootstrap(Quiet())
    assert kind_cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert clusters.of("local").connect()


def test_a_registry_that_is_gone_is_made_again_with_what_was_pushed(kind_cluster: Kind, clusters: Clusters) -> None:
    image = f"{kind_cluster.registry}/kept:1"
    docker("tag", "registry.k8s.io/pause:3.10.1", image)
    docker("push", "-q", image)
    docker("rmi", image)
    docker("rm", "-f", f"{kind_cluster.env.cluster}-registry")
    assert clusters.of("local").bootstrap(Quiet())
    docker("pull", "-q", image)
    docker("rmi", image)
    assert not clusters.of("local").bootstrap(Quiet())


def test_a_port_of_the_registry_that_is_taken_is_named_with_its_holder_and_can_be_changed(
    kind_cluster: Kind, clusters: Clusters
) -> None:
    before = kind_cluster.env.registry_port
    node = identity_of(node_of(kind_cluster.cluster))
    docker("stop", f"{kind_cluster.env.cluster}-registry")
    with socket.create_server(("127.0.0.1", before)):
        with pytest.raises(PortTaken, match=rf"port {before} of the registry") as caught:
            clusters.of("local").bootstrap(Quiet())
        assert f"process {os.getpid()} " in caught.value.why
        assert "--new-ports" in caught.value.hint
        assert clusters.of("local").bootstrap(Quiet(), new_ports=True)
    assert clusters.of("local").env.registry_port != before
    assert identity_of(node_of(kind_cluster.cluster)) == node
    assert not clusters.of("local").bootstrap(Quiet())


def test_a_port_of_a_cluster_that_is_not_made_yet_can_be_changed(clusters: Clusters) -> None:
    with clusters.destroyed_after("test") as cluster:
        cluster.state.create()
        port = cluster.env.web_port  # type: ignore[attr-defined]
        chosen = {"registry_port": cluster.env.registry_port, "web_port": port}
        (cluster.state.folder / "ports.json").write_text(str(chosen).replace("'", '"'))
        with socket.create_server(("127.0.0.1", port)):
            with pytest.raises(PortTaken, match=rf"port {port} of kind\.yaml is taken"):
                clusters.of("test").bootstrap(Quiet())
            clusters.of("test")._prepare_state(new_ports=True)
        assert clusters.of("test").env.web_port != port  # type: ignore[attr-defined]


def test_a_port_that_the_cluster_itself_was_made_with_is_not_changed_under_its_data(
    kind_cluster: Kind, clusters: Clusters
) -> None:
    port = kind_cluster.env.web_port  # type: ignore[attr-defined]
    docker("stop", node_of(kind_cluster.cluster))
    with socket.create_server(("127.0.0.1", port)):
        for new_ports in (False, True):
            with pytest.raises((PortTaken, StepsFailed), match=rf"port {port}|cluster failed") as caught:
                clusters.of("local").bootstrap(Quiet(), new_ports=new_ports)
            assert f"process {os.getpid()} " in str(caught.value)
            assert "fixed when it is made" in str(caught.value)
    assert clusters.of("local").bootstrap(Quiet())


def test_a_cluster_whose_making_was_killed_is_made_anew(kind_cluster: Kind, clusters: Clusters) -> None:
    script = (
        "import sys; from pathlib import Path; from pl.env import load; from pl.cluster.kind import KindCluster\n"
        "class Quiet:\n"
        "    started = done = failed = lambda *_: None\n"
        f"env = load(Path({str(clusters.checkout)!r}), project={PROJECT!r}, stage='test', "
        f"instance={clusters.instance!r})\n"
        "KindCluster(env, print).bootstrap(Quiet())"
    )
    with clusters.destroyed_after("test") as cluster:
        for number in (signal.SIGINT, signal.SIGKILL):
            making = subprocess.Popen([sys.executable, "-c", script])
            seen = identity_of(node_of(cluster)) if number == signal.SIGKILL else ""
            assert eventually(lambda old=seen: _is_another(node_of(cluster), old))  # type: ignore[misc]
            making.send_signal(number)
            assert making.wait(30) != 0
        half = identity_of(node_of(cluster))
        with pytest.raises(StageDown, match="has no cluster"):
            clusters.of("test").connect()
        said: list[str] = []
        assert clusters.of("test", said).bootstrap(Quiet())
        assert any("made anew" in text for text in said)
        assert identity_of(node_of(cluster)) != half
        assert not clusters.of("test").bootstrap(Quiet())


def _is_another(name: str, old: str) -> bool:
    return docker("ps", "-q", "--no-trunc", "--filter", f"name=^{name}$") not in ("", old)


def test_a_cluster_that_the_state_knows_nothing_of_is_not_touched(kind_cluster: Kind, clusters: Clusters) -> None:
    record = clusters.of("local").state.record
    kept = record.read_bytes()
    record.unlink()
    try:
        with pytest.raises(StateInvalid, match="knows nothing of it") as caught:
            clusters.of("local").bootstrap(Quiet())
        assert "sa.destroy" in caught.value.hint
    finally:
        record.write_bytes(kept)
    assert not clusters.of("local").bootstrap(Quiet())


@pytest.fixture
def booting(clusters: Clusters) -> Iterator[Callable[[str], str]]:
    """Makes the image of a node that runs a line of shell before it boots; the nodes of the stage ``booting`` are made
    of it."""
    image = f"{PROJECT}-node-{clusters.instance}:1"
    folder = clusters.checkout / PROJECT
    (folder / "envs/booting").mkdir(parents=True, exist_ok=True)
    (folder / "envs/booting/kind.yaml").write_text(KIND_CONFIG, encoding="utf-8")
    (folder / "env_booting.py").write_text(f"{ENV}    node_image = {image!r}\n", encoding="utf-8")

    def make(line: str) -> str:
        boot = "/usr/local/bin/entrypoint"
        script = f'#!/bin/sh\\n{line}\\nexec {boot}.2 "$@"\\n'
        lines = [
            f"FROM {KindEnv.node_image}",
            f"RUN mv {boot} {boot}.2 && printf '{script}' >{boot} && chmod 755 {boot}",
        ]
        build = ["docker", "build", "-q", "-t", image, "-"]
        subprocess.run(build, input="\n".join(lines), check=True, capture_output=True, text=True)
        return image

    yield make
    clusters.of("booting").destroy()
    docker("rmi", image)


def test_a_node_that_boots_slowly_is_tried_again(clusters: Clusters, booting: Callable[[str], str]) -> None:
    image = booting("sleep 600")
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if "once more" in text:
            docker("tag", KindEnv.node_image, image)

    cluster = KindCluster(clusters.of("booting").env, say)
    assert cluster.bootstrap(Quiet())
    assert len([text for text in said if "once more" in text]) == 1
    assert cluster.connect()
    assert "could not find a log line" in (cluster.state.log / "kind.log").read_text()


def test_a_node_that_ends_while_it_boots_is_told_of_with_its_last_words_and_removed(
    clusters: Clusters, booting: Callable[[str], str]
) -> None:
    booting("echo no room to boot in; exit 7")
    cluster = clusters.of("booting")
    with pytest.raises(StepsFailed, match="had ended with status 7") as caught:
        cluster.bootstrap(Quiet())
    assert "no room to boot in" in str(caught.value)
    assert "no room to boot in" in (cluster.state.log / "kind.log").read_text()
    assert not docker("ps", "-aq", "--filter", f"name=^{node_of(cluster)}$")
