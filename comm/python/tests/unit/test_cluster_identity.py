"""A cluster is known by its UID, and another in its place is refused with both names."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_servers import ApiServer, kubeconfig, serving
from pl.cluster import identity
from pl.cluster.api import Api
from pl.errors import ApiRefused, ClusterMistaken, StateInvalid

UID = "11111111-2222"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with serving(tmp_path, lambda h, _: h.say({"metadata": {"uid": UID}})) as told:
        yield told


@pytest.fixture
def api(server: ApiServer, tmp_path: Path) -> Api:
    return Api.of(kubeconfig(tmp_path, server=server.address, ca=server.ca))


def test_the_first_contact_is_recorded_and_the_second_agrees(api: Api, server: ApiServer, tmp_path: Path) -> None:
    file = tmp_path / "identity.json"
    assert identity.check(api, file) == identity.recorded(file)
    assert identity.recorded(file) == identity.Identity(cluster="there", server=server.address, uid=UID)
    assert identity.check(api, file).uid == UID
    assert [asked.path for asked in server.asked] == ["/api/v1/namespaces/kube-system"] * 2


def test_another_cluster_is_refused_with_both_names_and_nothing_is_recorded(
    api: Api, server: ApiServer, tmp_path: Path
) -> None:
    file = tmp_path / "identity.json"
    identity.record(file, identity.Identity(cluster="mine", server="https://mine", uid="99"))
    before = file.read_bytes()
    with pytest.raises(ClusterMistaken) as caught:
        identity.check(api, file)
    for word in ("mine", "https://mine", "99", "there", server.address, UID):
        assert word in caught.value.why
    assert str(file) in caught.value.hint
    assert file.read_bytes() == before
    assert {asked.method for asked in server.asked} == {"GET"}


def test_a_stage_that_says_which_cluster_is_its_own_trusts_no_first_contact_with_another(
    api: Api, tmp_path: Path
) -> None:
    file = tmp_path / "identity.json"
    with pytest.raises(ClusterMistaken, match="than the stage's"):
        identity.check(api, file, uid="99")
    assert identity.recorded(file) is None
    assert identity.check(api, file, uid=UID).uid == UID


def test_the_same_cluster_at_another_address_is_the_same(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "identity.json"
    identity.record(file, identity.Identity(cluster="there", server="https://old.example", uid=UID))
    assert identity.check(api, file).uid == UID


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"uid": 1'])
def test_a_damaged_record_lets_no_cluster_through(api: Api, tmp_path: Path, text: str) -> None:
    file = tmp_path / "identity.json"
    file.write_text(text)
    with pytest.raises(StateInvalid, match="damaged"):
        identity.check(api, file)


def test_a_cluster_that_does_not_say_who_it_is_is_not_trusted(api: Api, server: ApiServer, tmp_path: Path) -> None:
    for status in (403, 404):
        server.script = lambda h, _, status=status: h.refuse(status, "No", "no")  # type: ignore[misc]
        with pytest.raises(ApiRefused):
            identity.check(api, tmp_path / "identity.json")
    assert identity.recorded(tmp_path / "identity.json") is None


def test_a_cluster_that_is_not_the_one_that_the_stage_names_is_refused_at_first_contact(
    api: Api, server: ApiServer, tmp_path: Path
) -> None:
    file = tmp_path / "identity.json"
    with pytest.raises(ClusterMistaken) as caught:
        identity.check(api, file, uid="99")
    assert "99" in caught.value.why
    assert UID in caught.value.why
    assert not file.exists()
    assert identity.check(api, file, uid=UID) == identity.recorded(file)
