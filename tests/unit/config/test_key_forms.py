"""Credentials with which nothing can be signed are named before a bot starts, by manager and bot."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

import pytest

from gridbot.exchanges import key_forms as of_the_bot
from gridbot.exchanges import venues
from gridbot.exchanges.venues import VENUES
from gridbot.model.errors import KeysError
from manager.config.bot_environment import env_file_values, wrong_forms
from manager.config.exchanges import EXCHANGES
from manager.config.fleet import Fleet
from manager.errors import Problem
from tests.builders import a_fleet, a_spec


def of_32_bytes() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


GOOD: Mapping[str, Mapping[str, str]] = {
    "backpack": {"BACKPACK_KEY": of_32_bytes(), "BACKPACK_SECRET": of_32_bytes()},
    "aster": {"ASTER_PRIVATE_KEY": secrets.token_hex(32), "ASTER_SIGNER_ADDRESS": "0x" + "aB" * 20},
    "paradex": {"PARADEX_WALLET_ADDRESS": "0x" + "0" * 40, "PARADEX_PRIVATE_KEY": "0x" + "1f" * 32},
    "lighter": {
        "LIGHTER_PRIVATE_KEY": "0x" + "1f" * 40,
        "LIGHTER_ACCOUNT_INDEX": "281474976710654",
        "LIGHTER_API_KEY_INDEX": "0",
    },
    "apex": {
        "APEX_KEY": "a-b-c",
        "APEX_SECRET": "any-thing_1",
        "APEX_PASSPHRASE": "two words",
        "APEX_SEEDS": "0x" + "ab" * 65,
        "APEX_ACCOUNT_ID": "123456789012345678",
    },
}
BAD = [
    ("backpack", "BACKPACK_SECRET", "not-base64-at-all-not-base64-at-all-not-base"),
    ("backpack", "BACKPACK_SECRET", base64.b64encode(bytes(31)).decode()),
    ("backpack", "BACKPACK_SECRET", base64.b64encode(bytes(33)).decode()),
    ("backpack", "BACKPACK_SECRET", base64.b64encode(bytes(32)).decode().rstrip("=")),
    ("backpack", "BACKPACK_SECRET", "-_" + "A" * 41 + "="),
    ("backpack", "BACKPACK_KEY", "0123456789abcdef"),
    ("aster", "ASTER_PRIVATE_KEY", "ab" * 31),
    ("aster", "ASTER_PRIVATE_KEY", "zz" * 32),
    ("aster", "ASTER_SIGNER_ADDRESS", "ab" * 20),
    ("paradex", "PARADEX_PRIVATE_KEY", "0x" + "ab" * 33),
    ("paradex", "PARADEX_WALLET_ADDRESS", "me"),
    ("lighter", "LIGHTER_PRIVATE_KEY", "ab" * 32),
    ("lighter", "LIGHTER_ACCOUNT_INDEX", "one"),
    ("lighter", "LIGHTER_API_KEY_INDEX", "-1"),
    ("lighter", "LIGHTER_API_KEY_INDEX", "255"),
    ("apex", "APEX_SEEDS", "zz-no-hex"),
    ("apex", "APEX_SEEDS", "0xabc"),
]


def problems(exchange: str, variables: Mapping[str, str], fleet: Fleet | None = None) -> list[Problem]:
    names = {name.partition("_")[2].lower(): f"${{{name}}}" for name in variables}
    spec = a_spec("a", mode="live", metadata={"exchange": exchange}, exchange_config=names)
    spec = spec._replace(
        variables=tuple(variable for variable in spec.variables if variable.name in variables), literals={}
    )
    return list(wrong_forms([spec], fleet or a_fleet(), variables))


@pytest.mark.parametrize("exchange", GOOD)
def test_credentials_of_the_exchanges_own_form_pass(exchange: str) -> None:
    assert problems(exchange, GOOD[exchange]) == []
    venues.require_usable(exchange, GOOD[exchange])


def test_a_seed_with_its_public_key_behind_it_passes() -> None:
    both = {**GOOD["backpack"], "BACKPACK_SECRET": base64.b64encode(bytes(64)).decode()}
    assert problems("backpack", both) == []
    venues.require_usable("backpack", both)


@pytest.mark.parametrize(("exchange", "name", "value"), BAD)
def test_one_of_another_form_is_named_before_live_and_never_shown(
    exchange: str, name: str, value: str
) -> None:
    given = {**GOOD[exchange], name: value}
    [problem] = problems(exchange, given)
    assert f"the value of {name} is not " in str(problem)
    assert "nothing can be signed with it" in str(problem)
    assert value not in str(problem)
    with pytest.raises(KeysError) as failure:
        venues.require_usable(exchange, given)
    assert f"{name} is not " in str(failure.value)
    assert value not in str(failure.value)


def test_a_second_accounts_variable_is_named_as_it_is_in_the_file() -> None:
    spec = a_spec("a", mode="live", exchange_config={"api_key": "${BP2_KEY}", "secret_key": "${BP2_SECRET}"})
    given = {"BP2_KEY": of_32_bytes(), "BP2_SECRET": "cutoff"}
    [problem] = wrong_forms([spec], a_fleet(config_variables=("BP2_*",)), given)
    assert "the value of BP2_SECRET is not 32 or 64 bytes in base64" in str(problem)


@pytest.mark.parametrize("name", ["ASTER_SECRET", "ASTER_SECRET_KEY", "AS2_SECRET"])
def test_an_old_api_keys_secret_is_not_taken_for_a_wallets_key(name: str) -> None:
    """Both are 64 hexadecimal digits, and an order that is signed with the wrong one is a stranger's."""
    spec = a_spec(
        "a", mode="live", metadata={"exchange": "aster"}, exchange_config={"secret_key": f"${{{name}}}"}
    )
    fleet, secret = a_fleet(config_variables=("AS2_*",)), secrets.token_hex(32)
    [problem] = wrong_forms([spec], fleet, {name: secret})
    assert f"the value of {name} may be a wallet's private key, or an API key's secret" in str(problem)
    assert secret not in str(problem)
    given = env_file_values(spec, fleet, {}, {name: secret})
    with pytest.raises(KeysError, match="may be a wallet's private key, or an API key's secret"):
        venues.credentials("aster", given)
    wallet = {name: f"0x{secret}"}
    assert list(wrong_forms([spec], fleet, wallet)) == []
    assert venues.credentials("aster", env_file_values(spec, fleet, {}, wallet)) == {
        "privateKey": f"0x{secret}"
    }


