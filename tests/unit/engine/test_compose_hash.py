"""compose.yaml, as Compose reads it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from manager.config.fleet import Fleet
from manager.engine import compose_file, compose_hash
from tests.builders import a_fleet, a_spec


def test_an_id_that_is_a_number_to_some_yaml_is_a_text() -> None:
    fleet = a_fleet()
    text = compose_file.render([a_spec(instance_id) for instance_id in ("0o17", "007", "no")], fleet)
    assert "\n  '0o17':\n" in text
    assert "hostname: '0o17'\n" in text
    assert "botfleet.instance: '0o17'\n" in text
    assert "BOTFLEET_INSTANCE: '0o17'\n" in text
    assert list(yaml.safe_load(text)["services"]) == ["007", "0o17", "no"]


def test_a_files_name_that_is_not_utf8_is_written_as_the_engine_has_it() -> None:
    """Compose refuses the whole file for one half of a surrogate pair."""
    spec = a_spec()._replace(config_file=os.fsdecode(b"config/active/bp\xff.json"))
    text = compose_file.render([spec], a_fleet())
    assert "\\uDC" not in text
    labels = yaml.safe_load(text)["services"]["bp_sol_01"]["labels"]
    assert labels["botfleet.config-file"] == "config/active/bp\N{REPLACEMENT CHARACTER}.json"


def test_a_compose_that_refuses_keeps_no_bot_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "docker-compose"
    plugin.touch(0o755)
    monkeypatch.setattr(compose_hash, "_plugin", lambda: plugin)

    def refuses(*_arguments: object, **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "no such option\n")

    monkeypatch.setattr(subprocess, "run", refuses)
    fleet = a_fleet(project_dir=tmp_path, data_dir=tmp_path / "volumes")
    warnings: list[object] = []
    assert compose_hash.service_hashes([a_spec()], fleet, {}, warnings.append) == {}
    [warning] = map(str, warnings)
    assert "no such option" in warning
    assert not (fleet.state_dir / compose_hash.CACHE_FILE).exists()


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A fleet on a machine whose Compose has a hash for its one instance."""
    plugin = tmp_path / "docker-compose"
    plugin.touch(0o755)
    monkeypatch.setattr(compose_hash, "_plugin", lambda: plugin)

    def answers(*_arguments: object, **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, "bp_sol_01 0123abcd\n", "")

    monkeypatch.setattr(subprocess, "run", answers)
    return a_fleet(project_dir=tmp_path, data_dir=tmp_path / "volumes")


def test_what_compose_was_asked_about_is_known_again(answering: Fleet) -> None:
    fleet, specs = answering, [a_spec()]
    text = compose_file.render(specs, fleet)
    assert not compose_hash.is_rendered_from(text, specs, fleet)
    compose_hash.service_hashes(specs, fleet, {}, print)
    assert compose_hash.is_rendered_from(text, specs, fleet)
    assert not compose_hash.is_rendered_from(text + "# mine\n", specs, fleet)
    others = [a_spec()._replace(web_port=5099)]
    assert not compose_hash.is_rendered_from(text, others, fleet)
    assert not compose_hash.is_rendered_from(text, specs, fleet._replace(pids_limit=77))


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "\0" * 500,
        "{",
        "[]",
        "null",
        '{"key": 1}',
        '{"file": null}',
        "[" * 100_000,
        '{"key": [], "hashes": 1}',
    ],
)
def test_a_damaged_cache_says_nothing(answering: Fleet, damaged: str) -> None:
    fleet, specs = answering, [a_spec()]
    fleet.state_dir.mkdir(parents=True)
    (fleet.state_dir / compose_hash.CACHE_FILE).write_text(damaged)
    text = compose_file.render(specs, fleet)
    assert not compose_hash.is_rendered_from(text, specs, fleet)
    assert compose_hash.service_hashes(specs, fleet, {}, print) == {"bp_sol_01": "0123abcd"}
    assert compose_hash.is_rendered_from(text, specs, fleet)
