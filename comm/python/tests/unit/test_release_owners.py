"""Who owns which field: what others added is found and handed over, and what the cluster does itself is left alone."""

import copy
from typing import Any

from pl.release.fields import written
from pl.release.owners import additions, is_owned_by_autoscaler, taken_over

HELM = {
    "manager": "helm",
    "operation": "Apply",
    "apiVersion": "apps/v1",
    "fieldsV1": {
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"web"}': {
                            ".": {},
                            "f:name": {},
                            "f:env": {'k:{"name":"DEBUG"}': {".": {}, "f:name": {}, "f:value": {}}},
                        }
                    }
                }
            },
        },
    },
}
EDIT = {
    "manager": "kubectl-edit",
    "operation": "Update",
    "apiVersion": "apps/v1",
    "fieldsV1": {
        "f:metadata": {"f:annotations": {".": {}, "f:note": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"web"}': {
                            "f:env": {'k:{"name":"EXTRA"}': {".": {}, "f:name": {}, "f:value": {}}},
                        }
                    }
                }
            },
        },
    },
}
CONTROLLER = {
    "manager": "kube-controller-manager",
    "operation": "Update",
    "subresource": "status",
    "apiVersion": "apps/v1",
    "fieldsV1": {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}, "f:status": {"f:x": {}}},
}


def deployment(*entries: dict[str, Any]) -> dict[str, Any]:
    env = [{"name": "DEBUG", "value": "off"}, {"name": "EXTRA", "value": "1"}]
    return {
        "metadata": {
            "labels": {"app": "web"},
            "annotations": {"note": "by hand", "deployment.kubernetes.io/revision": "1"},
            "managedFields": copy.deepcopy(list(entries)),
        },
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "env": env}]}}},
    }


def test_an_annotation_and_a_variable_that_somebody_added_are_found() -> None:
    found = additions(deployment(HELM, EDIT, CONTROLLER))
    assert [(written(one.path), one.value, one.manager) for one in found] == [
        ("metadata.annotations.note", "by hand", "kubectl-edit"),
        (
            "spec.template.spec.containers[web].env[EXTRA]",
            {"name": "EXTRA", "value": "1"},
            "kubectl-edit",
        ),
    ]


def test_what_helm_owns_as_well_is_no_addition() -> None:
    assert not any("replicas" in written(one.path) for one in additions(deployment(HELM, EDIT)))


def test_what_the_cluster_does_itself_is_no_addition() -> None:
    assert additions(deployment(HELM, CONTROLLER)) == []


def test_a_field_that_is_gone_is_no_addition() -> None:
    obj = deployment(HELM, EDIT)
    del obj["metadata"]["annotations"]["note"]
    assert [one.path[-1] for one in additions(obj)] == ["[EXTRA]"]


def test_a_whole_list_that_helm_does_not_have_is_named_by_its_items() -> None:
    sidecar = {
        "manager": "injector",
        "operation": "Update",
        "fieldsV1": {"f:spec": {"f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}},
    }
    obj = {"metadata": {"managedFields": [sidecar]}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}
    assert [written(one.path) for one in additions(obj)] == ["spec.ports[80]"]


def test_handed_over_they_are_helms_and_nobody_elses() -> None:
    obj = deployment(HELM, EDIT, CONTROLLER)
    obj["metadata"]["managedFields"] = taken_over(obj)
    assert additions(obj) == []
    helm, edit, controller = obj["metadata"]["managedFields"]
    assert "f:note" in helm["fieldsV1"]["f:metadata"]["f:annotations"]
    web = helm["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert set(web["f:env"]) == {'k:{"name":"DEBUG"}', 'k:{"name":"EXTRA"}'}
    assert edit["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert controller == CONTROLLER


def test_a_manager_that_is_left_with_nothing_goes() -> None:
    note = {**EDIT, "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, "f:note": {}}}}}
    assert [entry["manager"] for entry in taken_over(deployment(HELM, note))] == ["helm"]


def test_another_version_of_the_kind_is_left_alone() -> None:
    obj = deployment(HELM, {**EDIT, "apiVersion": "apps/v1beta1"})
    assert taken_over(obj) == obj["metadata"]["managedFields"]


def test_an_autoscaler_is_told_from_somebody_who_scales() -> None:
    scaled = {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "subresource": "scale",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    assert is_owned_by_autoscaler(deployment(HELM, scaled))
    assert not is_owned_by_autoscaler(deployment(HELM, {**scaled, "manager": "kubectl"}))
    assert not is_owned_by_autoscaler(deployment(HELM, EDIT))
