"""`manager new`: what of a template becomes the instance's own, and what is refused before anything is
written.
"""

from __future__ import annotations

import json
import os
import pty
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from manager.cli import parsers
from manager.cli.commands import new as new_command
from manager.config.exchanges import EXCHANGES
from manager.engine.containers import observe
from manager.errors import OK, ConfigError, EngineUnreachable, UsageError
from manager.fleet import host, state_file
from manager.fleet import observe as observing
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.state_file import FleetState, InstanceState
from manager.util import atomic_file
from tests.builders import a_config, a_row, write_config
from tests.fleet import ROOT

BTC = (
    "--symbol",
    "BTC_USDC_PERP",
    "--lower",
    "90000",
    "--upper",
    "110000",
    "--quantity",
    "0.001",
    "--max-position",
    "0.01",
)
SOL = ("--symbol", "SOL_USDC_PERP")


class Making(Session):
    """A session whose engine has these rows; none: no engine answers."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]] | None) -> None:
        super().__init__(folder)
        self.rows = rows

    def observe(self, compared: Collection[str] = ()) -> FleetSnapshot:
        if self.rows is None:
            raise EngineUnreachable("no engine")
        return observing.assemble(self.project(), observe(self.rows, "desk"), NO_IMAGE)


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: PTH123, SIM115
    monkeypatch.setattr(host, "is_port_free", lambda _address, _port: True)
    project = tmp_path / "desk"
    write_config(project, a_config("bp_sol_01", 5001))
    for name in ("perp_grid", "spot_grid"):
        path = project / "config" / "templates" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((ROOT / "config" / "templates" / path.name).read_bytes())
    return project


def new(folder: Path, *words: str, rows: list[dict[str, Any]] | None = None, id: str = "bp_new_01") -> int:
    line = ["--project-dir", str(folder), "new", "--template", "perp_grid", "--id", id, *words]
    return new_command.new(Making(folder, rows), parsers.parser("new").parse_args(line))


def made(folder: Path, stem: str = "bp_new_01") -> dict[str, Any]:
    return dict(json.loads((folder / "config" / "active" / f"{stem}.json").read_text()))


def test_what_is_the_instances_own(folder: Path) -> None:
    assert new(folder, *BTC) == OK
    config = made(folder)
    assert config["metadata"] | {"created_at": ""} == {
        "instance_id": "bp_new_01",
        "name": "bp_new_01",
        "exchange": "backpack",
        "symbol": "BTC_USDC_PERP",
        "market_type": "perp",
        "strategy": "perp_grid",
        "tags": ["backpack", "grid"],
        "created_at": "",
    }
    daemon, strategy = config["daemon_config"], config["strategy_config"]
    assert (daemon["log_dir"], daemon["db_path"]) == ("logs/bp_new_01", "database/bp_new_01.db")
    assert daemon["web_port"] not in {5001, None}
    assert [
        strategy[key] for key in ("grid_lower_price", "grid_upper_price", "order_quantity", "max_position")
    ] == [
        90000,
        110000,
        0.001,
        0.01,
    ]
    assert config["mode"] == "paper"
    assert Making(folder, None).project().problems == ()


def test_another_markets_prices_are_refused_and_each_is_named(folder: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"SOL_USDC_PERP, not for X_USDC_PERP.*"
        r"specify --lower --quantity --max-position$",
    ):
        new(folder, "--symbol", "X_USDC_PERP", "--upper", "3")
    assert not (folder / "config/active/bp_new_01.json").exists()


def test_the_same_markets_prices_stay_and_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(folder, *SOL, "--lower", "141") == OK
    assert "grid_upper_price 180, order_quantity 0.5, max_position 5" in capsys.readouterr().out


def test_paper_even_in_a_live_fleet_and_from_a_live_template(folder: Path) -> None:
    (folder / "config" / "fleet.toml").write_text('name = "desk"\nmode = "live"\n')
    path = write_config(folder, a_config("bp_live_01", 5009, mode="live"), "bp_live_01")
    assert new(folder, *SOL, "--template", str(path)) == OK
    assert made(folder)["mode"] == "paper"
    assert new(folder, *SOL, "--set", "mode=live", id="bp_live_02") == OK
    assert made(folder, "bp_live_02")["mode"] == "live"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--set", "restart_delay=9999"), r"bp_new_01.json: daemon_config.restart_delay: must be 0-3600"),
        (("--set", "strategy_config.grid_nun=3"), "strategy_config.grid_nun: .*did you mean grid_num"),
        (("--exchange", "backpck"), "metadata.exchange: must be one of"),
        (("--lower", "200"), "grid_upper_price must be above"),
        (("--port", "5001"), "daemon_config.web_port: 5001 is also used by config/active/bp_sol_01.json"),
        (("--port", "70000"), "daemon_config.web_port: must be 1-65535"),
        (
            ("--set", "exchange_config.api_key=hunter2"),
            "exchange_config.api_key: contains a credential in clear",
        ),
        (("--set", "log_dir=/tmp"), "daemon_config.log_dir: must be a path such as"),
    ],
)
def test_what_the_loader_refuses_is_not_written(folder: Path, words: tuple[str, ...], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as error:
        new(folder, *SOL, *words)
    assert "hunter2" not in str(error.value)
    assert not (folder / "config/active/bp_new_01.json").exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--set", "grid_num"), "--set grid_num: must be path.to.key=VALUE"),
        (("--set", "web_port=1"), "--set web_port: use --port"),
        (("--template", "perp_gird"), "available: perp_grid, spot_grid"),
    ],
)
def test_what_the_command_line_gets_wrong(folder: Path, words: tuple[str, ...], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        new(folder, *SOL, *words)


@pytest.mark.parametrize("instance", ["../x", ".x", "x" * 64, "名", "fleet.lock"])
def test_an_id_that_is_none(folder: Path, instance: str) -> None:
    with pytest.raises(ConfigError, match=r"metadata\.instance_id"):
        new(folder, *SOL, id=instance)


def test_ids_are_unique_without_regard_to_case(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"also used by config/active/bp_sol_01\.json"):
        new(folder, *SOL, id="BP_SOL_01")
    rows = [a_row("bp_gone_01")]
    with pytest.raises(UsageError, match="manager down bp_gone_01"):
        new(folder, *SOL, id="BP_gone_01", rows=rows)
    write_config(folder, a_config("bp_bad_01", 0), "broken")
    with pytest.raises(UsageError, match=r"already the instance of config/active/broken\.json"):
        new(folder, *SOL, id="bp_bad_01")


def test_no_file_is_overwritten(folder: Path) -> None:
    path = write_config(folder, a_config("other", 5010), "bp_new_01")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="is not overwritten"):
        new(folder, *SOL)
    (folder / "config/active/dangling.json").symlink_to("nowhere")
    with pytest.raises(UsageError, match="is not overwritten"):
        new(folder, *SOL, id="dangling")
    with pytest.raises(FileExistsError):
        atomic_file.create(path, b"x")
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "bp_new_01.json",
        "bp_sol_01.json",
        "dangling.json",
    ]


def test_the_port_is_nobodys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "is_port_free", lambda _address, port: port != 5005)
    fleet = Making(folder, None).project().fleet
    fleet.state_dir.mkdir(parents=True)
    state_file.save(fleet.state_file, FleetState("desk", {"bp_down_01": InstanceState(web_port=5002)}))
    write_config(folder, a_config("bp_bad_01", 5003, strategy_config={"grid_num": 1}), "broken")
    rows = [a_row("bp_gone_01", labels={"botfleet.web-port": "5004"})]
    assert new(folder, *SOL, rows=rows) == OK
    assert made(folder)["daemon_config"]["web_port"] == 5006
    assert new(folder, *SOL, rows=rows, id="bp_down_01") == OK
    assert made(folder, "bp_down_01")["daemon_config"]["web_port"] == 5002


def test_a_port_that_is_listened_on_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "is_port_free", lambda _address, port: port != 5005)
    with pytest.raises(UsageError, match="port 5005 is in use by another program"):
        new(folder, *SOL, "--port", "5005")


def test_a_clash_between_configs_is_said_although_the_other_bot_holds_the_port(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "is_port_free", lambda _address, port: port != 5001)
    with pytest.raises(ConfigError, match=r"5001 is also used by config/active/bp_sol_01\.json"):
        new(folder, *SOL, "--port", "5001")


def test_a_dry_run_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(folder, *SOL, "--dry-run") == OK
    assert json.loads(capsys.readouterr().out)["metadata"]["instance_id"] == "bp_new_01"
    assert not (folder / "config/active/bp_new_01.json").exists()
    assert not (folder / "volumes").exists()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_another_exchange_brings_its_own_variables(folder: Path, exchange: str) -> None:
    assert new(folder, *SOL, "--exchange", exchange) == OK
    config = made(folder)
    assert config["exchange_config"] == EXCHANGES[exchange].template
    assert config["metadata"]["tags"] == [exchange, "grid"]


def test_an_alias_replaces_the_key_it_means(folder: Path) -> None:
    assert new(folder, *SOL, "--set", "grid_upper=200", "--set", 'metadata.version="1.0"') == OK
    config = made(folder)
    assert config["strategy_config"]["grid_upper"] == 200
    assert "grid_upper_price" not in config["strategy_config"]
    assert config["metadata"]["version"] == "1.0"


def test_a_terminal_is_asked_for_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = "perp_grid\nbp_new_01\nBTC_USDC_PERP\n90000\n110000\n0.001\n0.01\n"
    parent, child = pty.openpty()
    with os.fdopen(child) as keys, open(os.ttyname(child), "w") as screen:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", keys)
        monkeypatch.setattr(sys, "stderr", screen)
        os.write(parent, answers.encode())
        line = ["--project-dir", str(folder), "new"]
        assert new_command.new(Making(folder, None), parsers.parser("new").parse_args(line)) == OK
    os.close(parent)
    assert "config/active/bp_new_01.json: written" in capsys.readouterr().out
    assert made(folder)["strategy_config"]["order_quantity"] == 0.001


def test_the_list_shows_what_can_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config/templates/worse.json").write_text("{")
    assert new(folder, "--list") == 4
    output = capsys.readouterr()
    assert "perp_grid" in output.out
    assert "worse.json: is not JSON" in output.err
