"""Config files: what loads, and how a fault is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from manager.config import fleet_settings, loader
from manager.config.loaded import LoadedConfigs
from tests.builders import a_config, write_config


def loaded(
    project: Path, variables: Mapping[str, str] | None = None, ids: Mapping[str, str] | None = None
) -> LoadedConfigs:
    fleet, defaults = fleet_settings.load(project)
    return loader.load(fleet, defaults, variables or {}, ids or {})


def faults(project: Path, variables: Mapping[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in loaded(project, variables).problems]


def one_fault(
    project: Path, config: Mapping[str, Any] | str | bytes, variables: Mapping[str, str] | None = None
) -> str:
    write_config(project, config)
    (fault,) = faults(project, variables)
    return fault


def test_the_short_example_loads_with_defaults(tmp_path: Path) -> None:
    write_config(
        tmp_path,
        {
            "metadata": {
                "instance_id": "bp_sol_01",
                "exchange": "backpack",
                "symbol": "SOL_USDC_PERP",
                "strategy": "perp_grid",
            },
            "daemon_config": {
                "log_dir": "logs/bp_sol_01",
                "db_path": "database/bp_sol_01.db",
                "web_port": 5001,
            },
        },
    )
    (spec,) = loaded(tmp_path).specs
    assert (spec.market_type, spec.mode, spec.web_port, spec.memory, spec.nano_cpus) == (
        "perp",
        "paper",
        5001,
        2048 << 20,
        800_000_000,
    )
    assert spec.command == ("--exchange", "backpack", "--symbol", "SOL_USDC_PERP", "--strategy", "perp_grid")


def test_the_id_is_the_metadatas_else_the_stem(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("bp_eth_01"), stem="backpack_eth")
    no_id = a_config(port=5002)
    del no_id["metadata"]["instance_id"]
    write_config(tmp_path, no_id, stem="by_stem")
    assert [spec.id for spec in loaded(tmp_path).specs] == ["bp_eth_01", "by_stem"]
    named = loaded(tmp_path, ids={"config/active/by_stem.json": "by_hand"})
    assert [spec.id for spec in named.specs] == ["bp_eth_01", "by_hand"]


FILE = "config/active/bp_sol_01.json"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"daemon_config": {"web_port": 0}}, "daemon_config.web_port: must be 1-65535, not 0"),
        (
            {"daemon_config": {"web_port": "5001"}},
            "daemon_config.web_port: must be a whole number, not “5001”",
        ),
        ({"daemon_config": {"web_port": True}}, "daemon_config.web_port: must be a whole number, not true"),
        (
            {"daemon_config": {"memory_limit_mb": 31}},
            "daemon_config.memory_limit_mb: must be 32-1073741824, not 31",
        ),
        (
            {"daemon_config": {"max_restart_attempts": 101}},
            "daemon_config.max_restart_attempts: must be 0-100, not 101",
        ),
        ({"daemon_config": {"restart_delay": 3601}}, "daemon_config.restart_delay: must be 0-3600, not 3601"),
        (
            {"daemon_config": {"health_check_interval": 0}},
            "daemon_config.health_check_interval: must be 1-300, not 0",
        ),
        (
            {"daemon_config": {"auto_restart": "yes"}},
            "daemon_config.auto_restart: must be true or false, not “yes”",
        ),
        (
            {"metadata": {"market_type": "margin"}},
            "metadata.market_type: must be 'spot' or 'perp', not “margin”",
        ),
        ({"metadata": {"symbol": "SOL USDC"}}, "metadata.symbol: must be a single word without spaces"),
        ({"metadata": {"symbol": "SOL\u3000USDC"}}, "metadata.symbol: must be a single word without spaces"),
        ({"strategy_config": {"grid_num": 1}}, "strategy_config.grid_num: must be 2-200, not 1"),
        ({"strategy_config": {"max_position": 0}}, "strategy_config.max_position: must be above 0, not 0"),
        (
            {"strategy_config": {"grid_lower_price": 200}},
            "strategy_config: grid_upper_price must be above grid_lower_price, 180 is not above 200",
        ),
        (
            {"daemon_config": {"log_dir": "../../etc"}},
            "daemon_config.log_dir: must be a path such as logs/bp_sol_01, not “../../etc”",
        ),
        (
            {"daemon_config": {"log_dir": "logs/../../etc"}},
            "daemon_config.log_dir: must be a path such as logs/bp_sol_01, not “logs/../../etc”",
        ),
        (
            {"daemon_config": {"db_path": "/var/x.db"}},
            "daemon_config.db_path: must be a path such as database/bp_sol_01.db, not “/var/x.db”",
        ),
        (
            {"daemon_config": {"db_path": "database/other/x.db"}},
            "daemon_config.db_path: must be a path such as database/bp_sol_01.db, not “database/other/x.db”",
        ),
        (
            {"exchange_config": {"api_key": "AKIA123"}},
            "exchange_config.api_key: contains a credential in clear text; write ${NAME} here and NAME=… in"
            " .env",
        ),
        (
            {"exchange_config": {"deep": {"wallet_private": "0xabc"}}},
            "exchange_config.deep.wallet_private: contains a credential in clear text; write ${NAME} here"
            " and NAME=… in .env",
        ),
        (
            {"exchange_config": {"api_key": "${BACKPACK_KEY:-AKIA123}"}},
            "exchange_config.api_key: contains a credential in clear text; write ${NAME} here and NAME=… in"
            " .env",
        ),
        (
            {"metadata": {"description": "${BACKPACK_SECRET}"}},
            "metadata.description: references the credential BACKPACK_SECRET, which is only allowed in"
            " exchange_config",
        ),
        (
            {"exchange_config": {"accounts": [{"api_key": "AKIA123"}]}},
            "exchange_config.accounts[0].api_key: contains a credential in clear text; write ${NAME} here"
            " and NAME=… in .env",
        ),
        (
            {"exchange_config": {"api_keys": {"main": ["${ONE}", "AKIA123"]}}},
            "exchange_config.api_keys.main[1]: contains a credential in clear text; write ${NAME} here and"
            " NAME=… in .env",
        ),
        (
            {"exchange_config": {"url": "https://u:${API_SECRET:-AKIA123}@x"}},
            "exchange_config.url: contains a credential in clear text; write ${NAME} here and NAME=… in .env",
        ),
        (
            {"exchange_config": {"password": 123456}},
            "exchange_config.password: contains a credential in clear text; write ${NAME} here and NAME=…"
            " in .env",
        ),
        (
            {"exchange_config": {"pass": {"pins": [0.5]}}},
            "exchange_config.pass.pins[0]: contains a credential in clear text; write ${NAME} here and"
            " NAME=… in .env",
        ),
        (
            {"strategy_config": {"api_secret": "AKIA123"}},
            "strategy_config.api_secret: contains a credential in clear text; write ${NAME} here and NAME=…"
            " in .env",
        ),
        (
            {"daemon_config": {"api_secret": "AKIA123"}},
            "daemon_config.api_secret: contains a credential in clear text; write ${NAME} here and NAME=…"
            " in .env",
        ),
        (
            {"api_secret": "AKIA123"},
            "api_secret: contains a credential in clear text; write ${NAME} here and NAME=… in .env",
        ),
        (
            {"strategy_config": {"api_secret": "${WALLET}"}},
            "strategy_config.api_secret: references the"
            " credential WALLET, which is only allowed in"
            " exchange_config",
        ),
        ({"bot_args": ["--x", 1234567]}, "bot_args.1: must be a string, not …"),
        ({"exchange_config": "AKIA123"}, "exchange_config: must be an object {…}, not …"),
        ({"environment": {"WALLET": 1234567}}, "environment.WALLET: must be a string, not …"),
        ({"mode": "real"}, "mode: must be 'paper' or 'live', not “real”"),
        ({"metadata": "text"}, "metadata: must be an object {…}, not “text”"),
    ],
)
def test_a_fault_names_file_path_and_rule(tmp_path: Path, section: dict[str, Any], expected: str) -> None:
    assert one_fault(tmp_path, a_config(**section)) == f"{FILE}: {expected}"


def test_words_of_the_bundled_bot_are_checked_only_for_it(tmp_path: Path) -> None:
    config = a_config(metadata={"exchange": "binance", "strategy": "martingale"})
    write_config(tmp_path, config)
    assert [fault.partition(": ")[2].partition(",")[0] for fault in faults(tmp_path)] == [
        "metadata.exchange: must be one of backpack",
        "metadata.strategy: must be one of standard",
    ]
    (tmp_path / "config" / "fleet.toml").write_text('bot_dir = "bot"')
    assert faults(tmp_path) == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("{", "is not JSON: it ends too early (line 1, column 2)"),
        ("", "is not JSON: it is empty (line 1, column 1)"),
        ("[]", "must be an object {…}"),
        ('{"a": 1, "a": 2}', "duplicate key “a”"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8 (byte 0)"),
        (b'{"metadata": "\xe9"}', "is not UTF-8 (byte 14)"),
        ('{"metadata": {"symbol": NaN}}', "is not JSON: NaN is not a number"),
        ('{"a": ' * 60 + "1" + "}" * 60, "is nested deeper than 50 levels"),
        ("[" * 200_000, "is nested deeper than 50 levels"),
        ('{"metadata": {"symbol": "a\\u0000b"}}', "metadata.symbol: contains a NUL character"),
        ('{"metadata": {"symbol": "\\ud800"}}', "metadata.symbol: contains an incomplete surrogate pair"),
        ('{"x": "' + "a" * 1_100_000 + '"}', "is larger than 1000000 bytes"),
        (
            '{"metadata":'
            ' {"exchange": "backpack", "symbol": "X", "strategy": "grid"}, "daemon_config": {"web_port": '
            + "9" * 5000
            + "}}",
            "is not JSON: a number has thousands of digits",
        ),
        ("{}", "metadata: is missing"),
        ('{"metadata": {"exchange": "backpack", "strategy": "grid"}}', "metadata.symbol: is missing"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, raw: str | bytes, expected: str) -> None:
    assert one_fault(tmp_path, raw).partition(": ")[2].startswith(expected)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    write_config(tmp_path, b"\xef\xbb\xbf" + json.dumps(a_config()).encode())
    assert faults(tmp_path) == []


def test_two_files_must_not_share(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("one"), stem="a")
    write_config(tmp_path, a_config("ONE"), stem="b")
    write_config(
        tmp_path,
        a_config("two", 5002, daemon_config={"log_dir": "logs/one/sub", "db_path": "database/one.db"}),
        stem="c",
    )
    write_config(tmp_path, a_config("three", 5003, daemon_config={"db_path": "database/two"}), stem="d")
    assert faults(tmp_path) == [
        "config/active/b.json: metadata.instance_id: ONE is also used by config/active/a.json",
        "config/active/b.json: daemon_config.web_port: 5001 is also used by config/active/a.json",
        "config/active/b.json: daemon_config.db_path: database/ONE.db is also used by config/active/a.json",
        "config/active/c.json: daemon_config.db_path: database/one.db is also used by config/active/a.json",
        "config/active/d.json: daemon_config.db_path: database/two is the database folder of"
        " config/active/c.json",
        "config/active/c.json: daemon_config.log_dir: logs/one/sub is also used by config/active/a.json",
    ]


def test_every_file_is_reported_and_the_good_ones_are_there(tmp_path: Path) -> None:
    write_config(tmp_path, "{", stem="bad")
    write_config(tmp_path, a_config())
    result = loaded(tmp_path)
    assert [spec.id for spec in result.specs] == ["bp_sol_01"]
    assert result.broken_files == {"config/active/bad.json"}


def test_unknown_keys_are_warned_about_with_the_nearest_one(tmp_path: Path) -> None:
    write_config(tmp_path, a_config(daemon_config={"web_prot": 1}, colour="red") | {"$schema": "x"})
    assert [str(warning) for warning in loaded(tmp_path).warnings] == [
        f"{FILE}: colour: is not a known key",
        f"{FILE}: daemon_config.web_prot: is not a known key; did you mean web_port?",
    ]


def test_the_old_shared_log_folder_becomes_one_each(tmp_path: Path) -> None:
    write_config(tmp_path, a_config(daemon_config={"log_dir": "logs/"}))
    result = loaded(tmp_path)
    assert [spec.log_dir for spec in result.specs] == ["logs/bp_sol_01"]
    assert [str(warning) for warning in result.warnings] == [
        f"{FILE}: daemon_config.log_dir: the shared folder logs is replaced by logs/ID, one folder per "
        f"instance"
    ]


def test_fleet_defaults_are_beneath_the_configs(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("a", 5001, daemon_config={"restart_delay": 5}), stem="a")
    write_config(tmp_path, a_config("b", 5002), stem="b")
    (tmp_path / "config" / "fleet.toml").write_text("[defaults]\nrestart_delay = 7\nbot_stop_timeout = 9\n")
    first, second = loaded(tmp_path).specs
    assert [spec.settings["BOTFLEET_RESTART_DELAY"] for spec in (first, second)] == ["5", "7"]
    assert [spec.container_stop_timeout for spec in (first, second)] == [14, 14]


def test_variables_outside_the_credentials_are_expanded(tmp_path: Path) -> None:
    config = a_config(metadata={"symbol": "${COIN:-SOL}_USDC"})
    write_config(tmp_path, config)
    assert loaded(tmp_path).specs[0].symbol == "SOL_USDC"
    assert loaded(tmp_path, {"COIN": "ETH"}).specs[0].symbol == "ETH_USDC"
    assert loaded(tmp_path, {"COIN": ""}).specs[0].symbol == "SOL_USDC"


def test_the_legacy_flat_file_loads(tmp_path: Path) -> None:
    write_config(
        tmp_path,
        {
            "python_path": ".venv/bin/python3",
            "script_path": "run.py",
            "web_port": 5009,
            "max_restart_attempts": 7,
            "environment": {"BACKPACK_KEY": "${BACKPACK_KEY}", "LOG_LEVEL": "INFO"},
            "bot_args": [
                "--exchange",
                "backpack",
                "--symbol",
                "SOL_USDC",
                "--strategy",
                "grid",
                "--spread=0.1",
            ],
        },
        stem="daemon_config",
    )
    result = loaded(tmp_path)
    assert result.problems == ()
    (spec,) = result.specs
    assert (spec.id, spec.web_port, spec.exchange, spec.symbol, spec.strategy) == (
        "daemon_config",
        5009,
        "backpack",
        "SOL_USDC",
        "grid",
    )
    assert spec.command[-1] == "--spread=0.1"
    assert spec.settings["BOTFLEET_MAX_RESTARTS"] == "7"
    assert spec.literals == {"BACKPACK_KEY": "${BACKPACK_KEY}", "LOG_LEVEL": "INFO"}


def test_a_legacy_file_may_pass_no_credential_in_clear(tmp_path: Path) -> None:
    write_config(tmp_path, {"environment": {"API_KEY": "abc"}, "bot_args": ["--api-key", "abc"]})
    assert [fault.partition(": ")[2].partition(":")[0] for fault in faults(tmp_path)] == [
        "environment.API_KEY",
        "bot_args[0]",
    ]


def test_what_is_neither_text_nor_number_is_no_credential(tmp_path: Path) -> None:
    write_config(tmp_path, a_config(exchange_config={"api_keys": [True, None, "", "${A}"], "account": 5}))
    assert faults(tmp_path) == []


def test_a_number_is_no_credential_where_no_credential_belongs(tmp_path: Path) -> None:
    write_config(tmp_path, a_config(strategy_config={"seed": 42, "max_keys": 0.5}))
    assert faults(tmp_path) == []


def test_a_legacy_file_has_its_exchange_config(tmp_path: Path) -> None:
    bot_args = ["--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "standard", "--quantity", "1"]
    flat: dict[str, Any] = {"bot_args": bot_args, "exchange_config": {"api_key": "${BACKPACK_KEY}"}}
    write_config(tmp_path, flat)
    result = loaded(tmp_path)
    assert (result.problems, result.warnings) == ((), ())
    assert [variable.name for variable in result.specs[0].variables] == ["BACKPACK_KEY"]
    flat["exchange_config"]["api_key"] = "AKIA123"
    assert one_fault(tmp_path, flat).startswith(f"{FILE}: exchange_config.api_key: contains a credential")


def test_a_fault_of_two_files_concerns_both(tmp_path: Path) -> None:
    for name, port, folder in (("a", 5001, "logs/a"), ("b", 5002, "logs/a/x"), ("c", 5003, "logs/a/y")):
        write_config(tmp_path, a_config(name, port, daemon_config={"log_dir": folder}), stem=name)
    problems = loaded(tmp_path).problems
    assert [(problem.file[-6:], problem.also[-6:]) for problem in problems] == [
        ("b.json", "a.json"),
        ("c.json", "a.json"),
    ]
    assert all(warning.concerns({"config/active/a.json"}) for warning in problems)
    assert not problems[0].concerns({"config/active/c.json"})


def test_shipped_configs_and_templates_load() -> None:
    root = Path(__file__).resolve().parents[3]
    result = loaded(root)
    assert result.problems == ()
    assert result.warnings == ()
    assert [spec.id for spec in result.specs] == ["bp_eth_01", "bp_eth_02", "bp_sol_01"]
    fleet, defaults = fleet_settings.load(root)
    for template in sorted((root / "config" / "templates").glob("*.json")):
        assert loader.load_file(template, fleet, defaults, {}, {}).problems == (), template


def test_a_key_that_is_nearly_a_known_one_is_an_error_for_the_bundled_bot_alone(tmp_path: Path) -> None:
    config = a_config(strategy_config={"gridnum": 12, "colour": "red"})
    assert (
        one_fault(tmp_path, config)
        == f"{FILE}: strategy_config.gridnum: is not a known key; did you mean grid_num?"
    )
    (tmp_path / "config" / "fleet.toml").write_text('bot_dir = "bot"')
    assert faults(tmp_path) == []


def test_a_stray_key_says_what_is_traded_instead(tmp_path: Path) -> None:
    write_config(tmp_path, {**a_config(), "grid_upper_price": 3300, "stop_loss": 5})
    assert {str(warning) for warning in loaded(tmp_path).warnings} >= {
        f"{FILE}: grid_upper_price: is ignored: 180 of strategy_config.grid_upper_price is traded",
        f"{FILE}: stop_loss: is ignored: only strategy_config.stop_loss is traded, and it is not set",
    }


@pytest.mark.parametrize(
    ("strategy", "watched", "warned"),
    [("perp_grid", None, 1), ("grid", None, 1), ("grid", False, 0), ("grid", True, 0), ("standard", None, 0)],
)
def test_an_action_at_the_range_that_is_never_taken_is_said(
    tmp_path: Path, strategy: str, watched: bool | None, warned: int
) -> None:
    section: dict[str, object] = {"boundary_action": "adjust_range"}
    if watched is not None:
        section["enable_boundary_check"] = watched
    write_config(tmp_path, a_config(metadata={"strategy": strategy}, strategy_config=section))
    texts = [str(warning) for warning in loaded(tmp_path).warnings]
    text = (
        f"{FILE}: strategy_config.boundary_action: is never taken while strategy_config.enable_boundary_check"
        " is not set: set it to true, or to false if the bot is not to watch its range"
    )
    assert texts.count(text) == warned


def test_a_key_of_another_strategy_or_of_the_same_option_is_not_traded(tmp_path: Path) -> None:
    strategy = {"spread": 0.1, "quantity": 1, "order_quantity": 2.5, "stop_loss": 5, "grid_num": 10}
    strategy |= {"grid_upper": 180, "grid_upper_price": 180, "enable_boundary_check": False}
    config = {**a_config(metadata={"strategy": "standard"}, strategy_config=strategy), "grid_num": 4}
    config["risk"] = {"limits": {"stopLoss": 10, "gridNum": 7, "other": 1}}
    write_config(tmp_path, config)
    of_another = "is ignored: a bot with the strategy standard has no use for it"
    texts = {str(warning) for warning in loaded(tmp_path).warnings}
    assert texts >= {
        f"{FILE}: strategy_config.grid_num: {of_another}",
        f"{FILE}: strategy_config.grid_upper: {of_another}",
        f"{FILE}: strategy_config.order_quantity: is ignored: 1 of strategy_config.quantity is traded",
        f"{FILE}: grid_num: {of_another}",
        f"{FILE}: risk: is not a known key",
        f"{FILE}: risk.limits.stopLoss: is ignored: 5 of strategy_config.stop_loss is traded",
        f"{FILE}: risk.limits.gridNum: {of_another}",
    }
    assert not [text for text in texts if "enable_boundary_check" in text or "limits.other" in text]


def test_two_keys_of_one_option_that_say_the_same_are_no_matter(tmp_path: Path) -> None:
    write_config(tmp_path, a_config(strategy_config={"grid_upper": 180, "grid_upper_price": 180}))
    assert loaded(tmp_path).warnings == ()


def test_a_stray_key_is_known_by_another_spelling_name_or_section_too(tmp_path: Path) -> None:
    """A stop loss that is not where it belongs is not traded, however it is spelt."""
    config = {**a_config(), "stoploss": 5, "grid_upper": 3300, "Mode": "live", "mode": "paper"}
    config["daemon_config"] = {**config["daemon_config"], "gridLower": 100, "memory_limit": 300}
    write_config(tmp_path, config)
    assert {str(warning) for warning in loaded(tmp_path).warnings} >= {
        f"{FILE}: stoploss: is ignored: only strategy_config.stop_loss is traded, and it is not set",
        f"{FILE}: grid_upper: is ignored: 180 of strategy_config.grid_upper_price is traded",
        f"{FILE}: daemon_config.gridLower: is ignored: 140 of strategy_config.grid_lower_price is traded",
        f"{FILE}: daemon_config.memory_limit: is not a known key; did you mean memory_limit_mb?",
        f"{FILE}: Mode: is not a known key; did you mean mode?",
    }


def test_a_log_folder_inside_anothers_is_found_whatever_stands_between_them(tmp_path: Path) -> None:
    """Sorted by name alone, `logs/a-b` stands between `logs/a` and `logs/a/c`."""
    for port, (stem, folder) in enumerate(
        (("a", "logs/a"), ("b", "logs/a-b"), ("c", "logs/a/c")), start=5001
    ):
        write_config(tmp_path, a_config(stem, port, daemon_config={"log_dir": folder}), stem)
    assert faults(tmp_path) == [
        "config/active/c.json: daemon_config.log_dir: logs/a/c is also used by config/active/a.json"
    ]


def test_an_id_that_is_one_of_our_own_files_in_other_letters_is_refused(tmp_path: Path) -> None:
    """On a file system that does not tell them apart it is that file."""
    assert "is the name of one of botfleet's own files" in one_fault(tmp_path, a_config("Fleet.json"))


def test_null_is_the_fleets_default(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.toml").write_text("[defaults]\nrestart_delay = 7\n")
    write_config(tmp_path, a_config(daemon_config={"restart_delay": None}))
    [spec] = loaded(tmp_path).specs
    assert spec.settings["BOTFLEET_RESTART_DELAY"] == "7"