def test_of_several_names_only_the_one_that_is_used_counts() -> None:
    both = {**GOOD["aster"], "ASTER_SECRET": "anotherkind"}
    assert problems("aster", both) == []


@pytest.mark.parametrize("exchange", VENUES)
def test_a_credential_that_the_config_does_not_name_is_missed_before_the_bot_ends(exchange: str) -> None:
    spec = a_spec("a", mode="live", metadata={"exchange": exchange})._replace(variables=())
    told = [str(problem) for problem in wrong_forms([spec], a_fleet(), {})]
    with pytest.raises(KeysError) as failure:
        venues.credentials(exchange, {})
    needed = [names[0] for names in VENUES[exchange].keys.values()]
    assert len(told) == len(needed)
    for name, text in zip(sorted(needed), sorted(told), strict=True):
        assert f"needs {name}; write " in text
        assert f'"${{{name}}}" there' in text
        assert name in str(failure.value)
    passed_on = dict.fromkeys(needed, "1")
    left = wrong_forms([spec], a_fleet(variables=("*",)), passed_on)
    assert not any("needs" in str(problem) for problem in left)
    named = spec._replace(literals={name: f"${{{name}}}" for name in needed})
    assert list(wrong_forms([named], a_fleet(), {})) == [], "that they are not set is a problem of its own"


def test_a_bot_of_ones_own_may_have_other_keys() -> None:
    given = {"BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}
    assert len(problems("backpack", given)) == 2
    assert problems("backpack", given, a_fleet(bot_dir="my-bot")) == []


def test_on_paper_nothing_is_said() -> None:
    assert list(wrong_forms([a_spec("a")], a_fleet(), {"BACKPACK_SECRET": "s"})) == []


def test_manager_and_bot_know_the_same_forms() -> None:
    for exchange, venue in VENUES.items():
        names = {**venue.keys, **venue.optional}
        of_bot = of_the_bot.FORMS[exchange]
        by_name = {
            names[credential][0].removeprefix(f"{exchange.upper()}_"): form
            for credential, form in of_bot.items()
        }
        assert by_name == dict(EXCHANGES[exchange].forms)
        assert {group[0] for group in EXCHANGES[exchange].credentials} >= by_name.keys()
