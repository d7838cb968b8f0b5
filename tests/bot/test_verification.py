"""A live run begins only where the exchange's answers are known, or what is not known is accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import verification
from gridbot.exchanges.venues import VENUES
from gridbot.model.errors import ConfigError
from tests.bot.bots import GRID
from tests.bot.test_kits import KITS

LIVE = {"TRADING_MODE": "live", "DB_PATH": "-"}


def settings_of(exchange: str, *, perp: bool = True) -> Settings:
    return replace(args.parse(GRID, LIVE), exchange=exchange, perp=perp)


def test_a_kit_is_called_green_only_where_there_is_one_that_runs() -> None:
    green = {
        (exchange, kind == "perp")
        for exchange, kinds in verification.table().items()
        for kind, known in kinds.items()
        if known["kit"]
    }
    assert green == {(kit.name, kit.perp) for kit in KITS}


def test_each_exchange_of_the_bot_has_a_kit_and_an_entry() -> None:
    assert set(verification.table()) == {kit.name for kit in KITS} == set(VENUES)


@pytest.mark.parametrize("perp", [True, False])
def test_backpack_is_verified(perp: bool) -> None:
    verification.require_verified(settings_of("backpack", perp=perp), {})


@pytest.mark.parametrize("exchange", ["aster", "paradex", "lighter", "apex"])
def test_what_is_unverified_is_named_until_it_is_accepted(exchange: str) -> None:
    settings = settings_of(exchange)
    for env, line in (({}, exchange), ({verification.CONSENT: "backpack"}, f"backpack,{exchange}")):
        with pytest.raises(ConfigError, match=f"{exchange} perp is refused: .*unverified;.*={line} "):
            verification.require_verified(settings, env)
    for accepted in (exchange, f"apex, {exchange}", "1", "true"):
        verification.require_verified(settings, {verification.CONSENT: accepted})
    verification.require_verified(replace(settings, live=False), {})


@pytest.mark.parametrize("exchange", ["paradex", "lighter", "apex"])
def test_a_market_without_a_kit_is_refused_whatever_is_accepted(exchange: str) -> None:
    with pytest.raises(ConfigError, match=f"{exchange} spot is refused: its conformance kit is not green"):
        verification.require_verified(settings_of(exchange, perp=False), {verification.CONSENT: "1"})
