"""Stages as typed classes: what loads, what is refused, and in which words."""

import importlib
import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pl import env
from pl.errors import EnvInvalid, StageUnknown, StateInvalid

CHECKOUT = Path(__file__).resolve().parents[4]
PROJECTS = (f"sample{os.getpid()}_{number}" for number in itertools.count())

COMM = """
    import functools
    from typing import ClassVar, Literal
    from pl.env import Port, Secret, StageEnv, chosen_port, generated_secret

    class SampleEnv(StageEnv):
        prefix: ClassVar[str] = "SA"
        code = "sa"
        web_host: str
        web_port: Port = chosen_port()
        other_port: Port = chosen_port()
        colour: Literal["red", "green"] = "red"
        stripes: tuple[Literal["red", "green"], ...] = ()
        password: Secret = generated_secret()

        @functools.cached_property
        def web_url(self) -> str:
            return f"http://{self.web_host}:{self.web_port}"
"""
HOST = """
    from {project}.env_comm import SampleEnv

    class HostEnv(SampleEnv):
        emoji = "🏠"
        runs_on = "host"
        web_host = "localhost"
        {more}
"""
APP = """
    from typing import ClassVar
    from {project}.env_comm import SampleEnv

    class AppEnv(SampleEnv):
        prefix: ClassVar[str] = "AP"
        code = "ap"
        {more}
"""

Load = Callable[..., env.StageEnv]


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def project() -> Iterator[str]:
    """The name of a project that no other test has, because Python remembers modules by their names."""
    name = next(PROJECTS)
    path = list(sys.path)
    yield name
    sys.path[:] = path
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def load(project: str, tmp_path: Path) -> Load:
    def write(path: str, text: str, more: str = "") -> None:
        file = tmp_path / project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).replace("{project}", project).replace("{more}", more), encoding="utf-8")

    def load(comm: str = COMM, host: str = "", app: str | None = None, instance: str = "abc") -> env.StageEnv:
        write("env_comm.py", comm)
        write("env_host.py", HOST if "\n" not in host else host, host)
        if app is not None:
            write("web/env_comm.py", APP, app)
        importlib.invalidate_caches()
        return env.load(tmp_path, project=project, app="" if app is None else "web", stage="host", instance=instance)

    return load


def test_a_field_is_a_variable_and_an_attribute(load: Load, tmp_path: Path) -> None:
    loaded = load()
    exports = loaded.exports()
    assert exports["SA_WEB_HOST"] == "localhost" == loaded.web_host  # type: ignore[attr-defined]
    assert exports["SA_WEB_URL"] == f"http://localhost:{loaded.web_port}"  # type: ignore[attr-defined]
    assert exports["PL_STAGE"] == "host"
    assert exports["PL_STATE"] == str(loaded.state)
    assert exports["KUBECONFIG"] == str(loaded.state / "kubeconfig")
    assert loaded.state.is_relative_to(tmp_path / "state/plasma/abc")


def test_an_app_adds_its_fields_with_its_prefix_and_keeps_those_below(load: Load) -> None:
    exports = load(app='greeting: str = "hello"').exports()
    assert exports["AP_GREETING"] == "hello"
    assert exports["SA_WEB_HOST"] == "localhost"
    assert exports["PL_PREFIXES"].split() == ["PL", "SA", "AP"]
    assert exports["PL_CODE"] == "ap"


def test_a_secret_is_exported_as_the_path_of_its_file_and_shows_nothing(load: Load) -> None:
    loaded = load()
    secret: env.Secret = loaded.password  # type: ignore[attr-defined]
    assert loaded.exports()["SA_PASSWORD_FILE"] == str(loaded.state / "secrets/password")
    assert "SA_PASSWORD" not in loaded.exports()
    with pytest.raises(StateInvalid):
        secret.reveal()
    secret.path.parent.mkdir(parents=True)
    secret.path.write_text("hunter2", encoding="utf-8")
    assert secret.reveal() == "hunter2"
    assert "hunter2" not in f"{secret!r} {secret} {loaded.fields()}"


