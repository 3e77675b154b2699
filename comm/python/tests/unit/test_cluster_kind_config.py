"""kind.yaml with the stage's variables in it."""

from pathlib import Path

import pytest
from pl.cluster.kind_config import rendered
from pl.errors import KindConfigInvalid

VARIABLES = {"HT_WEB_PORT": "20001", "HT_EDGE_NODE_PORT": "30080"}
CHECKOUT = Path(__file__).parents[4]


def written(folder: Path, text: str) -> Path:
    file = folder / "kind.yaml"
    file.write_text(text)
    return file


def test_variables_are_put_in_and_ports_of_this_machine_are_known(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "kind: Cluster\nnodes:\n- extraPortMappings:\n"
        "  - {containerPort: ${HT_EDGE_NODE_PORT}, hostPort: ${HT_WEB_PORT}}\n"
        "  - {containerPort: 1, hostPort: 5}\n- role: worker\n",
    )
    config = rendered(file, VARIABLES)
    assert "containerPort: 30080, hostPort: 20001" in config.text
    assert config.host_ports == (5, 20001)


def test_every_unknown_variable_is_named_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, "kind: Cluster\n# ${NOT_LOOKED_AT}\na: ${HT_WEB_PROT}\nb: ${NOWHERE} ${}\n")
    with pytest.raises(KindConfigInvalid) as caught:
        rendered(file, VARIABLES)
    assert caught.value.mistakes == (
        "line 3: the stage has no variable HT_WEB_PROT; HT_WEB_PORT was meant?",
        "line 4: the stage has no variable NOWHERE",
        "line 4: the stage has no variable of an empty name",
    )
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("kind: Cluster\na: [1\n", r"line \d"), ("kind: Pod\n", "line 1"), ("", "line 1"), ("a: b: c\n", "line 1")],
)
def test_what_is_no_kind_config_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(KindConfigInvalid, match=said):
        rendered(written(tmp_path, text), VARIABLES)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(KindConfigInvalid, match="No such file"):
        rendered(tmp_path / "kind.yaml", VARIABLES)


def test_no_config_of_this_checkout_publishes_on_ipv6() -> None:
    """What is published on ::1 accepts connections and resets them."""
    files = sorted(CHECKOUT.glob("*/envs/*/kind.yaml"))
    assert len(files) >= 2
    for file in files:
        assert "listenAddress: 127.0.0.1" in file.read_text()
        assert rendered(file, VARIABLES).host_ports == (20001,)
