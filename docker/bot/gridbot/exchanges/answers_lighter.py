"""Read lighter's answers."""

from __future__ import annotations

from gridbot.exchanges.answers import Answers, Raw, number, text
from gridbot.model.types import Side


class Lighter(Answers):
    """Read lighter's: a trade names both sides by account, order and client id, and bears no fee."""

    def _side(self, raw: Raw) -> Side:
        info = raw.get("info") or {}
        accounts = {Side.SELL: text(info.get("ask_account_id")), Side.BUY: text(info.get("bid_account_id"))}
        own = [side for side, account in accounts.items() if account is not None and account == self._account]
        return own[0] if len(own) == 1 else super()._side(raw)

    def _order_id(self, raw: Raw, side: Side) -> str | None:
        key = "ask_id" if side is Side.SELL else "bid_id"
        return text((raw.get("info") or {}).get(key)) or super()._order_id(raw, side)

    def _client_id(self, raw: Raw, side: Side) -> int | None:
        key = "ask_client_id" if side is Side.SELL else "bid_client_id"
        return number((raw.get("info") or {}).get(key))

    def _is_maker(self, raw: Raw) -> bool:
        maker_sells = (raw.get("info") or {}).get("is_maker_ask")
        if maker_sells is None:
            return super()._is_maker(raw)
        return bool(maker_sells) == (self._side(raw) is Side.SELL)
