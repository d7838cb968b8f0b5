"""A second account's credentials reach the bundled bot under the names that it reads."""

from __future__ import annotations

from typing import Any

import pytest

from gridbot.exchanges import venues
from manager.config import account_names, bot_environment
from manager.config.exchanges import EXCHANGES
from manager.config.steering import belongs_to
from tests.builders import a_fleet, a_spec

SECOND = {"api_key": "${BP2_KEY}", "secret_key": "${BP2_SECRET}"}
FIRST = {"BACKPACK_KEY": "k1", "BACKPACK_SECRET": "s1"}
VALUES = {**FIRST, "BP2_KEY": "k2", "BP2_SECRET": "s2"}


def given(
    values: dict[str, str] = VALUES, passed_on: tuple[str, ...] = (), **sections: Any
) -> dict[str, str]:
    fleet = a_fleet(variables=passed_on)
    for_all = bot_environment.shared_variables(fleet, values, "UTC")
    return bot_environment.env_file_values(a_spec(fleet=fleet, **sections), fleet, for_all, values)


def test_the_groups_are_what_the_bundled_bot_reads() -> None:
    assert EXCHANGES.keys() == venues.VENUES.keys()
    for exchange, known in EXCHANGES.items():
        venue = venues.VENUES[exchange]
        theirs = [*venue.keys.values(), *venue.optional.values()]
        assert {f"{exchange.upper()}_{name}" for name in known.optional} == {
            names[0] for names in venue.optional.values()
        }
        ours = [tuple(f"{exchange.upper()}_{suffix}" for suffix in group) for group in known.credentials]
        assert ours == theirs
        assert all(belongs_to(name, exchange) for names in ours for name in names)


@pytest.mark.parametrize(
    ("exchange", "key", "variable"),
    [
        ("backpack", "api_key", "BACKPACK_KEY"),
        ("backpack", "key", "BACKPACK_KEY"),
        ("backpack", "apiKey", "BACKPACK_KEY"),
        ("apex", "api-passphrase", "APEX_PASSPHRASE"),
        ("backpack", "secret_key", "BACKPACK_SECRET"),
        ("Backpack", "SECRET", "BACKPACK_SECRET"),
        ("aster", "private_key", "ASTER_PRIVATE_KEY"),
        ("aster", "secret_key", "ASTER_SECRET_KEY"),
        ("Aster", "ASTER_SECRET", "ASTER_SECRET"),
        ("aster", "signer_address", "ASTER_SIGNER_ADDRESS"),
        ("paradex", "account_address", "PARADEX_WALLET_ADDRESS"),
        ("lighter", "api_key_private_key", "LIGHTER_PRIVATE_KEY"),
        ("lighter", "account_index", "LIGHTER_ACCOUNT_INDEX"),
        ("apex", "passphrase", "APEX_PASSPHRASE"),
        ("apex", "APEX_OMNI_KEY", "APEX_SEEDS"),
        ("backpack", "note", None),
        ("binance", "api_key", None),
    ],
)
def test_a_key_of_the_config_says_which_credential_is_meant(
    exchange: str, key: str, variable: str | None
) -> None:
    assert account_names.read_as(exchange, key, "${SECOND}") == variable
    assert account_names.read_as(exchange, key, " ${SECOND:-} ") == variable


@pytest.mark.parametrize("text", ["${BACKPACK_KEY}", "${BACKPACK_API_KEY}", "x${BP2_KEY}", "plain", ""])
def test_own_names_and_other_texts_stay_as_they_are(text: str) -> None:
    assert account_names.read_as("backpack", "api_key", text) is None


def test_the_second_accounts_values_arrive_where_the_bot_looks() -> None:
    values = given(exchange_config=SECOND, mode="live")
    assert venues.credentials("backpack", values) == {"apiKey": "k2", "secret": "s2"}
    assert values["BP2_KEY"] == "k2", "a bot that reads the config's own names finds them, too"


