"""Whether two bots trade one market on one account: what cannot be read may be the same."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from manager.config import bot_environment
from manager.config.bot_environment import LiveContainer, account_in, find_shared_account, is_same
from tests.builders import a_fleet, a_spec

KEYS = {"BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}
MORE = {**KEYS, "BACKPACK_PASSPHRASE": "p"}
OTHERS = {"BACKPACK_KEY": "another", "BACKPACK_SECRET": "one"}


def trading(
    values: Mapping[str, str] | None, exchange: str = "backpack", symbol: str = "SOL_USDC_PERP"
) -> LiveContainer:
    return LiveContainer("b", "desk-b", exchange, symbol, values)


@pytest.mark.parametrize(
    ("theirs", "is_it"),
    [
        (trading(KEYS), True),
        (trading(KEYS, "Backpack"), True),
        (trading(KEYS, symbol="sol_usdc_perp"), True),
        (trading(KEYS, "aster"), False),
        (trading(KEYS, symbol="ETH_USDC_PERP"), False),
        (trading(OTHERS), False),
        (trading(MORE), True),
        (trading({"BACKPACK_KEY": "k"}), True),
        (trading({"NOTE": "k"}), False),
        (trading(None), True),
        (trading(None, "aster"), False),
    ],
)
def test_one_market_and_credentials_of_which_one_has_all_of_the_others(
    theirs: LiveContainer, is_it: bool
) -> None:
    mine = account_in(trading(KEYS))
    assert is_same(mine, account_in(theirs)) is is_it
    assert is_same(account_in(theirs), mine) is is_it
    fleet = a_fleet()
    for values in (KEYS, None) if is_it else (KEYS,):
        shared = find_shared_account("backpack", "SOL_USDC_PERP", values, [theirs], fleet)
        assert (shared is theirs) is is_it
    assert find_shared_account("BACKPACK", "sol_usdc_perp", KEYS, [trading(KEYS)], fleet) is not None
    assert find_shared_account("backpack", "SOL_USDC_PERP", None, [trading(OTHERS)], fleet) is not None
    assert find_shared_account("aster", "SOL_USDC_PERP", None, [trading(OTHERS)], fleet) is None


@pytest.mark.parametrize(
    ("other", "is_problem"),
    [
        (trading(KEYS, "Backpack"), True),
        (trading(KEYS, symbol="sol_usdc_perp"), True),
        (trading(None), True),
        (trading(OTHERS), False),
        (trading(KEYS, symbol="ETH_USDC_PERP"), False),
    ],
)
def test_a_running_container_keeps_its_account_however_it_is_written(
    other: LiveContainer, is_problem: bool
) -> None:
    spec = a_spec(mode="live")
    problems = list(bot_environment.conflicts_with_running([spec], [other], a_fleet(), KEYS))
    assert bool(problems) is is_problem


PRIVATE = "ab" * 31 + "C1"


@pytest.mark.parametrize(
    ("exchange", "one", "other", "is_it"),
    [
        ("aster", {"ASTER_PRIVATE_KEY": PRIVATE}, {"ASTER_SECRET": f"0x{PRIVATE.upper()}"}, True),
        ("aster", {"ASTER_PRIVATE_KEY": PRIVATE}, {"ASTER_PRIVATE_KEY": PRIVATE[:-1] + "2"}, False),
        (
            "lighter",
            {"LIGHTER_PRIVATE_KEY": PRIVATE, "LIGHTER_API_KEY_INDEX": "3"},
            {"LIGHTER_PRIVATE_KEY": f"0x{PRIVATE}", "LIGHTER_API_KEY_INDEX": "003"},
            True,
        ),
        ("backpack", {"BACKPACK_KEY": "Ab", "BACKPACK_SECRET": "s"}, {"BACKPACK_KEY": "aB"}, False),
    ],
)
def test_one_credential_is_the_same_however_it_is_written(
    exchange: str, one: dict[str, str], other: dict[str, str], *, is_it: bool
) -> None:
    first, second = (trading(values, exchange, "BTCUSDT") for values in (one, other))
    assert is_same(account_in(first), account_in(second)) is is_it
    raw = frozenset(one.values())
    earlier = account_in(first)._replace(credentials=raw, given=raw)
    assert is_same(account_in(first), earlier), "as a machine with an earlier version tells it"
