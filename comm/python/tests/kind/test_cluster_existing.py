"""A cluster that exists: its context is copied, looked at, and never mistaken for another."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import Clusters, Kind, Quiet
from pl.cluster import identity, kubeconfig
from pl.cluster.existing import ExistingCluster
from pl.cluster_env import ExistingEnv
from pl.env import load
from pl.errors import ClusterMistaken, KubeconfigInvalid, StageDown, StepsFailed

sys.path.append(str(Path(__file__).parents[1] / "unit"))
from api_servers import ApiServer, serving

_ENV = """
from pathlib import Path
from pl.cluster_env import ExistingEnv


class SampleEnv(ExistingEnv):
    code = "sa"
    emoji = "🧪"
    namespace = {namespace!r}
    kube_context = "company"
    kube_source = Path({source!r})
    image_registry = {registry!r}
    storage_class = {storage_class!r}
"""


class Company:
    """Somebody's kubeconfig with a context that leads to the cluster of the run, and a stage that uses it."""

    def __init__(self, kind: Kind, clusters: Clusters, folder: Path, name: str) -> None:
        self.source = folder / "config"
        self._clusters, self._name = clusters, name
        # Of its own: one that was deleted goes on being there for a while.
        self.namespace = f"existing-{name}"
        self._content = json.loads(kubeconfig.flattened(kind.kubeconfig))
        self._content["contexts"][0]["name"] = "company"
        self.write()
        self.configure(kind.registry)

    def write(self, **cluster: Any) -> None:
        content = json.loads(json.dumps(self._content))
        content["clusters"][0]["cluster"].update(cluster)
        self.source.write_text(json.dumps(content))

    def log_in(self, token: str) -> None:
        self._content["users"][0]["user"] = {"token": token}
        self.write()

    def configure(self, registry: str, storage_class: str = "") -> None:
        text = _ENV.format(
            namespace=self.namespace, source=str(self.source), registry=registry, storage_class=storage_class
        )
        root = self._clusters.checkout / "sample"
        (root / f"env_{self._name}.py").write_text(text)
        sys.modules.pop(f"sample.env_{self._name}", None)

    def stage(self) -> ExistingCluster:
        env = load(self._clusters.checkout, project="sample", stage=self._name, instance=self._clusters.instance)
        assert isinstance(env, ExistingEnv)
        return ExistingCluster(env, lambda _: None)


@pytest.fixture
def company(
    kind_cluster: Kind, clusters: Clusters, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Company]:
    name = f"c{abs(hash(request.node.name)) % 10**8}"
    made = Company(kind_cluster, clusters, tmp_path, name)
    yield made
    made.stage().destroy()
    kind_cluster.api.delete(f"/api/v1/namespaces/{made.namespace}")
    (clusters.checkout / "sample" / f"env_{name}.py").unlink()


@pytest.fixture
def stranger(kind_cluster: Kind, tmp_path: Path) -> Iterator[ApiServer]:
    """Another cluster, which only says who it is."""
    with serving(tmp_path, lambda h, _: h.say({"metadata": {"uid": "another-cluster"}})) as told:
        yield told


def test_a_stage_gets_a_private_copy_of_its_context_and_nothing_is_written_in_the_cluster(
    company: Company, kind_cluster: Kind
) -> None:
    with pytest.raises(StageDown, match="never been in contact"):
        company.stage().connect()
    assert company.stage().bootstrap(Quiet())
    stage = company.stage()
    assert stage.state.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert kind_cluster.api.get(f"/api/v1/namespaces/{company.namespace}") is None
    assert not company.stage().bootstrap(Quiet())
    company.source.unlink()
    assert company.stage().connect().access.context == "company"


def test_a_context_that_leads_elsewhere_now_is_refused_with_both_names_before_anything_is_written(
    company: Company, stranger: ApiServer
) -> None:
    company.stage().bootstrap(Quiet())
    stage = company.stage()
    before = stage.state.kubeconfig.read_bytes()
    recorded = identity.recorded(stage.state.identity)
    assert recorded
    company.write(
        **{
            "server": stranger.address,
            "certificate-authority-data": base64.b64encode(stranger.ca.read_bytes()).decode(),
        }
    )
    for act in (lambda: company.stage().connect(), lambda: company.stage().bootstrap(Quiet())):
        with pytest.raises(ClusterMistaken) as caught:
            act()
        for word in (recorded.uid, recorded.server, "another-cluster", stranger.address):
            assert word in caught.value.why
    assert {asked.method for asked in stranger.asked} == {"GET"}
    assert stage.state.kubeconfig.read_bytes() == before


def test_other_credentials_for_the_same_cluster_are_taken_over(company: Company, kind_cluster: Kind) -> None:
    company.stage().bootstrap(Quiet())
    token = _token(kind_cluster, "same")
    company.log_in(token)
    company.stage().connect()
    assert token in company.stage().state.kubeconfig.read_text()


def test_all_that_is_missing_is_named_at_once(company: Company, kind_cluster: Kind) -> None:
    company.log_in(_token(kind_cluster, "poor"))
    company.configure("127.0.0.1:9/team", "gold")
    with pytest.raises(StepsFailed) as caught:
        company.stage().bootstrap(Quiet())
    said = str(caught.value)
    for words in (
        f"may not get, list, create, patch, delete deployments.apps in the namespace {company.namespace}",
        "may not get pods/log",
        "the registry 127.0.0.1:9 cannot be reached",
        f"the namespace {company.namespace}: may not be looked at, and its user may not mend that",
    ):
        assert words in said
    assert not kind_cluster.api.get(f"/api/v1/namespaces/{company.namespace}")


def test_a_storage_class_that_is_not_there_is_named_with_those_that_are(company: Company, kind_cluster: Kind) -> None:
    company.configure(kind_cluster.registry, "gold")
    with pytest.raises(StepsFailed, match="access failed") as caught:
        company.stage().bootstrap(Quiet())
    assert "no storage class gold; there are: standard" in str(caught.value)


def test_a_context_that_is_not_there_is_said_with_the_file_of_the_stage(company: Company) -> None:
    company.source.write_text("kind: Config\ncontexts: []\n")
    with pytest.raises(KubeconfigInvalid, match="company") as caught:
        company.stage().bootstrap(Quiet())
    assert "env_c" in caught.value.hint


def _token(kind: Kind, name: str) -> str:
    """Of an account that may see who the cluster is, and nothing else."""
    api = kind.api
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
    rules = [{"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}]
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    }
    for obj in (account, role, binding):
        api.apply(api.path_of(obj), obj, manager="test")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = api.create(f"{api.path_of(account)}/token", request)
    return str(made["status"]["token"])
