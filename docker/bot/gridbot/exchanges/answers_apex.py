"""Read apex's answers."""

from __future__ import annotations

import re
from decimal import Decimal
from types import MappingProxyType

from gridbot.exchanges.answers import Answers, Listed, Page, Raw, info_of
from gridbot.exchanges.values import decimal, identity, signed
from gridbot.model.types import Side

STATUS = re.compile(r'"code": ?"?(429|5\d\d)\b')


class Apex(Answers):
    """Read apex's: ccxt leaves out fills, orders and fees, and takes the smallest order for a contract.

    Its market has the two fees the other way round: `parse_market` of ccxt 4.5.90 says 0.0005 of a maker and
    0.0002 of a taker, `create_order` there 0.0002 and 0.0005.
    """

    # apex.exchange, blog of 2024-07-18, "Fee Structure Updates": "5 bps for taker and 2 bps for maker". An
    # execution of 2025-11-07 as a taker, in ccxt's recorded answers, paid 4.75 bps: that less a discount.
    usual_maker_fee = Decimal("0.0002")
    usual_taker_fee = Decimal("0.0005")
    causes = MappingProxyType(
        {
            "apikey sign error": "unauthorized",
            "20006": "unauthorized",  # its code, by ccxt 4.5.90's table of errors
            "ORDER_POSSIBLE_LEAD_TO_ACCOUNT_LIQUIDATED": "insufficient_funds",
        }
    )

    lists = MappingProxyType(
        {
            "fetch_open_orders": ("data",),
            "fetch_orders": ("data", "orders"),
            "fetch_my_trades": ("data", "orders"),
            "fetch_positions": ("data", "positions"),
            "fetch_funding_history": ("data", "fundingValues"),
        }
    )
    most_on_page = 100

    def own_status(self, message: str) -> int | None:
        # Unverified. Its refusals have small numbers, such as 3; a status of HTTP may come with a 200.
        code = STATUS.search(message)
        return int(code[1]) if code else None

    def next_page(self, page: Page, listed: Listed) -> Page | None:
        data = listed.answer.get("data") or {}
        rows = data.get("orders") or data.get("fundingValues") or []
        if not self.is_full(rows):
            return None
        return Page(page.since, {"page": page.params.get("page", 0) + 1})

    def max_held(self, market: Raw) -> Decimal | None:
        # Unverified: known from ccxt's recorded answers.
        return decimal(info_of(market).get("maxPositionSize"))

    def position(self, raw: Raw) -> Decimal | None:
        info = info_of(raw)
        return signed(decimal(info.get("size")), info.get("side"))

    def _is_open(self, raw: Raw) -> bool:
        # ccxt takes an order that is being cancelled for a cancelled one, and it may still be filled.
        return info_of(raw).get("status") == "CANCELING" or super()._is_open(raw)

    def _filled(self, raw: Raw) -> Decimal | None:
        info = info_of(raw)
        matched, settled = (decimal(info.get(key)) for key in ("cumMatchFillSize", "cumSuccessFillSize"))
        size = decimal(info.get("size"))
        if info.get("status") == "FILLED" and not (matched or settled):
            return size
        if matched is None:  # what is settled is matched, but not the other way round
            return settled if settled == size else None
        return max(matched, settled or matched)

    def _maker_rate(self, market: Raw) -> Decimal | None:  # noqa: ARG002
        return self.usual_maker_fee

    def _taker_rate(self, market: Raw) -> Decimal | None:  # noqa: ARG002
        return self.usual_taker_fee

    def _order_id(self, raw: Raw, side: Side) -> str | None:  # noqa: ARG002
        return identity(info_of(raw).get("orderId"))

    def _fee(self, raw: Raw) -> tuple[Decimal | None, str | None]:
        return decimal(info_of(raw).get("fee")), None

    def _is_maker(self, raw: Raw) -> bool:
        return info_of(raw).get("direction") == "MAKER"
