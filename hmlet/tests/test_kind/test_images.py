"""The images of the platform under plain ``docker build`` and ``docker run``: small, confined, and they answer.

They are built from a copy that nobody but its owner may read, as a checkout under a strict umask is.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pl.cluster.engine import Engine
from pl.cluster.platform import Image
from pl.images import skaffold

ROOT = Path(__file__).resolve().parents[2]
BASES = {
    "hmlet-web": "python:3.11-slim-bookworm",
    "hmlet-worker": "python:3.11-slim-bookworm",
    "hmlet-frontend": "nginxinc/nginx-unprivileged:1.26",
}
MB_OVER_BASE = {"hmlet-web": 150, "hmlet-worker": 350, "hmlet-frontend": 1}
NAMES = sorted(BASES)
OURS = ("hmlet-web", "hmlet-worker")
TMP = "/tmp"  # noqa: S108 - in containers, the one folder that may be written
CONFINED = ("--read-only", "--tmpfs", TMP, "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
# The least that web starts with. SQLite's file is below /tmp, like everything that is written.
SETTINGS = {
    "DJANGO_SECRET_KEY": "of-this-test-alone",
    "PUBLIC_URL": "http://127.0.0.1",
    "DATABASE_NAME": f"{TMP}/database",
    "REDIS_HOST": "queue",
    "REDIS_PASSWORD": "of-this-test-alone",
    "S3_ENDPOINT_URL": "http://127.0.0.1:9",
    "S3_ACCESS_KEY": "of-this-test-alone",
    "S3_SECRET_KEY": "of-this-test-alone",
}
TOOLS = "pip pip3 uv gcc cc g++ clang make ld node npm git curl wget"
WITHIN_S = 90

Run = Callable[..., str]


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """The images of skaffold.yaml by name, their contexts copied and closed to everybody else."""
    root = tmp_path_factory.mktemp("contexts")
    for flesh in ("photos/flesh", "frontend/flesh"):
        shutil.copytree(ROOT / flesh, root / flesh, ignore=shutil.ignore_patterns(".*_cache", ".hypothesis"))
        for path in (root / flesh).rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
    shutil.copy(ROOT / skaffold.FILE, root)
    return {image.name: image for image in skaffold.images_of(root / skaffold.FILE)}


@pytest.fixture(scope="session")
def build(engine: Engine) -> Iterator[Callable[[Image], str]]:
    """Builds an image by Docker alone; returns its name in the engine, which goes at the end."""
    prefix, made = f"pl-test-{uuid.uuid4().hex[:8]}", list[str]()

    def built(image: Image) -> str:
        name = f"{prefix}/{image.name}:{len(made)}"
        target = ("--target", image.target) if image.target else ()
        engine.run("build", "--tag", name, *target, str(image.context), timeout_s=900)
        made.append(name)
        return name

    yield built
    if made:
        engine.run("rmi", "--force", *made)


@pytest.fixture(scope="session")
def images(contexts: Mapping[str, Image], build: Callable[[Image], str]) -> dict[str, str]:
    """By the name of each image, what it is called in the engine."""
    return {name: build(contexts[name]) for name in NAMES}


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Iterator[Run]:
    """Starts a container, confined as in the cluster, and returns its id. It is removed at the end."""
    started: list[str] = []

    def start(image: str, *command: str, options: tuple[str, ...] = CONFINED, env: Mapping[str, str] = SETTINGS) -> str:
        file = tmp_path / f"env-{len(started)}"
        file.write_text("".join(f"{key}={value}\n" for key, value in env.items()), encoding="utf-8")
        started.append(engine.run("run", "--detach", "--env-file", str(file), *options, image, *command).stdout.strip())
        return started[-1]

    yield start
    for container in started:
        engine.run("rm", "--force", "--volumes", container)


def _bytes_of(engine: Engine, image: str) -> int:
    """Unpacked, all layers."""
    return sum(map(int, engine.run("history", "--human=false", "--format", "{{.Size}}", image).stdout.split()))


def _config(engine: Engine, image: str) -> dict[str, Any]:
    found = engine.inspect("image", image)
    assert found
    return dict(found["Config"])


def _port(engine: Engine, container: str, inside: int) -> int:
    return int(engine.run("port", container, f"{inside}/tcp").stdout.split()[0].rpartition(":")[2])


def _get(port: int, path: str) -> tuple[int, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def _answers(engine: Engine, container: str, port: int, path: str) -> str:
    """Its answer, as soon as there is one."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            status, body = _get(port, path)
        except (OSError, http.client.HTTPException):
            status, body = 0, ""
        if status == 200:
            return body
        if time.monotonic() > deadline or not _state(engine, container)["Running"]:
            pytest.fail(f"{path}: {status} {body}\n{_log(engine, container)}")
        time.sleep(0.1)


