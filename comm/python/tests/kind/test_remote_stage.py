"""stage and prod in a cluster that exists, played by a kind cluster of its own with a registry of its own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest
from clusters import Clusters, Kind, Quiet
from pl.cluster import identity
from pl.cluster.api import Object
from remote import HELPER, TIMEOUT_S, Machine, Said, lead_to, write_project


@dataclass(frozen=True, kw_only=True)
class Company:
    """The cluster, the project's repository, and the first machine that deploys."""

    remote: Kind
    repository: Path
    source: Path
    machine: Machine

    def another_machine(self, home: Path) -> Machine:
        """One that knows nothing but the repository as the first machine has it, and somebody's kubeconfig."""
        home.mkdir(exist_ok=True)
        return Machine.of(self.machine.checkout, home, self.source)

    def namespace(self, stage: str) -> Object | None:
        return self.remote.api.get(f"/api/v1/namespaces/company-{stage}")

    def pods(self, stage: str) -> dict[str, str]:
        found, _ = self.remote.api.list(f"/api/v1/namespaces/company-{stage}/pods")
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}

    def written(self, stage: str) -> list[tuple[str, str]]:
        """What moves when anything is written to the stage: releases, Secrets and the lease of deploys among it."""
        paths = ("api/v1", "secrets"), ("apis/apps/v1", "deployments"), ("apis/coordination.k8s.io/v1", "leases")
        return [
            (item["metadata"]["name"], item["metadata"]["resourceVersion"])
            for group, kind in paths
            for item in self.remote.api.list(f"/{group}/namespaces/company-{stage}/{kind}")[0]
        ]

    def greeting(self, stage: str) -> str:
        found = self.remote.api.get(f"/apis/apps/v1/namespaces/company-{stage}/deployments/web")
        assert found
        return str(found["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])


@pytest.fixture(scope="module")
def company(clusters: Clusters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    source, repository, home = folder / "config", folder / "repository", folder / "first"
    for made in (repository, home):
        made.mkdir()
    with clusters.destroyed_after("remote") as cluster:
        cluster.bootstrap(Quiet())
        remote = Kind(cluster=cluster, api=cluster.connect(), clusters=clusters, stage="remote")
        lead_to(source, remote)
        write_project(repository, source, remote.registry)
        machine = Machine.of(repository, home, source)
        yield Company(remote=remote, repository=repository, source=source, machine=machine)
        built = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", f"{remote.registry}/company/*"]
        for image in subprocess.run(built, check=True, capture_output=True, text=True).stdout.split():
            subprocess.run(["docker", "rmi", image], check=True, capture_output=True)


@pytest.fixture(scope="module")
def mirrored(company: Company) -> None:
    """Somebody else's image is where the stage's nodes look for it."""
    reference = f"{company.remote.registry}/mirror/docker.io/{HELPER}"
    for words in (("tag", HELPER, reference), ("push", "--quiet", reference), ("rmi", reference)):
        subprocess.run(["docker", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def prod(company: Company, mirrored: None) -> Company:
    """prod, deployed as it was reviewed."""
    company.machine.done("prod", "bootstrap")
    said = company.machine.done("prod", "deploy", "--yes", company.machine.digest("prod"))
    assert "no address outside of the cluster" in said, "a deploy is none the worse for it"
    return company


def test_an_image_that_is_not_in_the_mirror_is_named_before_anything_is_written(company: Company) -> None:
    said = company.machine.run("stage", "deploy")
    assert said.status == 1
    assert f"{company.remote.registry}/mirror/docker.io/{HELPER}" in said.text
    assert company.namespace("stage") is None


def test_prod_is_deployed_as_reviewed_or_not_at_all(prod: Company, tmp_path: Path) -> None:
    machine = prod.machine
    assert machine.changed("prod") == []
    before = prod.written("prod")
    assert "nothing to do" in machine.done("prod", "deploy")
    assert prod.written("prod") == before
    machine.greet("prod", "reviewed")
    asked = machine.run("prod", "deploy")
    digest = machine.digest("prod")
    assert asked.status == 1
    assert "reviewed" in asked.text
    assert f"deploy --yes {digest}" in asked.text
    stale = machine.run("prod", "deploy", "--yes", "0" * 16)
    assert stale.status == 1
    assert digest in stale.text
    assert prod.written("prod") == before

    # What one machine shows, another applies: it takes over the secrets that the first one made.
    another = prod.another_machine(tmp_path / "ci")
    another.done("prod", "bootstrap")
    assert another.digest("prod") == digest
    another.done("prod", "deploy", "--yes", digest)
    assert prod.greeting("prod") == "reviewed"
    assert machine.changed("prod") == []
    again = machine.run("prod", "deploy", "--yes", digest)
    assert again.status == 1, "it has been applied"


def test_prod_wants_a_clean_checkout_before_it_asks_anything(prod: Company) -> None:
    machine = prod.machine
    machine.greet("prod", "committed")
    digest, before = machine.digest("prod"), prod.written("prod")
    stray = machine.checkout / "stray.txt"
    stray.write_text("uncommitted")
    try:
        for words in (("deploy",), ("deploy", "--yes", digest)):
            said = machine.run("prod", *words)
            assert said.status == 1
            assert "clean checkout" in said.text
            assert "stray.txt" in said.text
        assert prod.written("prod") == before
    finally:
        stray.unlink()


def test_prod_wants_its_name_typed(prod: Company) -> None:
    machine = prod.machine
    machine.greet("prod", "typed")
    before = prod.written("prod")
    wrong = _typed(machine, "prod", "deploy", answer="yes")
    assert wrong.status == 1
    assert "typed" in wrong.text, "the changes are shown"
    assert prod.written("prod") == before
    right = _typed(machine, "prod", "deploy", answer="prod")
    assert right.status == 0, right.text
    assert prod.greeting("prod") == "typed"


def test_prod_is_not_destroyed_by_a_command(prod: Company) -> None:
    before = prod.written("prod")
    for words in (("destroy",), ("destroy", "--yes")):
        said = prod.machine.run("prod", *words)
        assert said.status == 1
        assert "prod is never destroyed" in said.text
    assert prod.written("prod") == before


def test_a_context_that_leads_elsewhere_is_refused_with_both_names_before_the_first_write(
    prod: Company, kind_cluster: Kind, tmp_path: Path
) -> None:
    prod.machine.greet("prod", "swapped")
    digest = prod.machine.digest("prod")
    mine, other = identity.found(prod.remote.api), identity.found(kind_cluster.api)
    before = prod.written("prod")
    with _leading_to(prod, kind_cluster):
        for words in (("bootstrap",), ("diff",), ("deploy", "--yes", digest), ("deploy",)):
            said = prod.machine.run("prod", *words)
            assert said.status == 1
            for name in (mine.uid, mine.server, other.uid, other.server):
                assert name in said.text
        # A machine that was never in contact knows the cluster by what stands in git.
        stranger = prod.another_machine(tmp_path / "stranger")
        file = stranger.checkout / "company/env_prod.py"
        file.write_text(f"{file.read_text()}    cluster_uid = {mine.uid!r}\n")
        said = stranger.run("prod", "bootstrap")
        assert said.status == 1
        assert mine.uid in said.text
        assert other.uid in said.text
    assert kind_cluster.api.get("/api/v1/namespaces/company-prod") is None
    assert prod.written("prod") == before
    assert prod.machine.digest("prod") == digest


def test_stage_is_destroyed_by_its_typed_name_and_its_volume_and_secrets_stay(
    company: Company, mirrored: None, tmp_path: Path
) -> None:
    machine = company.machine
    machine.done("stage", "deploy")
    strange = company.another_machine(tmp_path / "strange").run("stage", "destroy")
    assert strange.status == 1
    assert "co.bootstrap" in strange.text, "who was never in contact cannot say that there is nothing"
    secret = "/api/v1/namespaces/company-stage/secrets/web-auth"
    password = _there(company, secret)["data"]
    for words in (("destroy",), ("destroy", "--yes")):
        assert machine.run("stage", *words).status == 1
    assert _typed(machine, "stage", "destroy", answer="yes").status == 1
    assert company.pods("stage")
    said = _typed(machine, "stage", "destroy", answer="stage")
    assert said.status == 0, said.text
    for named in ("the release web (revision 1)", "web-data (1Mi)", "the namespace company-stage"):
        assert named in said.text
    assert company.remote.api.get("/apis/apps/v1/namespaces/company-stage/deployments/web") is None
    assert _there(company, "/api/v1/namespaces/company-stage/persistentvolumeclaims/web-data")
    assert "nothing to destroy" in machine.done("stage", "destroy")
    machine.done("stage", "deploy")
    assert _there(company, secret)["data"] == password


def test_an_image_that_nobody_pushed_fails_there_by_its_name_and_what_served_goes_on(
    company: Company, mirrored: None
) -> None:
    machine = company.machine
    machine.done("stage", "deploy")
    pods = company.pods("stage")
    reference = f"{company.remote.registry}/nobody/pushed:1"
    subprocess.run(["docker", "tag", HELPER, reference], check=True)
    file = machine.checkout / "company/env_stage.py"
    text = file.read_text()
    try:
        file.write_text(f'{text}    helper_image = "{reference}"\n    image_mirror = ""\n')
        said = machine.run("stage", "deploy")
    finally:
        file.write_text(text)
        subprocess.run(["docker", "rmi", reference], check=True, capture_output=True)
    assert said.status == 1
    assert reference in said.text
    assert "ImagePull" in said.text
    assert pods.items() <= company.pods("stage").items()
    assert machine.changed("stage") == []


@contextlib.contextmanager
def _leading_to(company: Company, other: Kind) -> Iterator[None]:
    lead_to(company.source, other)
    try:
        yield
    finally:
        lead_to(company.source, company.remote)


def _typed(machine: Machine, stage: str, *words: str, answer: str) -> Said:
    """A subcommand on a terminal, where somebody types an answer."""
    argv = machine.argv(*words)
    child = pexpect.spawn(
        argv[0],
        argv[1:],
        env=machine.variables(stage),
        cwd=str(machine.checkout),
        encoding="utf-8",
        timeout=TIMEOUT_S,
        dimensions=(50, 200),
    )
    try:
        child.expect_exact(f"Type {stage} to go on: ")
        shown = str(child.before)
        child.sendline(answer)
        child.expect(pexpect.EOF)
        shown += str(child.before)
    finally:
        child.close()
    return Said(status=child.exitstatus if child.exitstatus is not None else -1, text=shown)


def _there(company: Company, path: str) -> Object:
    found = company.remote.api.get(path)
    assert found is not None, path
    return found
