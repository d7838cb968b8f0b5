"""The bot's own client on served kits: ccxt's own fetch and, where the image has it, its own signing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.config import args
from gridbot.exchanges import venues
from gridbot.exchanges.account_facts import read_facts
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import RejectedError
from gridbot.model.types import Order, Side
from tests.bot.bots import GRID
from tests.bot.kits.paradex import Paradex
from tests.bot.kits.served import ServedKit, ServedParadex


def client(venue: ServedKit, **variables: str) -> CcxtExchange:
    """Return the bot's client of a served kit, with the account's keys unless `variables` are others."""
    name = venue.kit.name
    own = {"backpack": name, "SOL_USDC_PERP": venue.kit.symbol}
    env = {"TRADING_MODE": "live", "DB_PATH": "-", **venue.env, **variables}
    settings = args.parse([own.get(word, word) for word in GRID], env)
    return CcxtExchange(settings, venues.credentials(name, env), env)


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_paradex_takes_what_its_own_key_has_signed(suffix: str) -> None:
    with ServedParadex(Paradex(), "127.0.0.1") as venue:
        exchange = client(venue, PARADEX_API_URL="", PARADEX_BASE_URL=venue.url + suffix)
        facts = read_facts(exchange, exchange.market())
        assert [facts.can_trade, facts.free, facts.leverage] == [True, 10000, 20]
        order = Order(
            5001, "L1", Side.BUY, Decimal(149), Decimal("0.1"), Decimal(0), "new", 0.0, post_only=True
        )
        order = replace(order, exchange_id=exchange.place(order))
        [own] = venue.book.own_open()
        assert [own.id, own.client_id, own.price, own.post_only] == [order.exchange_id, 5001, 149, True]
        venue.read_only = True
        with pytest.raises(RejectedError, match="INVALID_TOKEN"):
            exchange.cancel(order)
        assert read_facts(exchange, exchange.market()).can_trade is False
        venue.read_only = False
        exchange.cancel(order)
        assert venue.book.open_orders() == venue.kit.others


def test_paradex_refuses_a_strangers_key() -> None:
    with ServedParadex(Paradex(), "127.0.0.1") as venue:
        exchange = client(venue, PARADEX_PRIVATE_KEY="0x" + "3" * 64)
        facts = read_facts(exchange, exchange.market())
        assert facts.are_keys_refused
        assert "STARKNET_SIGNATURE_VERIFICATION_FAILED" in facts.refusal
