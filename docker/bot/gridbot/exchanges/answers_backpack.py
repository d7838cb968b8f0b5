"""Read backpack's answers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.exchanges.answers import Answers, Listed, Page, Raw, info_of
from gridbot.exchanges.payments import payment_of
from gridbot.exchanges.values import decimal, identity
from gridbot.model.types import Funding, Side


class Backpack(Answers):
    """Read backpack's: its position is a signed quantity, and its pages are told apart by an offset."""

    # support.backpack.exchange, "Backpack VIP Program", a copy read 2026-11-30: the first tier's fees.
    usual_maker_fee = Decimal("0.0002")
    spot_maker_fee = Decimal("0.0008")
    filled_key = "executedQuantity"

    def next_page(self, page: Page, listed: Listed) -> Page | None:
        if not self.is_full(listed.trades):
            return None
        return Page(page.since, {"offset": page.params.get("offset", 0) + len(listed.trades)})

    def payment(self, raw: Raw, market: Raw) -> Funding | None:
        # ccxt takes the user's id for the payment's, and the store would have them for one.
        payment = payment_of(raw, market, None)
        former = identity(raw.get("id"))
        return payment and replace(payment, former_id=former)

    def position(self, raw: Raw) -> Decimal | None:
        net = decimal(info_of(raw).get("netQuantity"))
        return super().position(raw) if net is None else net

    def _order_id(self, raw: Raw, side: Side) -> str | None:
        # ccxt takes an execution without a fee for a public one, and reads neither order nor time.
        return super()._order_id(raw, side) or identity(info_of(raw).get("orderId"))

    def _maker_rate(self, market: Raw) -> Decimal | None:
        known = decimal(market.get("maker"))
        if known is not None or market.get("contract"):
            return super()._maker_rate(market)
        return self.spot_maker_fee
