"""An app's unit tests in a pod: in the very image that is deployed, as confined as it is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pl.cluster.api import Api, Object
from pl.cluster.platform import Image, Suite
from pl.cluster_stage import pods
from pl.cluster_stage.one_pod import run_pod
from pl.files import write_whole
from pl.images import snapshot
from pl.images.skaffold import FILE

BASE_ARGUMENT = "IMAGE"
_CONTAINER = "tests"
_COMPONENT = "tests"
_LOOK_EVERY_S = 0.5
_STARTS_WITHIN_S = 180.0
_LONGEST_RUN_S = 3600
_AWAY_FOR_S = 60.0
_HOPELESS = ("ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError")
_PULL_FAILED = ("ErrImagePull", "ImagePullBackOff")


def suite_image(suite: Suite, base: str, folder: Path) -> tuple[Image, Path]:
    """The image of a suite over the one whose reference is ``base``, and the skaffold.yaml that lists it.

    Both are copies in ``folder``, in the state: the checkout's own list has no references in it.
    """
    wanted = replace(suite.image, arguments={**suite.image.arguments, BASE_ARGUMENT: base})
    _, (image,) = snapshot.taken(wanted.context / wanted.dockerfile, [wanted], folder / "context")
    docker = {"dockerfile": image.dockerfile, "buildArgs": dict(image.arguments)}
    if image.target:
        docker["target"] = image.target
    config = folder / FILE
    listed = {"image": image.name, "context": str(image.context), "docker": docker}
    write_whole(config, json.dumps(_configuration(listed), indent=1))
    return image, config


def run_suite(
    api: Api, namespace: str, app: str, reference: str, arguments: Sequence[str], *, on_line: Callable[[str], None]
) -> int:
    """Run the tests of an image in a pod that is gone afterwards. Returns their exit status.

    Raises PodFailed where they could not be run, or did not end by themselves.
    """
    collection = api.path_of(("v1", "Pod"), namespace=namespace)
    _clear(api, collection, namespace, app)
    return run_pod(api, namespace, _pod(namespace, app, reference, arguments), what="the tests", on_line=on_line)


def _clear(api: Api, collection: str, namespace: str, app: str) -> None:
    """Delete what runs have left that were killed; those that still run may be somebody else's."""
    for pod in pods.list_pods(api, namespace, labels=_selector(app)):
        if pods.is_over(pod):
            api.delete(f"{collection}/{pod['metadata']['name']}")


def _selector(app: str) -> str:
    return f"{pods.COMPONENT}={_COMPONENT},app.kubernetes.io/name={app}"


def _pod(namespace: str, app: str, reference: str, arguments: Sequence[str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{app}-tests-",
            "labels": {
                pods.COMPONENT: _COMPONENT,
                "app.kubernetes.io/name": app,
                "app.kubernetes.io/part-of": namespace,
                "app.kubernetes.io/managed-by": "pl",
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": _LONGEST_RUN_S,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": _CONTAINER,
                    "image": reference,
                    "imagePullPolicy": "IfNotPresent",
                    "args": list(arguments),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the pod's own
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
        },
    }


def _configuration(artifact: object) -> object:
    # The tag comes by a variable, as in the checkout's own file.
    tag = '{{ index . (printf "IMAGE_TAG_%s" (.IMAGE_NAME | replace "-" "_" | upper)) }}'
    return {
        "apiVersion": "skaffold/v4beta13",
        "kind": "Config",
        "build": {
            "tagPolicy": {"envTemplate": {"template": tag}},
            "local": {"push": True, "useBuildkit": True},
            "artifacts": [artifact],
        },
    }
