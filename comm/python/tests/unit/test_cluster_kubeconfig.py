"""Kubeconfigs as people have them: what is read, what is refused, and what a copy of one context holds."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_servers import certificate
from pl.cluster import kubeconfig
from pl.errors import KubeconfigInvalid

Config = dict[str, Any]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two contexts, of which ``eks`` is current."""
    made, key = certificate(tmp_path)

    def encoded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "eks",
        "contexts": [
            {"name": "eks", "context": {"cluster": "far", "user": "robot", "namespace": "web"}},
            {"name": "near", "context": {"cluster": "near", "user": "admin"}},
        ],
        "clusters": [
            {"name": "far", "cluster": {"server": "https://far.example:443/", "tls-server-name": "kubernetes"}},
            {
                "name": "near",
                "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority-data": encoded(made)},
            },
        ],
        "users": [
            {
                "name": "robot",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "aws",
                        "args": ["eks", "get-token"],
                        "env": [{"name": "AWS_PROFILE", "value": "p"}],
                        "installHint": "install the aws command\n",
                    }
                },
            },
            {"name": "admin", "user": {"client-certificate-data": encoded(made), "client-key-data": encoded(key)}},
        ],
    }


def written(folder: Path, config: Config) -> Path:
    file = folder / "config"
    file.write_text(yaml.safe_dump(config))
    return file


def test_the_current_context_is_read(tmp_path: Path, config: Config) -> None:
    access = kubeconfig.read(written(tmp_path, config))
    assert (access.context, access.cluster, access.user, access.namespace) == ("eks", "far", "robot", "web")
    assert access.server == "https://far.example:443"
    assert access.tls_server_name == "kubernetes"
    assert access.plugin is not None
    assert access.plugin.argv == ("aws", "eks", "get-token")
    assert access.plugin.variables == {"AWS_PROFILE": "p"}
    assert access.plugin.install_hint == "install the aws command"


def test_a_named_context_is_read_and_its_text_form_shows_no_key(tmp_path: Path, config: Config) -> None:
    access = kubeconfig.read(written(tmp_path, config), "near")
    assert access.certificate.startswith("-----BEGIN CERTIFICATE")
    assert "PRIVATE KEY" in access.key
    assert "PRIVATE KEY" not in repr(access)


def test_files_are_found_beside_the_kubeconfig(tmp_path: Path, config: Config) -> None:
    config["clusters"][1]["cluster"] = {"server": "https://n", "certificate-authority": "tls.crt"}
    config["users"][1]["user"] = {"client-certificate": "tls.crt", "client-key": str(tmp_path / "tls.key")}
    access = kubeconfig.read(written(tmp_path, config), "near")
    assert access.ca == (tmp_path / "tls.crt").read_text()
    assert access.key == (tmp_path / "tls.key").read_text()


def test_what_is_copied_holds_one_context_and_needs_no_other_file(tmp_path: Path, config: Config) -> None:
    config["clusters"][1]["cluster"] = {"server": "https://n", "certificate-authority": "tls.crt"}
    config["users"][1]["user"] = {"client-certificate": "tls.crt", "client-key": "tls.key"}
    source = written(tmp_path, config)
    other = tmp_path / "elsewhere"
    other.mkdir()
    copy = other / "kubeconfig"
    copy.write_text(kubeconfig.flattened(source, "near"))
    assert "robot" not in copy.read_text()
    before, after = kubeconfig.read(source, "near"), kubeconfig.read(copy)
    assert (after.ca, after.certificate, after.key, after.server) == (
        before.ca,
        before.certificate,
        before.key,
        before.server,
    )


def test_a_copied_plugin_is_found_from_wherever_the_copy_is(tmp_path: Path, config: Config) -> None:
    config["users"][0]["user"]["exec"]["command"] = "./bin/login"
    source = written(tmp_path, config)
    other = tmp_path / "elsewhere"
    other.mkdir()
    copy = other / "kubeconfig"
    copy.write_text(kubeconfig.flattened(source))
    plugin = kubeconfig.read(copy).plugin
    assert plugin is not None
    assert Path(plugin.argv[0]) == tmp_path / "bin/login"
    assert plugin.variables == {"AWS_PROFILE": "p"}


def test_insecure_is_what_the_file_says_and_no_default(tmp_path: Path, config: Config) -> None:
    assert not kubeconfig.read(written(tmp_path, config)).insecure
    config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    source = written(tmp_path, config)
    assert kubeconfig.read(source).insecure
    assert json.loads(kubeconfig.flattened(source))["clusters"][0]["cluster"]["insecure-skip-tls-verify"] is True


def _set(path: str, value: object) -> Any:
    def change(config: Config) -> None:
        *most, last = path.split("/")
        place: Any = config
        for part in most:
            place = place[int(part)] if part.isdecimal() else place[part]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("current-context", ""), "has no current-context"),
        (_set("current-context", "gone"), "has no context 'gone'"),
        (_set("contexts/0/context/cluster", "gone"), "has no cluster 'gone'"),
        (_set("contexts/0/context/user", "gone"), "has no user 'gone'"),
        (_set("clusters/0/cluster/server", "http://far.example"), "must be an https address"),
        (_set("clusters/0/cluster/server", ""), "must be an https address"),
        (_set("clusters/0/cluster/proxy-url", "socks5://x"), "has proxy-url, which"),
        (_set("clusters/0/cluster/certificate-authority", "nowhere.crt"), "nowhere.crt cannot be read"),
        (_set("clusters/0/cluster/certificate-authority-data", "%%"), "no PEM text in base64"),
        (_set("users/0/user/as", "root"), "has as, which"),
        (_set("users/0/user/auth-provider", {"name": "gcp"}), "has auth-provider, which"),
        (_set("users/0/user/client-key", "tls.key"), "a client certificate and its key go together"),
        (_set("users/0/user/exec/command", ""), "names no command"),
        (_set("users/0/user/exec/interactiveMode", "Always"), "wants to ask on a terminal"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(tmp_path: Path, config: Config, change: Any, said: str) -> None:
    change(config)
    with pytest.raises(KubeconfigInvalid, match=said) as caught:
        kubeconfig.read(written(tmp_path, config))
    assert str(tmp_path / "config") in str(caught.value)


def test_a_context_that_is_not_there_names_those_that_are(tmp_path: Path, config: Config) -> None:
    with pytest.raises(KubeconfigInvalid) as caught:
        kubeconfig.read(written(tmp_path, config), "gone")
    assert "eks, near" in caught.value.why


@pytest.mark.parametrize("text", ["", "[]", "token: 'hunter2\n: :", "\tx: hunter2"])
def test_a_file_that_is_none_is_said_so_without_what_is_in_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(KubeconfigInvalid) as caught:
        kubeconfig.read(file)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigInvalid, match="No such file"):
        kubeconfig.read(tmp_path / "gone")
