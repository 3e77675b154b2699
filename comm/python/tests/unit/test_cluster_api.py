"""The API's client against a scripted server: what it asks, and what it makes of refusals, cuts and silence."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_servers import ApiServer, Asked, Handler, certificate, kubeconfig, serving
from pl.cluster.api import Api
from pl.errors import ApiRefused, ClusterAway, ClusterLoginFailed, WatchLost

PODS = "/api/v1/namespaces/x/pods"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    def untold(_handler: Handler, asked: Asked) -> None:
        raise AssertionError(f"the test says nothing about {asked}")

    with serving(tmp_path, untold) as told:
        yield told


@pytest.fixture
def api(server: ApiServer, tmp_path: Path) -> Api:
    return Api.of(kubeconfig(tmp_path, server=server.address, ca=server.ca, user={"token": "hunter2"}))


def test_an_object_is_returned_and_a_missing_one_is_none(api: Api, server: ApiServer) -> None:
    server.script = lambda h, a: h.say({"a": 1}) if a.path == "/there" else h.refuse(404, "NotFound", "no")
    assert api.get("/there") == {"a": 1}
    assert api.get("/nowhere") is None
    assert server.asked[0].headers["Authorization"] == "Bearer hunter2"


def test_requests_of_a_thread_use_one_connection_and_threads_their_own(api: Api, server: ApiServer) -> None:
    server.script = lambda h, _: h.say({})
    for _ in range(3):
        api.get("/a")
    assert server.connections == 1
    thread = threading.Thread(target=lambda: [api.get("/a"), api.close()])
    thread.start()
    thread.join()
    assert server.connections == 2


def test_a_connection_that_the_server_closed_meanwhile_is_not_noticed_by_anyone(api: Api, server: ApiServer) -> None:
    closed = threading.Event()

    def once(handler: Handler, _: Asked) -> None:
        handler.say({"n": len(server.asked)})
        if len(server.asked) == 1:
            handler.drop()
            closed.set()

    server.script = once
    api.get("/a")
    assert closed.wait(5)
    created = api.create("/a", {"kind": "ConfigMap", "metadata": {"name": "c"}})
    assert created == {"n": 2}


def _dropping(server: ApiServer, times: int) -> Callable[[Handler, Asked], None]:
    """Answers the first request, then drops as many without an answer."""

    def script(handler: Handler, _: Asked) -> None:
        if 1 < len(server.asked) <= 1 + times:
            handler.drop()
        else:
            handler.say({"kind": "Done"})

    return script


def test_a_kept_connection_that_breaks_in_use_is_tried_once_more(api: Api, server: ApiServer) -> None:
    server.script = _dropping(server, 1)
    api.get("/a")
    assert api.apply("/a", {}, manager="m") == {"kind": "Done"}


def test_a_create_whose_answer_is_lost_is_not_sent_twice(api: Api, server: ApiServer) -> None:
    server.script = _dropping(server, 1)
    api.get("/a")
    with pytest.raises(ClusterAway):
        api.create("/a", {})
    assert [asked.method for asked in server.asked] == ["GET", "POST"]


def test_a_json_patch_whose_answer_is_lost_is_not_sent_twice(api: Api, server: ApiServer) -> None:
    server.script = _dropping(server, 1)
    api.get("/a")
    with pytest.raises(ClusterAway):
        api.patch("/a", [], kind="json")
    assert len(server.asked) == 2


def test_a_delete_that_was_done_though_its_answer_was_lost_is_one(api: Api, server: ApiServer) -> None:
    def script(handler: Handler, asked: Asked) -> None:
        deletes = [one for one in server.asked if one.method == "DELETE"]
        if asked.method == "GET":
            handler.say({})
        elif len(deletes) == 1:
            handler.drop()
        else:
            handler.refuse(404, "NotFound", "gone")

    server.script = script
    api.get("/a")
    assert api.delete("/a")
    assert not api.delete("/a")


def test_a_cluster_that_drops_every_connection_is_away(api: Api, server: ApiServer) -> None:
    server.script = _dropping(server, 2)
    api.get("/a")
    with pytest.raises(ClusterAway, match=server.address):
        api.get("/a")


def test_where_nobody_listens_the_address_is_said(api: Api, tmp_path: Path) -> None:
    away = Api.of(kubeconfig(tmp_path, server="https://127.0.0.1:9", ca=api.access.file.with_name("tls.crt")))
    with pytest.raises(ClusterAway, match=r"127\.0\.0\.1:9") as caught:
        away.get("/a")
    assert "Connection refused" in caught.value.why
    assert caught.value.passing


def test_a_certificate_of_another_authority_is_refused_and_waiting_is_of_no_use(
    server: ApiServer, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ca, _ = certificate(other)
    with pytest.raises(ClusterAway, match="does not answer") as caught:
        Api.of(kubeconfig(tmp_path, server=server.address, ca=ca)).get("/a")
    assert "cannot be trusted" in caught.value.why
    assert not caught.value.passing


def test_a_client_certificate_is_shown(server: ApiServer, tmp_path: Path) -> None:
    key = server.ca.with_name("tls.key")
    user = {"client-certificate": str(server.ca), "client-key": str(key)}
    server.script = lambda h, _: h.say({})
    assert Api.of(kubeconfig(tmp_path, server=server.address, ca=server.ca, user=user)).get("/a") == {}


@pytest.mark.parametrize(("status", "said"), [(403, "needs that permission"), (401, "log in")])
def test_a_refusal_says_what_is_missing_and_no_credential(api: Api, server: ApiServer, status: int, said: str) -> None:
    message = 'User "me" cannot list resource "pods" in the namespace "x"'
    server.script = lambda h, _: h.refuse(status, "Forbidden", message)
    with pytest.raises(ApiRefused) as caught:
        api.list(PODS)
    assert caught.value.status == status
    assert caught.value.message == message
    assert said in caught.value.hint
    assert "here" in caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_what_the_server_says_of_a_secret_is_not_repeated(api: Api, server: ApiServer) -> None:
    server.script = lambda h, _: h.refuse(400, "BadRequest", 'illegal base64 in "hunter3"')
    with pytest.raises(ApiRefused) as caught:
        api.apply("/api/v1/namespaces/x/secrets/s", {}, manager="m")
    assert "hunter3" not in str(caught.value)


def test_what_is_no_kubernetes_api_is_said_to_be_none(api: Api, server: ApiServer) -> None:
    server.script = lambda h, _: h.say(b"<html>welcome</html>")
    with pytest.raises(ClusterAway, match="does not answer") as caught:
        api.get("/a")
    assert "Kubernetes API" in caught.value.why


def test_a_busy_server_is_asked_again_when_it_says_so(api: Api, server: ApiServer) -> None:
    def busy(handler: Handler, _: Asked) -> None:
        if len(server.asked) == 1:
            handler.say({"message": "later"}, 429, Retry_After="1")
        else:
            handler.say({"a": 1})

    server.script = busy
    assert api.get("/a") == {"a": 1}


def test_all_pages_of_a_list_are_read_and_items_know_their_kind(api: Api, server: ApiServer) -> None:
    def pages(handler: Handler, asked: Asked) -> None:
        token = asked.query.get("continue", "")
        more = {"": "two", "two": ""}[token]
        metadata = {"resourceVersion": "7", **({"continue": more} if more else {})}
        handler.say(
            {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": [{"metadata": {"name": token}}]}
        )

    server.script = pages
    items, version = api.list(PODS, labels="a=b", fields="c=d", limit=1)
    assert [item["metadata"]["name"] for item in items] == ["", "two"]
    assert {(item["apiVersion"], item["kind"]) for item in items} == {("v1", "Pod")}
    assert version == "7"
    assert server.asked[1].query == {"labelSelector": "a=b", "fieldSelector": "c=d", "limit": "1", "continue": "two"}


def test_a_list_whose_pages_were_forgotten_is_asked_for_whole(api: Api, server: ApiServer) -> None:
    def script(handler: Handler, asked: Asked) -> None:
        if asked.query.get("continue"):
            handler.refuse(410, "Expired", "too old")
        elif asked.query.get("limit"):
            handler.say({"kind": "PodList", "metadata": {"continue": "c"}, "items": [{"n": 1}]})
        else:
            handler.say({"kind": "PodList", "metadata": {"resourceVersion": "9"}, "items": [{"n": 1}, {"n": 2}]})

    server.script = script
    items, version = api.list(PODS)
    assert [item["n"] for item in items] == [1, 2]
    assert version == "9"


def test_apply_names_its_manager_and_a_dry_run_says_so(api: Api, server: ApiServer) -> None:
    server.script = lambda h, a: h.say(a.body)
    assert api.apply("/a", {"x": 1}, manager="me", force=False, dry_run=True) == {"x": 1}
    (asked,) = server.asked
    assert asked.method == "PATCH"
    assert asked.query == {"fieldManager": "me", "force": "false", "dryRun": "All"}
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"


@pytest.mark.parametrize("kind", ["merge", "json", "strategic"])
def test_each_kind_of_patch_has_its_type(api: Api, server: ApiServer, kind: str) -> None:
    server.script = lambda h, _: h.say({})
    api.patch("/a", [], kind=kind)  # type: ignore[arg-type]
    assert kind in server.asked[0].headers["Content-Type"]


def test_delete_can_be_bound_to_one_object(api: Api, server: ApiServer) -> None:
    server.script = lambda h, _: h.say({})
    api.delete("/a", propagation="Foreground", uid="u")
    assert server.asked[0].body["propagationPolicy"] == "Foreground"
    assert server.asked[0].body["preconditions"] == {"uid": "u"}


# --- watches and logs


def test_a_watch_ends_when_the_server_ends_it(api: Api, server: ApiServer) -> None:
    def watch(handler: Handler, _: Asked) -> None:
        handler.begin_chunks()
        handler.event("ADDED", {"n": 1})
        handler.event("BOOKMARK", {})
        handler.event("DELETED", {"n": 1, "text": "x" * 100_000})
        handler.end_chunks()

    server.script = watch
    events = list(api.watch(PODS, resource_version="5", labels="a=b", timeout_s=10))
    assert [(event.type, event.object["n"]) for event in events] == [("ADDED", 1), ("DELETED", 1)]
    assert server.asked[0].query == {
        "watch": "true",
        "resourceVersion": "5",
        "labelSelector": "a=b",
        "timeoutSeconds": "10",
    }


def test_a_version_that_is_too_old_is_a_lost_watch_as_an_event_and_as_an_answer(api: Api, server: ApiServer) -> None:
    def as_event(handler: Handler, _: Asked) -> None:
        handler.begin_chunks()
        handler.event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
        handler.end_chunks()

    server.script = as_event
    with pytest.raises(WatchLost):
        list(api.watch(PODS, resource_version="1"))
    server.script = lambda h, _: h.refuse(410, "Gone", "too old")
    with pytest.raises(WatchLost):
        list(api.watch(PODS, resource_version="1"))


def test_another_error_within_a_watch_is_a_refusal(api: Api, server: ApiServer) -> None:
    def script(handler: Handler, _: Asked) -> None:
        handler.begin_chunks()
        handler.event("ERROR", {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd"})

    server.script = script
    with pytest.raises(ApiRefused, match="500 InternalError"):
        list(api.watch(PODS))


@pytest.mark.parametrize("rest", [b"", b'{"type": "ADD'])
def test_a_watch_that_is_cut_is_lost_and_not_ended(api: Api, server: ApiServer, rest: bytes) -> None:
    def script(handler: Handler, _: Asked) -> None:
        handler.begin_chunks()
        handler.event("ADDED", {"n": 1})
        if rest:
            handler.chunk(rest)
        handler.drop()

    server.script = script
    events = api.watch(PODS)
    assert next(events).type == "ADDED"
    with pytest.raises(WatchLost):
        next(events)


def test_a_silent_watch_is_ended_by_another_thread(api: Api, server: ApiServer) -> None:
    begun, over = threading.Event(), threading.Event()

    def script(handler: Handler, _: Asked) -> None:
        handler.begin_chunks()
        begun.set()
        over.wait(20)

    server.script = script
    events = api.watch(PODS)
    assert begun.wait(5)
    closer = threading.Timer(0.05, events.close)
    closer.start()
    try:
        assert list(events) == []
    finally:
        over.set()
        closer.join()


def test_other_requests_go_on_beside_a_watch(api: Api, server: ApiServer) -> None:
    def script(handler: Handler, asked: Asked) -> None:
        if not asked.query.get("watch"):
            handler.say({"a": 1})
            return
        handler.begin_chunks()
        handler.event("ADDED", {"n": 1})
        handler.event("ADDED", {"n": 2})
        handler.end_chunks()

    server.script = script
    assert [api.get("/a") for _ in api.watch(PODS)] == [{"a": 1}, {"a": 1}]


def test_a_log_comes_line_by_line_whatever_its_bytes_are(api: Api, server: ApiServer) -> None:
    def script(handler: Handler, _: Asked) -> None:
        handler.begin_chunks()
        for part in (b"one\ntw", b"o \xff\r\n", b"\nlast"):
            handler.chunk(part)
        handler.end_chunks()

    server.script = script
    lines = api.logs("x", "p", "c", previous=True, tail_lines=5, timestamps=True)
    assert list(lines) == [b"one", b"two \xff", b"", b"last"]
    assert server.asked[0].path == "/api/v1/namespaces/x/pods/p/log"
    assert server.asked[0].query == {"container": "c", "previous": "true", "tailLines": "5", "timestamps": "true"}


def test_a_log_that_is_not_there_is_a_refusal(api: Api, server: ApiServer) -> None:
    server.script = lambda h, _: h.refuse(400, "BadRequest", "previous terminated container not found")
    with pytest.raises(ApiRefused) as caught:
        list(api.logs("x", "p", "c", previous=True))
    assert caught.value.status == 400


# --- where objects are

_APPS = {
    "kind": "APIResourceList",
    "resources": [
        {"name": "deployments", "kind": "Deployment", "namespaced": True},
        {"name": "deployments/scale", "kind": "Scale", "namespaced": True},
    ],
}
_CORE = {"resources": [{"name": "namespaces", "kind": "Namespace", "namespaced": False}]}


def _discovered(handler: Handler, asked: Asked) -> None:
    known = {"/apis/apps/v1": _APPS, "/api/v1": _CORE}
    if asked.path in known:
        handler.say(known[asked.path])
    else:
        handler.refuse(404, "NotFound", "no such version")


def test_paths_follow_from_kinds(api: Api, server: ApiServer) -> None:
    server.script = _discovered
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    assert api.path_of(deployment, namespace="x") == "/apis/apps/v1/namespaces/x/deployments/web"
    own = {**deployment, "metadata": {"name": "web", "namespace": "own"}}
    assert api.path_of(own, namespace="x") == "/apis/apps/v1/namespaces/own/deployments/web"
    assert api.path_of(("apps/v1", "Deployment")) == "/apis/apps/v1/deployments"
    assert api.path_of(("apps/v1", "Deployment"), namespace="x") == "/apis/apps/v1/namespaces/x/deployments"
    assert api.path_of(("v1", "Namespace"), namespace="x", name="y") == "/api/v1/namespaces/y"
    with pytest.raises(ValueError, match="needs a namespace"):
        api.path_of(deployment)


def test_kinds_are_asked_for_once_and_remembered_beside_the_kubeconfig(api: Api, server: ApiServer) -> None:
    server.script = _discovered
    for _ in range(2):
        api.path_of(("apps/v1", "Deployment"))
    Api.of(api.access.file).path_of(("apps/v1", "Deployment"))
    assert len(server.asked) == 1
    assert api.access.file.with_name("discovery.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "[]", '{"mark": "another cluster", "kinds": {}}', '{"mark": 1}'])
def test_what_was_remembered_of_another_cluster_or_is_damaged_is_asked_for_again(
    api: Api, server: ApiServer, content: str
) -> None:
    server.script = _discovered
    api.access.file.with_name("discovery.json").write_text(content)
    assert api.path_of(("apps/v1", "Deployment")) == "/apis/apps/v1/deployments"


@pytest.mark.parametrize("what", [("apps/v1", "Deploymnet"), ("apps/v9", "Deployment"), ("apps/v1", "Scale")])
def test_a_kind_that_the_cluster_does_not_know_is_refused_by_name(
    api: Api, server: ApiServer, what: tuple[str, str]
) -> None:
    server.script = _discovered
    with pytest.raises(ApiRefused, match=what[1]) as caught:
        api.path_of(what)
    assert caught.value.status == 404


# --- programs that print credentials


def _plugin(folder: Path, body: str) -> dict[str, object]:
    script = folder / "login"
    script.write_text(f"#!/bin/sh\necho called >> {folder}/calls\n{body}\n")
    script.chmod(0o755)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(script),
            "args": ["get-token"],
            "env": [{"name": "WHO", "value": "me"}],
            "interactiveMode": "IfAvailable",
        }
    }


def _calls(folder: Path) -> int:
    return len((folder / "calls").read_text().split())


def _credential(token: str, **status: str) -> str:
    return json.dumps({"kind": "ExecCredential", "status": {"token": token, **status}})


def test_a_printed_token_is_used_until_it_ends(server: ApiServer, tmp_path: Path) -> None:
    body = f"echo '{_credential('t-$WHO', expirationTimestamp='2020-01-01T00:00:00Z')}' | sed s/.WHO/$WHO/"
    file = kubeconfig(tmp_path, server=server.address, ca=server.ca, user=_plugin(tmp_path, body))
    server.script = lambda h, _: h.say({})
    api = Api.of(file)
    api.get("/a")
    api.get("/a")
    assert server.asked[0].headers["Authorization"] == "Bearer t-me"
    assert _calls(tmp_path) == 2
    (tmp_path / "calls").unlink()
    lasting = _plugin(tmp_path, f"echo '{_credential('t', expirationTimestamp='2999-01-01T00:00:00Z')}'")
    api = Api.of(kubeconfig(tmp_path, server=server.address, ca=server.ca, user=lasting))
    api.get("/a")
    api.get("/a")
    assert _calls(tmp_path) == 1


def test_a_printed_token_that_is_refused_is_printed_once_more(server: ApiServer, tmp_path: Path) -> None:
    old, new = _credential("old"), _credential("new")
    body = f"if [ $(wc -l < {tmp_path}/calls) = 1 ]; then echo '{old}'; else echo '{new}'; fi"
    server.script = lambda h, a: (
        h.say({}) if a.headers["Authorization"] == "Bearer new" else h.refuse(401, "Unauthorized", "Unauthorized")
    )
    api = Api.of(kubeconfig(tmp_path, server=server.address, ca=server.ca, user=_plugin(tmp_path, body)))
    assert api.get("/a") == {}
    assert _calls(tmp_path) == 2


@pytest.mark.parametrize("body", ["echo hunter2", "echo '{}'", "echo hunter2; echo denied >&2; exit 3"])
def test_a_program_that_prints_no_credential_is_said_so_without_what_it_printed(
    server: ApiServer, tmp_path: Path, body: str
) -> None:
    api = Api.of(kubeconfig(tmp_path, server=server.address, ca=server.ca, user=_plugin(tmp_path, body)))
    with pytest.raises(ClusterLoginFailed) as caught:
        api.get("/a")
    assert "hunter2" not in str(caught.value)
    assert "login" in str(caught.value)


def test_a_token_that_changes_in_its_file_is_read_anew(server: ApiServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    server.script = lambda h, _: h.say({})
    api = Api.of(kubeconfig(tmp_path, server=server.address, ca=server.ca, user={"tokenFile": str(file)}))
    api.get("/a")
    file.write_text("two\n")
    api.get("/a")
    assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer one", "Bearer two"]
    os.unlink(file)  # noqa: PTH108
    with pytest.raises(ClusterLoginFailed, match="token"):
        api.get("/a")
