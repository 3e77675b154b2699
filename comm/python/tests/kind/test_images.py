"""Images with a real engine, a real skaffold and a real registry, in contexts made for one test."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pl.cluster.engine import Engine
from pl.cluster.platform import Image
from pl.errors import BuildFailed, EngineAway, ImageInvalid, PlError, PullFailed, RegistryAway, StepsFailed, ToolMissing
from pl.images import build, inputs, skaffold, third_party
from pl.images.dockerignore import let_in, of_build
from pl.images.registry import holds

CHECKOUT = Path(__file__).resolve().parents[4]
BASE = "python:3.11-slim-bookworm"
RULES = "**/*.pyc\nlogs\n!logs/keep\n*/skip?.txt\n/top\nDockerfile\n.dockerignore\n"
WITHIN_S = 60
LOGIN = base64.b64encode(b"me:secret").decode()
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
            "size": 2,
        },
        "layers": [],
    }
).encode()


@dataclass
class Told:
    """A ``Progress`` that remembers, and what was said."""

    began: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def started(self, name: str) -> None:
        self.began.append(name)

    def done(self, name: str, remark: str, duration_s: float) -> None: ...

    def failed(self, name: str, error: PlError) -> None: ...


@dataclass
class Project:
    """Images ``one`` and ``two``, listed in a skaffold.yaml, with a registry and a state of their own."""

    root: Path
    registry: str
    state: Path
    engine: Engine

    @property
    def images(self) -> tuple[Image, ...]:
        return skaffold.images_of(self.root / "skaffold.yaml")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def built(
        self, told: Told, *, checkout: Path = CHECKOUT, say: Callable[[str], None] | None = None, registry: str = ""
    ) -> dict[str, str]:
        return build.ensure_built(
            self.images,
            registry=registry or self.registry,
            state=self.state,
            checkout=checkout,
            say=say or told.said.append,
            progress=told,
        )

    def content(self, reference: str, path: str) -> str:
        """A file of an image as the registry has it: pulled, and not what the engine happened to keep."""
        self.engine.run("rmi", "--force", reference)
        return self.engine.run("run", "--rm", "--entrypoint", "cat", reference, path).stdout


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="module")
def registry(engine: Engine) -> Iterator[str]:
    """HOST:PORT of a registry that holds nothing and goes when the tests have ended."""
    container = engine.run(
        "run", "--detach", "--rm", "--publish", "127.0.0.1::5000", "--env", "OTEL_TRACES_EXPORTER=none", "registry:3"
    ).stdout.strip()
    try:
        port = engine.run("port", container, "5000/tcp").stdout.strip().rpartition(":")[2]
        _wait_for(f"127.0.0.1:{port}")
        yield f"127.0.0.1:{port}"
    finally:
        engine.run("rm", "--force", "--volumes", container)


def _wait_for(host: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while True:
        connection = http.client.HTTPConnection(host, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/v2/")
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.05)


@pytest.fixture
def project(tmp_path: Path, registry: str, engine: Engine) -> Iterator[Project]:
    # Under a path of its own, so that tests of one registry are none of each other's business.
    project = Project(
        root=tmp_path / "project",
        registry=f"{registry}/{uuid.uuid4().hex[:8]}",
        state=tmp_path / "state",
        engine=engine,
    )
    project.state.mkdir()
    artifacts = "".join(f"    - {{image: {name}, context: {name}/flesh}}\n" for name in ("one", "two"))
    project.write(
        "skaffold.yaml",
        "apiVersion: skaffold/v4beta13\nkind: Config\nbuild:\n"
        "  tagPolicy:\n    envTemplate:\n"
        """      template: '{{ index . (printf "IMAGE_TAG_%s" (.IMAGE_NAME | replace "-" "_" | upper)) }}'\n"""
        f"  local: {{push: true, useBuildkit: true}}\n  artifacts:\n{artifacts}",
    )
    for name in ("one", "two"):
        project.write(f"{name}/flesh/Dockerfile", f"FROM {BASE}\nCOPY file /file\n")
        # Not what any other run has in its cache.
        project.write(f"{name}/flesh/file", f"{name} {uuid.uuid4()}")
    yield project
    listed = engine.run("images", "--format", "{{.Repository}}:{{.Tag}}", f"{project.registry}/*").stdout.split()
    if listed:
        engine.run("rmi", "--force", *listed)


def test_a_build_sees_what_the_tag_is_made_of(tmp_path: Path, engine: Engine) -> None:
    context = tmp_path / "context"
    for path in ("a.pyc", "b/a.pyc", "b/a.py", "logs/x", "logs/keep/y", "b/skip1.txt", "b/c/skip1.txt", "top", "b/top"):
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_text(path, encoding="utf-8")
    (context / "link").symlink_to("b/a.py")
    (context / ".dockerignore").write_text(RULES, encoding="utf-8")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="utf-8")
    engine.run("buildx", "build", "--output", f"type=local,dest={tmp_path / 'seen'}", str(context))
    seen = [path.relative_to(tmp_path / "seen").as_posix() for path in (tmp_path / "seen").rglob("*")]
    seen = [path for path in seen if not (tmp_path / "seen" / path).is_dir()]
    assert sorted(seen) == sorted(let_in(context, of_build(context, "Dockerfile")))
    assert sorted(seen) == ["b/a.py", "b/c/skip1.txt", "b/top", "link", "logs/keep/y"]


def test_what_the_registry_lacks_is_built_and_what_it_has_is_not(project: Project, tmp_path: Path) -> None:
    told = Told()
    built = project.built(told)
    assert sorted(told.began) == ["image one", "image two"]
    assert any("COPY file /file" in line for line in told.said)
    assert built == inputs.references(project.images, project.registry)
    # Without skaffold, nothing could be built.
    again = Told()
    began = time.monotonic()
    assert project.built(again, checkout=tmp_path) == built
    assert time.monotonic() - began < 2
    assert (again.began, again.said) == ([], [])


def test_a_changed_file_is_built_into_its_own_image_alone(project: Project) -> None:
    before = project.built(Told())
    project.write("two/flesh/file", "changed")
    told = Told()
    after = project.built(told)
    assert told.began == ["image two"]
    assert after["one"] == before["one"]
    assert after["two"] != before["two"]
    assert project.content(after["two"], "/file") == "changed"


def test_a_file_saved_while_it_is_built_does_not_get_in_under_the_wrong_tag(project: Project) -> None:
    project.write("one/flesh/file", "what was hashed")
    wanted = inputs.references(project.images, project.registry)
    built = project.built(Told(), say=lambda _: project.write("one/flesh/file", "saved meanwhile"))
    assert built == wanted
    assert project.content(built["one"], "/file") == "what was hashed"
    assert inputs.references(project.images, project.registry)["one"] != wanted["one"]


def test_a_step_that_fails_is_told_with_its_last_lines_and_the_other_image_is_built(
    project: Project, registry: str
) -> None:
    project.write(
        "one/flesh/Dockerfile",
        f"FROM {BASE}\nCOPY file /file\nRUN seq 100 && python3 -c \"raise SystemExit('it is broken')\"\n",
    )
    with pytest.raises(StepsFailed) as caught:
        project.built(Told())
    failure = caught.value.failures["image one"]
    assert list(caught.value.failures) == ["image one"]
    assert isinstance(failure, BuildFailed)
    assert "RUN seq 100" in failure.why
    assert "it is broken" in failure.why
    assert "exit code: 1" in failure.why
    assert len(failure.why.splitlines()) < 20
    again = Told()
    with pytest.raises(StepsFailed):
        project.built(again)
    assert again.began == ["image one"]


@pytest.mark.parametrize(
    ("dockerfile", "told"),
    [
        (f"FROM {BASE}\nRUNN true\n", "unknown instruction: RUNN"),
        (f"FROM {BASE}\nCOPY nowhere /\n", "nowhere"),
        (f"FROM {BASE} AS one\n\nRUN dd if=/dev/zero of=/dev/full bs=1\n", "docker builder prune"),
    ],
)
def test_what_is_wrong_with_a_build_is_named(project: Project, dockerfile: str, told: str) -> None:
    project.write("one/flesh/Dockerfile", dockerfile)
    with pytest.raises(StepsFailed) as caught:
        project.built(Told())
    failure = caught.value.failures["image one"]
    assert told in str(failure)
    assert "internal error" not in str(failure)


def test_an_image_to_build_on_that_cannot_be_had_is_named(project: Project) -> None:
    project.write("one/flesh/Dockerfile", "FROM 127.0.0.1:9/nobody/has:this\n")
    with pytest.raises(PullFailed, match=r"127\.0\.0\.1:9/nobody/has:this"):
        project.built(Told())


def test_a_registry_that_does_not_answer_is_named_before_anything_is_built(project: Project) -> None:
    told = Told()
    with pytest.raises(RegistryAway, match=r"127\.0\.0\.1:9"):
        project.built(told, registry="127.0.0.1:9/x")
    assert told.began == []


def test_an_engine_that_does_not_answer_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{project.root}/no.sock")
        with pytest.raises(EngineAway):
            project.built(Told())
        with pytest.raises(EngineAway):
            inputs.references(project.images, project.registry)


def test_without_skaffold_the_command_that_brings_it_is_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "comm").mkdir()
    (tmp_path / "comm/tools.toml").write_bytes((CHECKOUT / "comm/tools.toml").read_bytes())
    with pytest.raises(ToolMissing, match="skaffold"):
        project.built(Told(), checkout=tmp_path)


def test_an_image_that_is_not_in_the_list_is_refused(project: Project) -> None:
    image = Image(name="three", context=project.root / "one/flesh")
    with pytest.raises(ImageInvalid, match="three"):
        build.ensure_built(
            [image],
            registry=project.registry,
            state=project.state,
            checkout=CHECKOUT,
            say=lambda _: None,
            progress=Told(),
        )


class _Guarded(http.server.BaseHTTPRequestHandler):
    """A registry that lets ``me`` in, with the password ``secret``, and holds the tag ``there`` of anything."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Basic {LOGIN}":
            self._answer(401, b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}')
        elif self.path.endswith(("/manifests/there", f"/manifests/sha256:{hashlib.sha256(MANIFEST).hexdigest()}")):
            self._answer(200, MANIFEST)
        elif "/manifests/" in self.path:
            self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}')
        else:
            self._answer(200, b"{}")

    do_HEAD = do_GET  # noqa: N815 - the server's own way of naming

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("WWW-Authenticate", 'Basic realm="here"')
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def guarded() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Guarded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _docker_config(folder: Path, monkeypatch: pytest.MonkeyPatch, logins: dict[str, dict[str, str]]) -> None:
    """A configuration of Docker's client with these logins and the user's own plug-ins."""
    plugins = Path(os.environ.get("DOCKER_CONFIG", "~/.docker")).expanduser() / "cli-plugins"
    if plugins.is_dir():
        (folder / "cli-plugins").symlink_to(plugins)
    (folder / "config.json").write_text(json.dumps({"auths": logins}), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


def test_a_registry_that_wants_a_login_is_asked_with_dockers(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _docker_config(tmp_path, monkeypatch, {guarded: {"auth": LOGIN}})
    assert holds(f"{guarded}/some/thing:there", Engine())
    assert not holds(f"{guarded}/some/thing:gone", Engine())


def test_a_registry_where_nobody_logged_in_is_named_with_the_command_for_that(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _docker_config(tmp_path, monkeypatch, {})
    with pytest.raises(RegistryAway) as caught:
        holds(f"{guarded}/some/thing:there", Engine())
    assert f"docker login {guarded}" in caught.value.hint


@pytest.fixture
def published(engine: Engine, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes an image, as if somebody had published it and it had been pulled: a function of its content to its name."""
    name = f"pl-test.invalid/{uuid.uuid4().hex[:8]}/thing:1.0"

    def publish(content: str) -> str:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {BASE}\nLABEL content={content}\n", encoding="utf-8")
        engine.run("buildx", "build", "--tag", name, str(folder))
        return name

    yield publish
    engine.run("rmi", "--force", name, check=False)


def _mirrored(project: Project, told: Told, *names: str) -> dict[str, str]:
    return third_party.ensure_mirrored(
        names, registry=project.registry, state=project.state, say=told.said.append, progress=told
    )


def test_an_image_of_others_is_sent_once_and_never_pulled(
    project: Project, published: Callable[[str], str], engine: Engine
) -> None:
    name = published("first")
    told, again = Told(), Told()
    first = _mirrored(project, told, name)[name]
    assert told.began == [f"image {name}"]
    assert told.said == []
    assert first.startswith(f"{project.registry}/mirror/pl-test.invalid/")
    assert _mirrored(project, again, name)[name] == first
    assert again.began == []
    assert third_party.references([name], registry=project.registry, state=project.state)[name] == first
    # Only its own name is left in the engine.
    assert engine.inspect("image", first) is None
    engine.run("pull", "--quiet", first)
    engine.run("rmi", first)


def test_an_image_that_was_pulled_anew_gets_another_name(project: Project, published: Callable[[str], str]) -> None:
    name = published("first")
    first = _mirrored(project, Told(), name)[name]
    published("second")
    told = Told()
    second = _mirrored(project, told, name)[name]
    assert second != first
    assert told.began == [f"image {name}"]


def test_an_image_that_left_the_engine_stays_the_one_that_is_used(
    project: Project, published: Callable[[str], str], engine: Engine
) -> None:
    name = published("first")
    first = _mirrored(project, Told(), name)[name]
    engine.run("rmi", "--force", name)
    told = Told()
    assert _mirrored(project, told, name)[name] == first
    assert told.began == []


def test_an_image_that_nobody_has_is_named_and_the_others_are_sent(
    project: Project, published: Callable[[str], str]
) -> None:
    name = published("first")
    with pytest.raises(StepsFailed) as caught:
        _mirrored(project, Told(), "127.0.0.1:9/nobody/has:this", name)
    assert isinstance(caught.value.failures["image 127.0.0.1:9/nobody/has:this"], PullFailed)
    again = Told()
    _mirrored(project, again, name)
    assert again.began == []


def test_what_the_stage_remembers_of_images_is_for_its_user_alone(
    project: Project, published: Callable[[str], str]
) -> None:
    name = published("first")
    first = _mirrored(project, Told(), name)[name]
    (memory,) = project.state.glob("third-party*.json")
    assert os.stat(memory).st_mode & 0o077 == 0  # noqa: PTH116
    assert json.loads(memory.read_text(encoding="utf-8")) == {name: first}