def test_an_environment_does_not_change(load: Load) -> None:
    with pytest.raises(AttributeError, match="set it in the stage's file"):
        load().web_host = "elsewhere"


def test_three_wrong_fields_in_two_files_are_reported_together(load: Load) -> None:
    with pytest.raises(EnvInvalid) as caught:
        load(host="colour = 'blue'; web_port = 70_000", app="code = 7")
    told = sorted(caught.value.mistakes)
    assert len(told) == 3
    assert "env_host.py: colour: must be one of 'red', 'green', not 'blue'" in told[0]
    assert "env_host.py: web_port: must be a port, 1 to 65535, not 70000" in told[1]
    assert "web/env_comm.py: code: must be str, not 7" in told[2]


def test_several_of_some_choices_are_one_text(load: Load) -> None:
    loaded = load(host="stripes = ('green', 'red')")
    assert {field.name: field.exported for field in loaded.fields()}["stripes"] == "green red"


def test_a_slip_in_one_of_several_choices_is_refused_with_all_that_there_are(load: Load) -> None:
    with pytest.raises(EnvInvalid) as caught:
        load(host="stripes = ('green', 'blue')")
    assert "stripes: must be a tuple of 'red'/'green', not ('green', 'blue')" in caught.value.mistakes[0]


def test_a_slip_in_a_fields_name_is_refused_with_what_was_meant(load: Load) -> None:
    with pytest.raises(EnvInvalid) as caught:
        load(host="web_prot = 80")
    assert "env_host.py: web_prot: no such field; web_port was meant?" in caught.value.mistakes[0]


def test_a_field_without_a_value_names_the_file_that_should_give_it(load: Load) -> None:
    with pytest.raises(EnvInvalid) as caught:
        load(comm=COMM + "        storage_host: str\n", app="cdn_host: str")
    told = sorted(caught.value.mistakes)
    assert "web/env_comm.py: cdn_host: has no value" in told[1]
    assert "env_host.py: storage_host: has no value" in told[0]


def test_a_value_that_follows_from_a_missing_one_is_no_second_mistake_and_no_traceback(load: Load) -> None:
    follows = """
        storage_host: str

        @functools.cached_property
        def storage_url(self) -> str:
            return f"http://{self.storage_host}"
    """
    with pytest.raises(EnvInvalid) as caught:
        load(comm=COMM + follows)
    assert [mistake.split(": ")[1] for mistake in caught.value.mistakes] == ["storage_host"]


def test_a_value_that_cannot_be_made_is_reported_with_its_file(load: Load) -> None:
    broken = """
        @functools.cached_property
        def half(self) -> int:
            return 1 // 0
    """
    with pytest.raises(EnvInvalid) as caught:
        load(comm=COMM + broken)
    assert "env_comm.py: half: cannot be made: ZeroDivisionError" in caught.value.mistakes[0]


def test_a_derived_value_sees_ports_that_a_later_class_declares(load: Load) -> None:
    derived = """
        @functools.cached_property
        def late(self) -> str:
            return f"redis on {self.redis_port}"
    """
    loaded = load(comm=COMM + derived, host=HOST_WITH_REDIS)
    assert loaded.exports()["SA_LATE"] == f"redis on {loaded.exports()['SA_REDIS_PORT']}"


HOST_WITH_REDIS = """
    from pl.env import Port, chosen_port
    from {project}.env_comm import SampleEnv

    class HostEnv(SampleEnv):
        emoji = "🏠"
        runs_on = "host"
        web_host = "localhost"
        redis_port: Port = chosen_port()
"""


def test_a_stages_file_that_cannot_be_read_is_named_with_its_line(load: Load) -> None:
    with pytest.raises(EnvInvalid) as caught:
        load(host="web_port = = 80", app="greeting = nowhere.to_be_found")
    told = sorted(caught.value.mistakes)
    assert "env_host.py:8: SyntaxError" in told[0]
    assert "env_comm.py:8: NameError" in told[1]