def _state(engine: Engine, container: str) -> dict[str, Any]:
    found = engine.inspect("container", container)
    assert found
    return dict(found["State"])


def _log(engine: Engine, container: str) -> str:
    result = engine.run("logs", container)
    return result.stdout + result.stderr


def _says(engine: Engine, container: str, words: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while words not in _log(engine, container):
        if time.monotonic() > deadline or not _state(engine, container)["Running"]:
            pytest.fail(f"it never said {words!r}:\n{_log(engine, container)}")
        time.sleep(0.1)


def _ended(engine: Engine, container: str) -> int:
    """Its exit status, when it ends by itself."""
    return int(engine.run("wait", container, timeout_s=WITHIN_S).stdout)


def _stopped(engine: Engine, container: str) -> tuple[int, float]:
    """Its exit status after the signal to stop, and how many seconds that took."""
    began = time.monotonic()
    engine.run("stop", "--time", "60", container)
    return int(_state(engine, container)["ExitCode"]), time.monotonic() - began


@pytest.mark.parametrize("name", NAMES)
def test_an_image_adds_no_more_than_it_may(name: str, images: Mapping[str, str], engine: Engine) -> None:
    over = _bytes_of(engine, images[name]) - _bytes_of(engine, BASES[name])
    assert 0 < over <= MB_OVER_BASE[name] * 1_000_000


def test_web_and_worker_share_the_layer_of_their_packages(images: Mapping[str, str], engine: Engine) -> None:
    layers = [(engine.inspect("image", images[name]) or {})["RootFS"]["Layers"] for name in OURS]
    shared = [pair[0] for pair in zip(*layers, strict=False) if pair[0] == pair[1]]
    base = (engine.inspect("image", BASES["hmlet-web"]) or {})["RootFS"]["Layers"]
    assert len(shared) > len(base) + 1


@pytest.mark.parametrize("name", OURS)
def test_a_changed_source_file_changes_the_last_layer_alone(
    name: str,
    images: Mapping[str, str],
    contexts: Mapping[str, Image],
    build: Callable[[Image], str],
    engine: Engine,
    tmp_path: Path,
) -> None:
    changed = Path(shutil.copytree(contexts[name].context, tmp_path / "flesh"))
    with (changed / "config/urls.py").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    before = (engine.inspect("image", images[name]) or {})["RootFS"]["Layers"]
    image = build(replace(contexts[name], context=changed))
    after = (engine.inspect("image", image) or {})["RootFS"]["Layers"]
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_names_a_user_by_number_who_is_not_root(name: str, images: Mapping[str, str], engine: Engine) -> None:
    assert re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", _config(engine, images[name])["User"])


@pytest.mark.parametrize("name", OURS)
def test_nothing_in_an_image_installs_or_compiles(name: str, images: Mapping[str, str], engine: Engine) -> None:
    script = f"""
        for tool in {TOOLS}; do command -v $tool && echo "is there: $tool"; done
        for python in python /usr/bin/python3 /usr/local/bin/python3; do
            for module in pip ensurepip setuptools; do
                $python -c "import $module" 2>/dev/null && echo "$python has $module"
            done
        done
        exit 0
    """
    assert engine.run("run", "--rm", "--user", "0", images[name], "sh", "-c", script).stdout == ""


@pytest.mark.parametrize("name", OURS)
def test_an_image_holds_what_runs_and_nothing_of_it_can_be_changed(
    name: str, images: Mapping[str, str], engine: Engine
) -> None:
    listed = engine.run("run", "--rm", images[name], "ls", "-A").stdout.split()
    packages = [path.parent.name for path in (ROOT / "photos/flesh").glob("*/__init__.py")]
    assert sorted(listed) == sorted({"__pycache__", "manage.py", *packages} - {"tests"})
    found = engine.run(
        *("run", "--rm", images[name], "find", "/", "-xdev", "-writable", "-not", "-type", "l"),
        *("-not", "-path", "/proc/*", "-not", "-path", "/dev/*"),
        check=False,
    ).stdout.split()
    everybodys = {TMP, f"/var{TMP}", "/run/lock", "/dev"}
    assert sorted(set(found) - everybodys) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_image_tells_a_secret_or_where_its_packages_came_from(
    name: str, images: Mapping[str, str], engine: Engine
) -> None:
    config = _config(engine, images[name])
    history = engine.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", images[name]).stdout
    told = json.dumps([config["Env"], config["Cmd"], config["Labels"]]) + history
    assert not re.search(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY|INDEX_URL|PROXY", told, re.IGNORECASE)
    assert config["Labels"]["org.opencontainers.image.title"]


@pytest.mark.parametrize("user", ["", "20001:20001"])
def test_web_answers_with_a_read_only_root_and_stops_when_told(
    images: Mapping[str, str], engine: Engine, run: Run, user: str
) -> None:
    someone = ("--user", user) if user else ()
    container = run(images["hmlet-web"], options=(*CONFINED, *someone, "--publish", "127.0.0.1::8000"))
    port = _port(engine, container, 8000)
    assert _answers(engine, container, port, "/healthz/live") == "ok\n"
    assert _get(port, "/static/admin/css/base.css")[0] == 200
    assert _get(port, "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js")[0] == 200
    assert "swagger" in _get(port, "/docs/")[1]
    status, took_s = _stopped(engine, container)
    assert status == 0, _log(engine, container)
    assert took_s < 30


@pytest.mark.parametrize("name", OURS)
def test_without_settings_an_image_ends_and_names_all_that_is_missing(
    name: str, images: Mapping[str, str], engine: Engine, run: Run
) -> None:
    container = run(images[name], env={})
    assert _ended(engine, container) != 0
    for setting in SETTINGS:
        assert f"{setting} is not set" in _log(engine, container)


def test_web_migrates_with_its_secrets_from_files(
    images: Mapping[str, str], engine: Engine, run: Run, tmp_path: Path
) -> None:
    secrets = {"DJANGO_SECRET_KEY", "S3_SECRET_KEY", "REDIS_PASSWORD"}
    env = {key: value for key, value in SETTINGS.items() if key not in secrets}
    (tmp_path / "secrets").mkdir()
    for secret in secrets:
        (tmp_path / "secrets" / secret).write_text(SETTINGS[secret], encoding="utf-8")
        (tmp_path / "secrets" / secret).chmod(0o644)
        env[f"{secret}_FILE"] = f"/run/secrets/{secret}"
    container = run(
        images["hmlet-web"],
        *("python", "manage.py", "migrate", "--no-input"),
        options=(*CONFINED, "--volume", f"{tmp_path / 'secrets'}:/run/secrets:ro"),
        env=env,
    )
    assert _ended(engine, container) == 0, _log(engine, container)
    assert "Applying gallery.0001_initial... OK" in _log(engine, container)


@pytest.fixture
def queue(engine: Engine, run: Run) -> Iterator[str]:
    """A network with a Valkey on it that is called ``queue``."""
    network = f"pl-test-{uuid.uuid4().hex[:8]}"
    engine.run("network", "create", network)
    try:
        container = run(
            "valkey/valkey:8.1",
            *("valkey-server", "--requirepass", SETTINGS["REDIS_PASSWORD"], "--save", "", "--dir", TMP),
            options=("--network", network, "--network-alias", "queue"),
            env={},
        )
        yield network
        engine.run("rm", "--force", "--volumes", container)
    finally:
        _remove_network(engine, network)


def _remove_network(engine: Engine, network: str) -> None:
    """With whatever is still on it: a test that failed leaves its containers to the fixture that comes after."""
    found = engine.inspect("network", network) or {}
    for container in found.get("Containers") or {}:
        engine.run("rm", "--force", "--volumes", container, check=False)
    engine.run("network", "rm", network)


@pytest.mark.parametrize("user", ["", "20001:20001"])
def test_a_worker_takes_jobs_with_a_read_only_root_and_stops_when_told(
    images: Mapping[str, str], engine: Engine, run: Run, queue: str, user: str
) -> None:
    someone = ("--user", user) if user else ()
    container = run(images["hmlet-worker"], options=(*CONFINED, *someone, "--network", queue))
    _says(engine, container, "ready.")
    reply = engine.run("exec", container, "celery", "--app", "config", "inspect", "ping", "--timeout", "20")
    assert "pong" in reply.stdout
    status, took_s = _stopped(engine, container)
    assert status == 0, _log(engine, container)
    assert took_s < 45


def test_the_image_of_the_worker_beats_by_another_command(
    images: Mapping[str, str], engine: Engine, run: Run, queue: str
) -> None:
    beat = ("celery", "--app", "config", "beat", "--schedule", f"{TMP}/schedule", "--pidfile=")
    container = run(images["hmlet-worker"], *beat, options=(*CONFINED, "--network", queue))
    _says(engine, container, "jobs.reconcile")
    status, took_s = _stopped(engine, container)
    assert status == 0, _log(engine, container)
    assert took_s < 15


@pytest.mark.parametrize("user", ["", "10001:10001"])
def test_the_frontend_serves_its_pages_with_a_read_only_root(
    images: Mapping[str, str], engine: Engine, run: Run, user: str
) -> None:
    someone = ("--user", user) if user else ()
    container = run(images["hmlet-frontend"], options=(*CONFINED, *someone, "--publish", "127.0.0.1::8080"), env={})
    port = _port(engine, container, 8080)
    page = _answers(engine, container, port, "/")
    assert '<html lang="en">' in page
    for path in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page):
        assert _get(port, path)[0] == 200
    assert {"/docs/", "/admin/", "/status/"} <= set(re.findall(r'href="([^"]+)"', page))
    assert _get(port, "/healthz") == (200, "ok\n")
    status, body = _get(port, "/nowhere")
    assert status == 404
    assert "Nothing answers here" in body
    assert _stopped(engine, container)[0] == 0


def test_the_frontend_becomes_an_edge_by_what_is_mounted_over_its_servers(
    images: Mapping[str, str], engine: Engine, run: Run, tmp_path: Path
) -> None:
    server = 'server { listen 8080; location / { root /usr/share/nginx/html; } location /api { return 200 "api"; } }'
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers/edge.conf").write_text(server, encoding="utf-8")
    tmp_path.chmod(0o755)
    container = run(
        images["hmlet-frontend"],
        options=(
            *CONFINED,
            *("--publish", "127.0.0.1::8080", "--volume", f"{tmp_path / 'servers'}:/etc/nginx/conf.d:ro"),
        ),
        env={},
    )
    port = _port(engine, container, 8080)
    assert "hmlet photos" in _answers(engine, container, port, "/")
    assert _get(port, "/api") == (200, "api")
