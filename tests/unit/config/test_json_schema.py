"""The editors' schema and the loader say the same of a config, but for what docs/operating.md lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import regress
from jsonschema import Draft202012Validator

from manager import i18n
from manager.cli.parsers import words
from manager.config import fleet_settings
from manager.config.json_schema import config_schema
from manager.config.loader import load_value
from manager.config.spec import config_hash
from tests.builders import a_config, a_fleet
from tests.fleet import ROOT

SHIPPED = sorted([*ROOT.glob("config/active/*.json"), *ROOT.glob("config/templates/*.json")])

FLAT: dict[str, Any] = {
    "python_path": ".venv/bin/python3",
    "log_dir": "logs",
    "bot_args": ["--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "standard"],
    "environment": {"API_KEY": "${BACKPACK_KEY}", "PROXY": "http://proxy:3128"},
}
SHORT: dict[str, Any] = {
    "metadata": {"exchange": "backpack", "symbol": "SOL_USDC_PERP", "strategy": "perp_grid"},
}

GOOD: dict[str, Any] = {
    "short": SHORT,
    "flat": FLAT,
    "flat with an id": {**FLAT, "instance_id": "old", "web_port": 5001, "mode": "paper"},
    "nulls": {**a_config(port=None), "mode": None, "bot_args": None},
    "a schema": {"$schema": "../schema.json", **a_config()},
    "shared logs": a_config(daemon_config={"log_dir": "logs"}),
    "paths of old": a_config(daemon_config={"log_dir": "./logs/a/b/", "db_path": "database/bp_sol_01/x.db"}),
    "a variable in the symbol": a_config(metadata={"symbol": "${SYMBOL:-SOL_USDC}"}),
    "a default for no secret": a_config(exchange_config={"base_url": "${BASE_URL:-https://x.example}"}),
    "nested credentials": a_config(exchange_config={"accounts": [{"Secret": {"of": ["${A_SECRET}"]}}]}),
    "an empty credential": a_config(exchange_config={"password": ""}),
    "a credential's switch": a_config(exchange_config={"use_api_keys": True, "testnet_key": None}),
    "a number that is no credential": a_config(
        exchange_config={"account_index": 5}, strategy_config={"seed": 42}
    ),
    "the page's token": a_config(exchange_config={"BOT_WEB_TOKEN": "abc"}),
    "aliases": a_config(
        strategy_config={
            "grid_upper_price": None,
            "grid_upper": 2,
            "grid_lower_price": None,
            "grid_lower": 1,
        }
    ),
    "unknown keys": {**a_config(), "alerts": {"to": "me"}, "notes": [1, None, "x"]},
    "its own command line": {**SHORT, "bot_args": ["--anything"], "strategy_config": {"grid_num": 3}},
    "tags": a_config(metadata={"tags": ["a", "b"]}),
    "exit codes": a_config(daemon_config={"crash_exit_codes": [0, 255]}),
}

BAD: dict[str, Any] = {
    "no object": [],
    "nothing": {},
    "no metadata": {"daemon_config": {}},
    "no symbol": {"metadata": {"exchange": "backpack", "strategy": "grid"}},
    "a null symbol": a_config(metadata={"symbol": None}),
    "an unknown exchange": a_config(metadata={"exchange": "backpck"}),
    "an unknown strategy": a_config(metadata={"strategy": "martingale"}),
    "a word with a space": a_config(metadata={"symbol": "SOL USDC"}),
    "a word that is an option": a_config(metadata={"symbol": "-SOL"}),
    "an id with a slash": a_config(metadata={"instance_id": "../x"}),
    "a machine's name with a space": {**a_config(), "host": "a b"},
    "an id too long": a_config(metadata={"instance_id": "x" * 64}),
    "a market of no kind": a_config(metadata={"market_type": "future"}),
    "tags as a text": a_config(metadata={"tags": "a,b"}),
    "port 0": a_config(port=0),
    "a port as a text": a_config(daemon_config={"web_port": "5001"}),
    "a number for a switch": a_config(daemon_config={"auto_restart": 1}),
    "too many restarts": a_config(daemon_config={"max_restart_attempts": 101}),
    "too little memory": a_config(daemon_config={"memory_limit_mb": 31}),
    "an exit code of 256": a_config(daemon_config={"crash_exit_codes": [256]}),
    "a completion of no kind": a_config(daemon_config={"completion": "sometimes"}),
    "a section that is a list": {**a_config(), "daemon_config": []},
    "logs elsewhere": a_config(daemon_config={"log_dir": "/var/log/bot"}),
    "logs upwards": a_config(daemon_config={"log_dir": "logs/../x"}),
    "logs in our own file": a_config(daemon_config={"log_dir": "logs/instances.json"}),
    "a database elsewhere": a_config(daemon_config={"db_path": "data/x.db"}),
    "the database folder": a_config(daemon_config={"db_path": "database"}),
    "one grid line": a_config(strategy_config={"grid_num": 1}),
    "no upper bound": a_config(strategy_config={"grid_upper_price": None}),
    "a position of nothing": a_config(strategy_config={"max_position": 0}),
    "a boundary action of no kind": a_config(strategy_config={"boundary_action": "panic"}),
    "a mode of no kind": a_config() | {"mode": "demo"},
    "a key in clear text": a_config(exchange_config={"api_key": "abc"}),
    "a password of digits": a_config(exchange_config={"password": 123456}),
    "a nested password of digits": a_config(exchange_config={"accounts": [{"Secret": {"of": [1.5]}}]}),
    "a key with a default": a_config(exchange_config={"api_key": "${API_KEY:-abc}"}),
    "a nested key in clear text": a_config(exchange_config={"accounts": [{"Secret": {"of": ["abc"]}}]}),
    "a key in another section": a_config(metadata={"api_key": "${BACKPACK_KEY}"}),
    "a credential in a name": a_config(metadata={"name": "mine: ${BACKPACK_KEY}"}),
    "a key beside the sections": {**a_config(), "alerts": {"bot_token": "abc"}},
    "exchange_config as a text": {**a_config(), "exchange_config": "${BACKPACK_KEY}"},
    "flat, a key in clear text": {**FLAT, "environment": {"API_KEY": "abc"}},
    "flat, a number as a variable": {**FLAT, "environment": {"DEPTH": 5}},
    "flat, a key as an argument": {**FLAT, "bot_args": ["--api-key=abc"]},
    "flat, arguments as a text": {**FLAT, "bot_args": "--exchange backpack"},
}

LOADER_ONLY: dict[str, Any] = {
    "upper below lower": a_config(strategy_config={"grid_upper_price": 1}),
    "more CPU than there is": a_config(daemon_config={"cpu_limit_percent": 10**9}),
    "another's database folder": a_config(daemon_config={"db_path": "database/other/x.db"}),
    "a whole number with a point": a_config(strategy_config={"grid_num": 20.0}),
    "the name of a file of ours": a_config(metadata={"instance_id": "fleet.lock"}),
    "a variable that is not set": a_config(metadata={"symbol": "${NOBODY_SETS_THIS}"}),
}
"""What a schema cannot say; docs/operating/editors.md lists the same."""

REFUSED: dict[str, Any] = {
    "logs with a tab": a_config(daemon_config={"log_dir": "logs/a\tb"}),
    "a database with a line break": a_config(daemon_config={"db_path": "database/a\nb.db"}),
    "flat, a name that is no variable's": {**FLAT, "environment": {"MY-DEPTH": "5"}},
    "a name that begins with a digit": {**SHORT, "environment": {"5TH": "5"}},
}
"""What keeps an instance from being started, while one that runs goes on."""

REFUSED_BY_LOADER_ONLY: dict[str, Any] = {
    "a character that is not seen": a_config(metadata={"symbol": "SOL\u200b_USDC"}),
    "a variable that steers the loader": {**SHORT, "environment": {"LD_PRELOAD": "/x.so"}},
}


def is_valid(value: Any, *, is_bundled_bot: bool = True) -> bool:
    return bool(Draft202012Validator(config_schema(is_bundled_bot=is_bundled_bot)).is_valid(value))


def loads(value: Any) -> bool:
    return not load_value(value, "config/active/bp_sol_01.json", a_fleet(), {}, {}, {}).problems


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(config_schema(is_bundled_bot=True))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configs_name_the_schema_and_keep_it(path: Path) -> None:
    value = json.loads(path.read_text())
    assert (path.parent / value["$schema"]).resolve() == ROOT / "config" / "schema.json"
    assert is_valid(value)


def test_the_committed_schema_is_what_the_command_prints() -> None:
    i18n.use("en")
    fleet, _defaults = fleet_settings.load(ROOT)
    schema = config_schema(is_bundled_bot=fleet.is_bundled_bot)
    committed = json.loads((ROOT / "config" / "schema.json").read_text())
    assert committed == schema, "run: manager --lang en config schema > config/schema.json"


@pytest.mark.parametrize("value", GOOD.values(), ids=GOOD)
def test_what_loads_is_valid(value: Any) -> None:
    assert loads(value)
    assert is_valid(value)


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_what_does_not_load_is_not_valid(value: Any) -> None:
    assert not loads(value)
    assert not is_valid(value)


@pytest.mark.parametrize("value", LOADER_ONLY.values(), ids=LOADER_ONLY)
def test_what_only_the_loader_finds(value: Any) -> None:
    assert not loads(value)
    assert is_valid(value)


@pytest.mark.parametrize("name", [*REFUSED, *REFUSED_BY_LOADER_ONLY])
def test_what_is_refused_is_not_valid_where_a_schema_can_say_so(name: str) -> None:
    value = {**REFUSED, **REFUSED_BY_LOADER_ONLY}[name]
    loaded = load_value(value, "config/active/bp_sol_01.json", a_fleet(), {}, {}, {})
    assert loaded.refusals and not loaded.problems  # noqa: PT018
    assert is_valid(value) is (name in REFUSED_BY_LOADER_ONLY)


def test_another_bots_words_are_free() -> None:
    value = a_config(metadata={"exchange": "mine", "strategy": "martingale"})
    assert not is_valid(value)
    assert is_valid(value, is_bundled_bot=False)


def test_every_key_is_described() -> None:
    definitions = config_schema(is_bundled_bot=True)["$defs"]
    for name in ("sectioned", "flat", "Metadata", "DaemonConfig", "StrategyConfig"):
        for key, rule in definitions[name]["properties"].items():
            assert rule["description"], key


def test_the_schemas_name_changes_no_container_and_is_not_shown() -> None:
    plain = load_value(a_config(), "config/active/a.json", a_fleet(), {}, {}, {})
    named = load_value(
        {"$schema": "../schema.json", **a_config()}, "config/active/a.json", a_fleet(), {}, {}, {}
    )
    assert plain.spec is not None
    assert named.spec is not None
    assert config_hash(plain.spec, a_fleet()) == config_hash(named.spec, a_fleet())
    assert (named.described, named.warnings) == (plain.described, plain.warnings)


def test_the_command_has_two_words() -> None:
    assert words(["config", "schema"]) == ["config schema"]
    assert words(["config", "bp_sol_01"]) == ["config", "bp_sol_01"]


@pytest.mark.parametrize("is_bundled_bot", [True, False])
def test_the_schema_is_valid_and_its_patterns_are_ecmas(is_bundled_bot: bool) -> None:
    """Editors and check-jsonschema compile patterns by an ECMA engine with the flag `u`, to which `\\-` is an
    error.
    """
    schema = config_schema(is_bundled_bot=is_bundled_bot)
    Draft202012Validator.check_schema(schema)
    all_patterns = list(patterns(schema))
    assert len(all_patterns) > 10
    for pattern in all_patterns:
        regress.Regex(pattern, "u")  # the engine of check-jsonschema
    with pytest.raises(regress.RegressError):
        regress.Regex(r"^[a-z]\-$", "u")


def texts(value: object) -> Iterator[str]:
    """Yield every text and key in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


@pytest.mark.parametrize("name", [name for name, value in {**GOOD, **BAD}.items() if any(texts(value))])
def test_an_ecma_engine_finds_in_each_text_what_python_finds(name: str) -> None:
    value = {**GOOD, **BAD}[name]
    for pattern in set(patterns(config_schema(is_bundled_bot=True))):
        ecma = regress.Regex(pattern, "u")
        for text in sorted(set(texts(value))):
            assert bool(ecma.find(text)) == bool(re.search(pattern, text)), (pattern, text)


def patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "pattern" and isinstance(value, str):
                yield value
            if key == "patternProperties":
                yield from value
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)
