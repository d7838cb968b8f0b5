from pathlib import Path

import pytest

from supervisor.environment import BadEnvironmentError, for_bot, load, web_port
from supervisor.paths import Paths


def env_file(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "env.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_a_missing_file_is_an_empty_object(tmp_path: Path) -> None:
    assert load(str(tmp_path / "env.json")) == {}


def test_values_stay_as_they_are(tmp_path: Path) -> None:
    assert load(env_file(tmp_path, '{"A": "", "B": "a=b $HOME \\n ü", "C": "ab$cd#ef"}')) == {
        "A": "",
        "B": "a=b $HOME \n ü",
        "C": "ab$cd#ef",
    }


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "it is not JSON at line 1"),
        ('{\n"KEY": "hunter2', "it is not JSON at line 2"),
        (b'{"KEY": "hunter2\xff"}', "it is not JSON"),
        ("[" * 100000, "it is not JSON"),
        ('["hunter2"]', "it is not a JSON object"),
        ('{"KEY": 2}', "'KEY' must be a string"),
        ('{"KEY": {"a": "hunter2"}}', "'KEY' must be a string"),
        ('{"KEY": "hunter2\\u0000"}', "'KEY' must be a string"),
        ('{"KEY": "hunter2\\ud800"}', "'KEY' must be a string"),
        ('{"A=B": "hunter2"}', "'A=B' is no variable name"),
        ('{"": "hunter2"}', "'' is no variable name"),
    ],
)
def test_a_fault_is_named_without_the_value(tmp_path: Path, content: str | bytes, fault: str) -> None:
    path = env_file(tmp_path, content)
    with pytest.raises(BadEnvironmentError) as caught:
        load(path)
    assert fault in str(caught.value)
    assert path in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(BadEnvironmentError, match="cannot read"):
        load(str(tmp_path))


def test_the_supervisors_own_variables_are_not_the_bots() -> None:
    container = {"PATH": "/bin", "BOTFLEET_RESTART_DELAY": "60", "BOTFLEET_INSTANCE": "x", "MODE": "paper"}
    variables = {"MODE": "live", "BOTFLEET_MAX_RESTARTS": "1"}
    assert for_bot(container, variables, "bp_sol_01", Paths()) == {
        "PATH": "/bin",
        "MODE": "live",
        "BOTFLEET_INSTANCE": "bp_sol_01",
        "BOTFLEET_REPORT": "/run/botfleet/report.json",
        "BOTFLEET_REQUESTS": "/botfleet/secrets/requests.json",
        "BOTFLEET_OTHERS": "/botfleet/secrets/others.json",
    }


@pytest.mark.parametrize("name", ["TRADING_MODE", "WEB_PORT", "WEB_HOST", "DB_PATH", "ENABLE_DATABASE"])
def test_no_variable_changes_what_everybody_can_see_of_the_container(name: str) -> None:
    assert for_bot({name: "as made"}, {name: "another"}, "bp_sol_01", Paths())[name] == "as made"


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "http", "５００１", "1" * 9])
def test_a_wrong_port(text: str) -> None:
    with pytest.raises(BadEnvironmentError, match="WEB_PORT"):
        web_port({"WEB_PORT": text})


def test_a_port() -> None:
    assert web_port({"WEB_PORT": "5001"}) == 5001
