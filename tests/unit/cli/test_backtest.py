"""`manager backtest`: the config's own command line, run by the bundled bot's program."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.errors import BAD_CONFIG, FAILED, OK, USAGE

ROOT = Path(__file__).parents[3]


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    prices = ["160", "150", "158", "149", "171", "165"]
    (tmp_path / "prices.csv").write_text("\n".join(["price", *prices]) + "\n")
    return tmp_path


def test_a_config_runs_over_recorded_prices(
    fleet: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as some people have it for all they run
    line = ["backtest", "config/active/bp_sol_01.json", "prices.csv", "--maker-fee", "0", "--svg", "run.svg"]
    assert main(["--lang", "en", *line, "--json"]) == OK
    answer = json.loads(capsys.readouterr().out)
    assert (answer["symbol"], answer["rows"], answer["fees"]) == ("SOL_USDC_PERP", 6, "0")
    assert answer["trades"] > 0
    assert (fleet / "run.svg").read_text().startswith("<svg")
    assert main(["--lang", "en", "backtest", "bp_sol_01", "prices.csv"]) == OK
    assert f"trades: {answer['trades']}\n" in capsys.readouterr().out


def test_what_ended_it_is_told_in_the_readers_language(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["backtest", "bp_sol_01", "prices.csv"]
    assert main(["--lang", "zh-TW", *line]) == OK
    assert "結束原因：價格記錄已結束" in capsys.readouterr().out
    path = fleet / "config/active/bp_sol_01.json"
    path.write_text(path.read_text().replace('"stop_loss": null', '"stop_loss": 0.1'))
    assert main(["--lang", "en", *line]) == OK
    assert "ended by: stop loss -0.1 reached: " in capsys.readouterr().out
    assert main(["--lang", "zh-TW", *line]) == OK
    assert "結束原因：已達停損 -0.1：" in capsys.readouterr().out


def test_a_config_need_not_be_of_the_fleet_yet(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the docs say: try it before it goes into config/active, also what that folder has already."""
    elsewhere = fleet.parent / "draft.json"
    shutil.copy(fleet / "config/active/bp_sol_01.json", elsewhere)
    for file in ("config/templates/perp_grid.json", str(elsewhere)):
        assert main(["--lang", "en", "backtest", file, "prices.csv", "--json"]) == OK
        assert json.loads(capsys.readouterr().out)["symbol"] == "SOL_USDC_PERP"
    elsewhere.write_text(elsewhere.read_text().replace('"grid_num": 20', '"grid_num": 1'))
    assert main(["--lang", "en", "backtest", str(elsewhere), "prices.csv"]) == BAD_CONFIG
    assert f"error: {elsewhere}: strategy_config.grid_num: " in capsys.readouterr().err
    assert main(["--lang", "en", "backtest", "b" * 300, "prices.csv"]) == USAGE
    assert "there is no instance bbb" in capsys.readouterr().err
    assert main(["--lang", "en", "backtest", "draft.json", "prices.csv"]) == BAD_CONFIG
    assert capsys.readouterr().err == "error: draft.json: no such file\n"


def test_a_file_without_prices_is_named(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fleet / "prices.csv").write_text("a\n1\n")
    assert main(["--lang", "en", "backtest", "bp_sol_01", "prices.csv"]) == BAD_CONFIG
    assert "bp_sol_01: prices.csv: no column price or close" in capsys.readouterr().err


def test_a_wrong_id_and_a_missing_file_are_errors_of_the_command_line(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--lang", "en", "backtest", "bp_sol_1", "prices.csv"]) == USAGE
    assert "there is no instance bp_sol_1; did you mean bp_sol_01?" in capsys.readouterr().err
    assert main(["--lang", "en", "backtest", "bp_sol_01", "none.csv"]) == USAGE
    assert capsys.readouterr().err == "error: none.csv: no such file\n"
    assert main(["--lang", "en", "backtest", "bp_sol_01", str(fleet)]) == FAILED
    assert capsys.readouterr().err == f"error: cannot read {fleet}: Is a directory\n"
