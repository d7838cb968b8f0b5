"""`${…}`, what a bot is given, and whose account it is."""

from __future__ import annotations

from typing import Any

import pytest

from manager.config import bot_environment
from manager.config import variables as environment
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.variables import UnsetVariable
from tests.builders import a_fleet, a_spec

KEYS = {"BACKPACK_KEY": "k1", "BACKPACK_SECRET": "s1"}


def values(spec: InstanceSpec, fleet: Fleet, variables: dict[str, str], time_zone: str) -> dict[str, str]:
    return bot_environment.env_file_values(
        spec, fleet, bot_environment.shared_variables(fleet, variables, time_zone), variables
    )


def live(instance: str, port: int, **sections: Any) -> InstanceSpec:
    return a_spec(instance, port, mode="live", **sections)


def test_expansion() -> None:
    variables = {"A": "1", "EMPTY": ""}
    assert environment.expand("${A}-${B:-two}-${EMPTY:-three}-$A", variables) == "1-two-three-$A"
    with pytest.raises(UnsetVariable, match="EMPTY"):
        environment.expand("${EMPTY}", variables)


def test_the_environment_beats_dotenv_and_empty_is_unset() -> None:
    assert environment.merge_environment({"A": "file", "B": "file"}, {"A": "env", "B": ""}) == {
        "A": "env",
        "B": "file",
    }


@pytest.mark.parametrize(
    "name", ["api_key", "SECRET", "passphrase", "auth_token", "privateKey", "mnemonic", "seed_phrase"]
)
def test_secret_names(name: str) -> None:
    assert environment.is_secret(name)


def test_paper_mode_gets_no_credential() -> None:
    spec = a_spec(
        exchange_config={"base_url": "${BASE_URL:-https://api.example.test}", "account": "${WALLET}"}
    )
    variables = {**KEYS, "HTTP_PROXY": "http://proxy", "X_API_URL": "u", "OTHER": "no", "WALLET": "w"}
    assert values(spec, a_fleet(), variables, "Asia/Taipei") == {
        "TZ": "Asia/Taipei",
        "HTTP_PROXY": "http://proxy",
        "X_API_URL": "u",
        "BASE_URL": "https://api.example.test",
        "WALLET": "w",
    }


def test_paper_mode_withholds_what_a_pattern_would_pass_on() -> None:
    fleet = a_fleet(variables=("*",))
    given = values(a_spec(), fleet, {**KEYS, "PLAIN": "1", "BOT_WEB_TOKEN": "t"}, "UTC")
    assert given == {"TZ": "UTC", "PLAIN": "1", "BOT_WEB_TOKEN": "t"}


def test_live_mode_gets_its_credentials() -> None:
    assert values(live("a", 5001), a_fleet(), KEYS, "UTC") == {"TZ": "UTC", **KEYS}


def test_unset_variables_are_faults_in_live_mode_and_one_remark_in_paper_mode() -> None:
    problems = bot_environment.credential_problems(
        [live("a", 5001)], a_fleet(), {"BACKPACK_KEY": "k", "BACKPACK_SECRET": ""}
    )
    assert [str(problem) for problem in problems] == [
        "config/active/a.json: exchange_config: BACKPACK_SECRET is not set, but live mode requires it;"
        " write BACKPACK_SECRET=… in .env"
    ]
    assert [
        str(warning) for warning in bot_environment.unset_variable_warnings([a_spec(), a_spec("b", 5002)], {})
    ] == [".env: not set, and not required in paper mode: BACKPACK_KEY, BACKPACK_SECRET"]


def test_two_live_bots_on_one_account_are_refused_by_value() -> None:
    other_names = {"api_key": "${MY_KEY}", "secret_key": "${MY_SECRET}"}
    pair = [live("a", 5001), live("b", 5002, exchange_config=other_names)]
    same = {**KEYS, "MY_KEY": "k1", "MY_SECRET": "s1"}
    (problem,) = bot_environment.credential_problems(pair, a_fleet(), same)
    assert str(problem).startswith(
        "config/active/b.json: exchange_config: trades SOL_USDC_PERP with the same credentials as"
        " config/active/a.json"
    )
    assert "k1" not in str(problem)
    assert bot_environment.credential_problems(pair, a_fleet(), {**same, "MY_KEY": "k2"}) == []
    assert bot_environment.credential_problems(pair, a_fleet(allow_shared_credentials=True), same) == []
    assert bot_environment.credential_problems([pair[0], a_spec("b", 5002)], a_fleet(), same) == []
    other_symbol = live("b", 5002, exchange_config=other_names, metadata={"symbol": "ETH_USDC_PERP"})
    assert bot_environment.credential_problems([pair[0], other_symbol], a_fleet(), same) == []


