"""Commands that look, against an engine that only lists."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from manager.cli.commands import build, compose, config, export, list, ps, serve, status
from manager.engine import image_build
from manager.engine.containers import observe
from manager.errors import BAD_CONFIG, FAILED, OK, ConfigError, ManagerError, UsageError
from manager.fleet import observe as observing
from manager.fleet import state_file
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from manager.fleet.session import Session
from manager.ops.folders import bot_user, instance_folders
from tests.builders import a_config, a_row, write_config
from tests.fakes.engine import FakeEngine

UNFILTERED: dict[str, Any] = {
    "group": False,
    "watch": None,
    "state": [],
    "mode": [],
    "exchange": [],
    "symbol": [],
    "tag": [],
}


class Looking(Session):
    """A session whose engine has these rows."""

    def __init__(self, folder: Path, *rows: dict[str, Any]) -> None:
        super().__init__(folder)
        self.rows = rows

    def observe(self, compared: Collection[str] = ()) -> FleetSnapshot:
        return observing.assemble(self.project(), observe(self.rows, "desk"), NO_IMAGE)

    def engine(self, parallelism: int = 8) -> Any:
        return FakeEngine()


def options(**given: Any) -> Namespace:
    return Namespace(
        **{
            "ids": [],
            "config": [],
            "lock_wait": 0,
            "json": False,
            "format": None,
            "sort": "id",
            **UNFILTERED,
            **given,
        }
    )


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = tmp_path / "desk"
    write_config(project, a_config(port=None))
    (project / ".env").write_text("BACKPACK_KEY=k\nBACKPACK_SECRET=s\n")
    monkeypatch.setattr(bot_user, "bot_user", lambda *_: bot_user.BotUser(10001, 10001, (10001, 10001)))
    return project


def row(folder: Path, **labels: str) -> dict[str, Any]:
    source = folder / "volumes/database/bp_sol_01"
    return a_row(
        labels={"com.docker.compose.project.working_dir": str(folder), **labels},
        Mounts=[{"Destination": "/data", "Source": str(source)}],
    )


def test_the_rendered_file_has_the_containers_port_and_it_is_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_folders, "prepare", lambda *_: None)
    session = Looking(folder, row(folder, **{"botfleet.web-port": "5432"}))
    assert compose.compose(session, options(stdout=False)) == OK
    assert "target: 5432\n" in (folder / "compose.yaml").read_text()
    fleet = session.project().fleet
    assert state_file.load(fleet.state_file, fleet.name).of("bp_sol_01").web_port == 5432


def test_nothing_is_rendered_over_another_folders_containers(folder: Path) -> None:
    with pytest.raises(ConfigError, match="belongs to /elsewhere"):
        compose.compose(Looking(folder, row(Path("/elsewhere"))), options(stdout=False))
    assert not (folder / "compose.yaml").exists()


@pytest.mark.parametrize("command", [ps.ps, list.list_, status.status])
def test_another_folders_containers_are_said_and_not_exported(
    folder: Path, capsys: pytest.CaptureFixture[str], command: Any
) -> None:
    session = Looking(folder, row(Path("/elsewhere")))
    assert command(session, options(json=True)) == BAD_CONFIG
    output = capsys.readouterr()
    assert json.loads(output.out)
    assert "belongs to /elsewhere" in output.err
    assert not session.project().fleet.export_file.exists()


def test_another_folders_containers_are_not_exported_when_asked(folder: Path) -> None:
    session = Looking(folder, row(Path("/elsewhere")))
    with pytest.raises(ConfigError, match="belongs to /elsewhere"):
        export.export_(session, options())
    assert not session.project().fleet.export_file.exists()


def test_no_image_is_built_over_that_of_another_folders_fleet(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checkouts have one fleet name until somebody changes it, and so one name for two images."""
    built: Any = []

    def note(*_arguments: object, tag: str, **_options: object) -> str:
        built.append(tag)
        return "sha256:1"

    monkeypatch.setattr(image_build, "build_image", note)
    session = Looking(folder, row(Path("/elsewhere")))
    with pytest.raises(ConfigError, match="belongs to /elsewhere"):
        build.build(session, options(tag="", bot="", no_cache=False))
    assert built == []
    assert build.build(session, options(tag="mine:1", bot="", no_cache=False)) == OK
    assert build.build(Looking(folder, row(folder)), options(tag="", bot="", no_cache=False)) == OK
    assert built == ["mine:1", "desk-bot:local"]


def test_a_folder_that_is_not_there_is_said_to_be_missing(folder: Path) -> None:
    with pytest.raises(ManagerError, match="/nowhere: no such folder"):
        build.build(Looking(folder), options(tag="mine:1", bot=str(folder / "nowhere"), no_cache=False))


NO_OPTIONS_OF_SERVE: dict[str, Any] = {
    "listen": None,
    "detach": False,
    "name": [],
    "tls_cert": None,
    "tls_key": None,
    "behind_proxy": [],
    "bot_origin": None,
}


def test_the_packages_of_the_page_go_where_this_manager_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell's `pip` may be of another environment, and would ask a registry for `botfleet` itself."""
    monkeypatch.setattr(serve, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "executable", "/opt/my tools/python")
    asked: dict[str, Any] = {"set_password": False, "set_code": False, "add_token": None, "remove_token": []}
    with pytest.raises(ManagerError) as caught:
        serve.serve(Looking(folder), options(**asked, what="", **NO_OPTIONS_OF_SERVE))
    assert str(caught.value).endswith(": '/opt/my tools/python' -m pip install 'botfleet[web]'")
    assert serve.serve(Looking(folder), options(**asked, what="stop")) == OK, "one that runs can be ended"
    assert serve.serve(Looking(folder), options(**asked, what="status")) == FAILED


def test_the_config_of_an_unknown_instance_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="did you mean bp_sol_01"):
        config.config(Looking(folder), options(ids=["bp_sol_1"], check=False))