@pytest.mark.parametrize("passed_on", [("BACKPACK_*",), ("BACKPACK_KEY", "BACKPACK_API_SECRET")])
def test_what_the_fleet_passes_to_every_bot_does_not_win_over_it(passed_on: tuple[str, ...]) -> None:
    values = given({**VALUES, "BACKPACK_API_SECRET": "s1"}, passed_on, exchange_config=SECOND, mode="live")
    assert venues.credentials("backpack", values) == {"apiKey": "k2", "secret": "s2"}
    assert not {"k1", "s1"} & set(values.values()), "no bot needs another account's keys"


def test_a_default_arrives_there_too_and_nothing_where_nothing_is_set() -> None:
    config = {"account_index": "${SECOND_INDEX:-7}", "private_key": "${SECOND_PRIVATE}"}
    values = given({}, exchange_config=config, mode="live", metadata={"exchange": "lighter", "symbol": "SOL"})
    assert values["LIGHTER_ACCOUNT_INDEX"] == "7"
    assert "LIGHTER_PRIVATE_KEY" not in values


def test_on_paper_no_bot_gets_them_under_any_name() -> None:
    assert not {"k2", "s2"} & set(given(exchange_config=SECOND, mode="paper").values())
    config = {"account_index": "${SECOND_KEY_INDEX}"}
    values = given(
        {"SECOND_KEY_INDEX": "9"}, exchange_config=config, metadata={"exchange": "lighter", "symbol": "SOL"}
    )
    assert "9" not in values.values()


def test_a_placeholder_is_told_once_by_the_name_in_the_config() -> None:
    fleet = a_fleet(config_variables=("BP2_KEY", "BP2_SECRET"))
    spec = a_spec("bp_sol_02", exchange_config=SECOND, mode="live")
    values = {"BP2_KEY": "your_api_key_here", "BP2_SECRET": "BP2_SECRET"}
    told = [str(problem.text) for problem in bot_environment.credential_problems([spec], fleet, values)]
    assert told == [
        f"{name} has a template's placeholder instead of a value; write {name}=… in .env" for name in values
    ]
    assert list(bot_environment.wrong_forms([spec], fleet, values)) == []


def test_the_account_is_told_by_values() -> None:
    fleet = a_fleet()
    first = a_spec("bp_sol_01", 5001, exchange_config={"api_key": "${BACKPACK_KEY}"}, mode="live")
    second = a_spec("bp_sol_02", 5002, exchange_config={"api_key": "${BP2_KEY}"}, mode="live")
    apart = bot_environment.credential_problems([first, second], fleet, VALUES)
    assert apart == []
    same = bot_environment.credential_problems([first, second], fleet, {**VALUES, "BP2_KEY": "k1"})
    assert ["trades SOL_USDC_PERP with the same credentials" in str(problem) for problem in same] == [True]


def test_another_bots_variables_are_its_own_affair() -> None:
    fleet = a_fleet(image="traders-own-bot:latest")
    assert not fleet.is_bundled_bot
    spec = a_spec(fleet=fleet, exchange_config=SECOND, mode="live")
    assert "BACKPACK_KEY" not in bot_environment.env_file_values(spec, fleet, {}, VALUES)


def test_a_credential_is_called_as_the_config_calls_it() -> None:
    renamed = [("BP2_KEY", "BACKPACK_KEY"), ("BP2_SECRET", "BACKPACK_SECRET")]
    values = given(exchange_config=SECOND, mode="live")
    named = account_names.configured_as
    assert named("BACKPACK_KEY", "backpack", renamed, values) == "BP2_KEY"
    assert named("BACKPACK_KEY", "backpack", [], values) == "BACKPACK_KEY"
    assert named("BACKPACK_KEY", "backpack", renamed, FIRST) == "BACKPACK_KEY", (
        "the bot's config was another one"
    )
    assert named("", "backpack", renamed, values) == "", "a program that names no account"
    assert named("OTHER", "backpack", renamed, values) == "OTHER"