def test_a_legacy_environment_is_expanded_and_guarded() -> None:
    legacy: dict[str, Any] = {"environment": {"API_KEY": "${BACKPACK_KEY}", "LEVEL": "INFO"}}
    assert values(a_spec(**legacy), a_fleet(), KEYS, "UTC") == {"TZ": "UTC", "LEVEL": "INFO"}
    assert values(live("a", 1, **legacy), a_fleet(), KEYS, "UTC")["API_KEY"] == "k1"


def test_paper_mode_withholds_what_a_credential_is_part_of() -> None:
    legacy: dict[str, Any] = {
        "environment": {
            "AUTH": "${BACKPACK_KEY}",
            "URL": "https://u:${BACKPACK_SECRET}@x",
            "ID": "${WALLET}",
            "A": "1",
        },
        "exchange_config": {"account": "${WALLET}", "api_keys": {"main": "${WALLET}"}},
    }
    variables = {**KEYS, "WALLET": "w"}
    assert values(a_spec(**legacy), a_fleet(), variables, "UTC") == {"TZ": "UTC", "A": "1"}
    assert values(live("a", 1, **legacy), a_fleet(), variables, "UTC")["URL"] == "https://u:s1@x"


def test_an_account_that_patterns_or_texts_pass_on_is_compared() -> None:
    def problem_files(pair: list[InstanceSpec], fleet: Fleet) -> list[tuple[str, str]]:
        problems = bot_environment.credential_problems(
            pair, fleet, {**KEYS, "MY_KEY": "k2", "MY_SECRET": "s2"}
        )
        return [(problem.file, problem.also) for problem in problems]

    none: dict[str, Any] = {"exchange_config": {"api_key": "", "secret_key": ""}}
    both = [("config/active/b.json", "config/active/a.json")]
    pair = [live("a", 5001, **none), live("b", 5002, **none)]
    assert problem_files(pair, a_fleet()) == []
    assert problem_files(pair, a_fleet(variables=("BACKPACK_*",))) == both
    text: dict[str, Any] = {"environment": {"AUTH": "${BACKPACK_KEY}:${BACKPACK_SECRET}"}}
    assert problem_files([live("a", 5001), live("b", 5002, **none, **text)], a_fleet()) == both
    assert problem_files([live("a", 5001), live("b", 5002)], a_fleet()) == both


def test_every_instance_that_shares_an_account_is_named() -> None:
    one = {"api_key": "${K1}", "secret_key": "${S1}"}
    two = {"api_key": "${K2}", "secret_key": "${S2}"}
    three = [
        live("a", 5001, exchange_config=one),
        live("b", 5002, exchange_config=two),
        live("c", 5003, exchange_config={**one, "more": [two]}),
    ]
    problems = bot_environment.credential_problems(
        three, a_fleet(), {"K1": "k1", "S1": "s1", "K2": "k2", "S2": "s2"}
    )
    assert {name for problem in problems for name in (problem.file[-6:], problem.also[-6:])} == {
        "a.json",
        "b.json",
        "c.json",
    }


@pytest.mark.parametrize(
    ("theirs", "refused"),
    [
        (None, True),
        ({"OLD_KEY": "k1", "OLD_SECRET": "s1", "TZ": "UTC"}, True),
        ({"OLD_KEY": "k1"}, True),
        ({"ACCOUNT": "k1", "OTHER": "s1"}, True),
        ({"OLD_KEY": "k2", "OLD_SECRET": "s2"}, False),
        ({"TZ": "UTC"}, False),
    ],
)
def test_a_container_that_trades_already_is_no_company_for_its_own_account(
    theirs: dict[str, str] | None, refused: bool
) -> None:
    other = bot_environment.LiveContainer("old", "desk-old", "Backpack", "sol_usdc_perp", theirs)

    def problems_of(
        spec: InstanceSpec, fleet: Fleet, container: bot_environment.LiveContainer = other
    ) -> list[str]:
        return [
            str(problem)
            for problem in bot_environment.conflicts_with_running([spec], [container], fleet, KEYS)
        ]

    expected = "config/active/a.json: exchange_config: container desk-old already trades SOL_USDC_PERP live"
    assert [text.startswith(expected) for text in problems_of(live("a", 5001), a_fleet())] == [True] * refused
    assert problems_of(live("a", 5001), a_fleet(allow_shared_credentials=True)) == []
    assert problems_of(a_spec("a"), a_fleet()) == []
    assert problems_of(live("a", 5001), a_fleet(), other._replace(symbol="ETH")) == []
