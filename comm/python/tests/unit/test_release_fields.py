"""Where objects differ, what such a field is called, and what of it may be shown."""

from typing import Any

import pytest
from pl.release.fields import ABSENT, Ref, differences, written
from pl.release.masking import MASK, masked


def changes(old: object, new: object) -> dict[str, tuple[object, object]]:
    return {written(change.path): (change.old, change.new) for change in differences(old, new)}


def deployment(**container: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", **container}]}}}}


def ref(kind: str) -> Ref:
    return Ref(group="", kind=kind, namespace="n", name="x")


def test_a_variable_is_named_by_its_container_and_its_name() -> None:
    before = deployment(env=[{"name": "DEBUG", "value": "off"}, {"name": "PORT", "value": "1"}])
    after = deployment(env=[{"name": "DEBUG", "value": "on"}, {"name": "PORT", "value": "1"}])
    assert changes(before, after) == {"spec.template.spec.containers[web].env[DEBUG].value": ("off", "on")}


def test_an_item_that_comes_or_goes_is_one_change() -> None:
    before = deployment(env=[{"name": "A", "value": "1"}])
    after = deployment(env=[{"name": "B", "value": "2"}])
    assert changes(before, after) == {
        "spec.template.spec.containers[web].env[A]": ({"name": "A", "value": "1"}, ABSENT),
        "spec.template.spec.containers[web].env[B]": (ABSENT, {"name": "B", "value": "2"}),
    }


def test_the_order_of_named_items_counts() -> None:
    before = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]
    assert changes({"env": before}, {"env": before[::-1]}) == {"env": (["[A]", "[B]"], ["[B]", "[A]"])}


def test_items_without_a_name_are_told_apart_by_their_place() -> None:
    before = {"rules": [{"hosts": ["a"]}, {"hosts": ["b"]}]}
    after = {"rules": [{"hosts": ["a"]}, {"hosts": ["c"]}]}
    assert changes(before, after) == {"rules[1].hosts": (["b"], ["c"])}


def test_items_that_share_a_name_are_no_reason_to_lose_one() -> None:
    before = {"ports": [{"name": "dns", "port": 53}, {"name": "dns", "port": 54}]}
    after = {"ports": [{"name": "dns", "port": 53}, {"name": "dns", "port": 55}]}
    found = changes(before, after)
    assert list(found) == ["ports[54]", "ports[55]"]


def test_a_key_with_dots_is_quoted() -> None:
    assert list(changes({"data": {"index.html": "a"}}, {"data": {"index.html": "b"}})) == ['data["index.html"]']


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), ([1], [True]), ("1", 1), (None, ABSENT)])
def test_what_yaml_tells_apart_differs(old: object, new: object) -> None:
    assert len(differences({"field": old}, {"field": new})) == 1


def test_equal_objects_have_no_differences() -> None:
    assert differences(deployment(env=[{"name": "A"}], args=["x"]), deployment(env=[{"name": "A"}], args=["x"])) == []


def test_nothing_of_a_secret_is_shown() -> None:
    assert masked(ref("Secret"), ("data", "anything"), "aGk=") == MASK
    assert masked(ref("Secret"), ("stringData",), {"a": "b"}) == {"a": MASK}
    assert masked(ref("Secret"), (), {"data": {"a": "b"}, "type": "Opaque"}) == {"data": {"a": MASK}, "type": "Opaque"}


@pytest.mark.parametrize(
    "name", ["DATABASE_PASSWORD", "S3_SECRET_KEY", "API_TOKEN", "S3_ACCESS_KEY", "apiKey", "PASSWD"]
)
def test_a_variable_that_speaks_of_a_secret_is_masked(name: str) -> None:
    path = ("spec", "containers", "[web]", "env", f"[{name}]")
    assert masked(ref("Deployment"), (*path, "value"), "hunter2") == MASK
    assert masked(ref("Deployment"), path, {"name": name, "value": "hunter2"}) == {"name": name, "value": MASK}
    env = [{"name": name, "value": "hunter2"}]
    assert "hunter2" not in str(masked(ref("Deployment"), ("spec",), {"containers": [{"name": "web", "env": env}]}))


@pytest.mark.parametrize("name", ["DEBUG", "KEYBOARD", "MONKEY", "DATABASE_PASSWORD_FILE", "LOG_LEVEL"])
def test_other_variables_are_shown(name: str) -> None:
    path = ("spec", "containers", "[web]", "env", f"[{name}]", "value")
    assert masked(ref("Deployment"), path, "/run/x") == "/run/x"


def test_where_a_secret_is_read_from_is_shown() -> None:
    item = {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "api"}}}
    assert masked(ref("Deployment"), ("spec", "containers", "[web]", "env", "[API_TOKEN]"), item) == item


def test_passwords_within_texts_are_masked() -> None:
    said = masked(ref("ConfigMap"), ("data", "conf"), "user=me password=hunter2\nurl: redis://:hunter2@redis:6379/0")
    assert isinstance(said, str)
    assert "hunter2" not in said
    assert "user=me" in said
    assert "redis:6379/0" in said


def test_a_key_of_a_configmap_that_speaks_of_a_secret_is_masked() -> None:
    assert masked(ref("ConfigMap"), ("data", "password"), "hunter2") == MASK


def test_absent_stays_absent() -> None:
    assert masked(ref("Secret"), ("data", "a"), ABSENT) is ABSENT
