"""In what a bot's env file differs from its config, and in what it is only as an earlier version wrote it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from manager.fleet import env_file, env_file_values, time_zone
from manager.fleet import project as projects
from manager.fleet.project import Project
from manager.util import atomic_file
from tests.builders import a_config, write_config

ID = "bp_sol_01"
KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(time_zone, "time_zone", lambda: "Europe/Paris")
    monkeypatch.setattr(time_zone, "earlier_time_zone", lambda: "Asia/Taipei")
    (tmp_path / ".env").write_text(f"BACKPACK_KEY={KEY}\nBACKPACK_SECRET={KEY}\n")
    write_config(tmp_path, a_config(mode="live"))
    return projects.read(tmp_path)


def given(project: Project, values: Mapping[str, str]) -> None:
    folder = project.fleet.secrets_dir(ID)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / env_file.ENV_FILE).write_bytes(atomic_file.encode_json(values))


def wanted(project: Project) -> dict[str, str]:
    return env_file_values.of_spec(
        project.specs[ID], project, {"TZ": time_zone.time_zone()}, is_bundled_bot=True
    )


@pytest.mark.parametrize(
    ("zone", "differs"), [("Europe/Paris", False), ("Asia/Taipei", False), ("UTC", True)]
)
def test_a_zone_that_an_earlier_version_read_is_no_reason_to_restart_a_bot(
    project: Project, zone: str, *, differs: bool
) -> None:
    """After an update each bot would be restarted, for the name of its logs' folders."""
    for_all = {"TZ": "Europe/Paris"}
    values = wanted(project)
    given(project, {**values, "TZ": zone})
    assert env_file_values.differ(project, project.specs[ID], for_all, values) is differs


@pytest.mark.parametrize(("key", "names"), [("old", ("BACKPACK_KEY",)), ("by hand", ()), (KEY, ())])
def test_only_what_the_bot_still_has_as_it_was_read_before_is_read_differently(
    project: Project, key: str, names: tuple[str, ...]
) -> None:
    """Else a key that a person changed would never reach its bot, and the message would name the reading."""
    project = project._replace(reread={"BACKPACK_KEY": "old"})
    values = wanted(project)
    given(project, {**values, "BACKPACK_KEY": key})
    for_all = {"TZ": "Europe/Paris"}
    assert env_file_values.reread(project, project.specs[ID], for_all, values) == names