def test_a_secret_written_into_a_stages_file_is_refused_and_not_shown(load: Load) -> None:
    with pytest.raises(EnvInvalid) as caught:
        load(host="password = 'hunter2'")
    assert "password: must be Secret" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_type_that_no_variable_can_hold_is_refused(load: Load) -> None:
    with pytest.raises(EnvInvalid, match="1 wrong field") as caught:
        load(app="options: dict[str, str] = {}")
    assert "options: has a type that a field may not have" in caught.value.mistakes[0]


def test_a_class_may_have_constants_that_are_no_fields(load: Load) -> None:
    exports = load(app="limit: ClassVar[int] = 3").exports()
    assert not [name for name in exports if "LIMIT" in name]


def test_ports_follow_from_the_instance_until_others_are_remembered(load: Load) -> None:
    loaded = load()
    first: int = loaded.web_port  # type: ignore[attr-defined]
    assert load(instance="abc").exports()["SA_WEB_PORT"] == str(first)
    assert load(instance="xyz").exports()["SA_WEB_PORT"] != str(first)
    assert loaded.exports()["SA_OTHER_PORT"] != str(first)
    file = env.ports_file(loaded.state)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"web_port": 4711}), encoding="utf-8")
    assert load().exports()["SA_WEB_PORT"] == "4711"
    assert load().exports()["SA_OTHER_PORT"] == loaded.exports()["SA_OTHER_PORT"]


@pytest.mark.parametrize(
    "damaged", ["", "{", "[]", "null", '{"web_port": "80"}', '{"web_port": 0}', '{"web_port": true}']
)
def test_a_damaged_file_of_ports_is_named_with_the_remedy(load: Load, damaged: str) -> None:
    file = env.ports_file(load().state)
    file.parent.mkdir(parents=True)
    file.write_text(damaged, encoding="utf-8")
    with pytest.raises(EnvInvalid) as caught:
        load()
    assert str(file) in caught.value.mistakes[0]
    assert "remove it, and ht.deploy chooses ports again" in caught.value.mistakes[0]


def test_an_unknown_stage_lists_those_that_exist(load: Load, project: str, tmp_path: Path) -> None:
    load()
    with pytest.raises(StageUnknown, match="'hots'") as caught:
        env.load(tmp_path, project=project, stage="hots", instance="abc")
    assert caught.value.why == "stages: host"
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("app", ["", "photos", "frontend"])
@pytest.mark.parametrize("stage", ["host", "test", "local", "stage", "prod"])
def test_every_stage_of_hmlet_loads_with_every_app(stage: str, app: str) -> None:
    loaded = env.load(CHECKOUT, project="hmlet", app=app, stage=stage, instance="abc")
    assert (loaded.stage, loaded.app, loaded.root) == (stage, app, CHECKOUT / "hmlet")
    assert loaded.command("deploy") == "ht.deploy", "the name that is on PATH in an app's shell, too"
    variables = [field.variable for field in loaded.fields()]
    assert len(variables) == len(set(variables)) == len(loaded.exports())
    for field in loaded.fields():
        assert getattr(loaded, field.name) == field.value


def test_the_order_of_stages_is_that_in_which_a_change_travels() -> None:
    assert env.stages(CHECKOUT / "hmlet") == ("host", "test", "local", "stage", "prod")


def test_the_type_checker_refuses_a_field_that_is_not_there(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        "from hmlet.env_comm import HmletEnv\n"
        "from pl.env import current\n"
        "print(current().stage, current().root, current(HmletEnv).web_url)\n"
        "print(current().stagee)\n"
        "print(current(HmletEnv).web_ulr)\n"
        "wrong: int = current(HmletEnv).web_url\n",
        encoding="utf-8",
    )
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary", "snippet.py"],
        env={**os.environ, "MYPYPATH": f"{CHECKOUT / 'comm/python'}:{CHECKOUT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    refused = [line for line in told.splitlines() if line.startswith("snippet.py:") and ": error:" in line]
    assert [line.split(":")[1] for line in refused] == ["4", "5", "6"], told
    assert 'has no attribute "stagee"' in refused[0]
