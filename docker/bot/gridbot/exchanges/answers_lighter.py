"""Read lighter's answers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from gridbot.exchanges.answers import Answers, Listed, Page, Raw, info_of
from gridbot.exchanges.values import decimal, identity, may_name, number, product, text
from gridbot.model.types import Side


class Lighter(Answers):
    """Read lighter's: a trade names both sides by account, order and client id.

    Its pages begin with the newest execution, and each names the next one.
    """

    causes = MappingProxyType(
        {
            "20013": "unauthorized",
            "21706": "below_minimum",
            "21739": "insufficient_funds",
        }
    )

    # A client id that is taken, by ccxt 4.5.90's table of errors; and unverified: an internal error.
    unknown_outcomes = ("21728", "29500")

    lists = MappingProxyType(
        {
            "fetch_open_orders": ("orders",),
            "fetch_closed_orders": ("orders",),
            "fetch_my_trades": ("trades",),
        }
    )
    market_key = "market_id"
    filled_key = "filled_base_amount"
    end_key = "status"
    # What the account paid as a maker at last.
    _paid_rate: Decimal | None = None
    # The statuses of an order: openapi.json of github.com/elliottech/lighter-python at commit 051d1ba.
    late_refusals = MappingProxyType(
        {
            "canceled-margin": "insufficient_funds",
            "canceled-invalid-balance": "insufficient_funds",
            "canceled-position": "other",
            "canceled-reduce-only": "other",
        }
    )

    def is_used_nonce(self, message: str) -> bool:
        # Unverified. Another bot signs with the same API key, for another market.
        return "invalid nonce" in message.lower()

    def rows(self, method: str, answer: Any) -> list[Any] | None:
        if method != "fetch_positions":
            return super().rows(method, answer)
        positions = self.own_account(answer).get("positions")
        return positions if isinstance(positions, list) else None

    def _market_name(self, row: Raw) -> str | None:
        # 0 is one, too; orders have an index.
        names = [row.get(key) for key in (self.market_key, "market_index")]
        return next((name for name in map(text, filter(may_name, names)) if name), None)

    def own_account(self, answer: Any) -> Raw:
        """Return this account's part of an answer, an empty one where it has none.

        One wallet may have several, each with funds and positions of its own.
        """
        listed = answer.get("accounts") if isinstance(answer, Mapping) else None
        accounts = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
        if len(accounts) > 1:
            accounts = [one for one in accounts if text(one.get("index")) == self._account]
        return accounts[0] if len(accounts) == 1 else {}

    def position(self, raw: Raw) -> Decimal | None:
        info = info_of(raw)
        size, sign = decimal(info.get("position")), decimal(info.get("sign"))
        if not size:
            return size
        return None if sign is None or abs(sign) != 1 else size * sign

    def next_history(self, answer: Raw) -> dict[str, Any] | None:
        cursor = text(answer.get("next_cursor"))
        return None if cursor is None else {"cursor": cursor}

    def next_page(self, page: Page, listed: Listed) -> Page | None:
        cursor = text(listed.answer.get("next_cursor"))
        # Older ones than were asked for are not among these.
        return Page(page.since, {"cursor": cursor}) if cursor and listed.trades else None

    def _side(self, raw: Raw) -> Side:
        info = info_of(raw)
        accounts = {Side.SELL: text(info.get("ask_account_id")), Side.BUY: text(info.get("bid_account_id"))}
        own = [side for side, account in accounts.items() if account is not None and account == self._account]
        return own[0] if len(own) == 1 else super()._side(raw)

    def _order_id(self, raw: Raw, side: Side) -> str | None:
        key = "ask_id" if side is Side.SELL else "bid_id"
        return identity(info_of(raw).get(key)) or super()._order_id(raw, side)

    def _client_id(self, raw: Raw, side: Side) -> int | None:
        key = "ask_client_id" if side is Side.SELL else "bid_client_id"
        return number(info_of(raw).get(key))

    def _fee(self, raw: Raw) -> tuple[Decimal | None, str | None]:
        info = info_of(raw)
        millionths = decimal(info.get("maker_fee" if self._is_maker(raw) else "taker_fee"))
        price, qty = decimal(raw.get("price")), decimal(raw.get("amount"))
        # Unverified: its SDK names no unit; ccxt gives its own fee in millionths.
        rate = product(millionths, Decimal("1e-6"))
        if rate is not None and self._is_maker(raw):
            self._paid_rate = rate
        return product(price, qty, rate), None

    def _maker_rate(self, market: Raw) -> Decimal | None:
        # The market says what standard accounts pay, nothing; its executions what this one does.
        return super()._maker_rate(market) if self._paid_rate is None else self._paid_rate

    def _is_maker(self, raw: Raw) -> bool:
        maker_sells = info_of(raw).get("is_maker_ask")
        if maker_sells in (None, ""):
            return super()._is_maker(raw)
        return bool(maker_sells) == (self._side(raw) is Side.SELL)
