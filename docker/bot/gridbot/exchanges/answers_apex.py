"""Read apex's answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridbot.exchanges.answers import Answers, Raw, decimal, signed, text
from gridbot.model.types import Side


class Apex(Answers):
    """Read apex's: ccxt leaves out fills, orders and fees, and takes the smallest order for a contract."""

    def _symbol(self, raw: Raw) -> Any:
        # ccxt gives what it can't place the market that was asked for.
        return (raw.get("info") or {}).get("symbol") or raw.get("symbol")

    def position(self, raw: Raw) -> Decimal | None:
        info = raw.get("info") or {}
        return signed(decimal(info.get("size")), info.get("side"))

    def _filled(self, raw: Raw) -> Decimal | None:
        info = raw.get("info") or {}
        sizes = [decimal(info.get(key)) for key in ("cumMatchFillSize", "cumSuccessFillSize")]
        known = [size for size in sizes if size is not None]
        if info.get("status") == "FILLED" and not any(known):
            return decimal(info.get("size"))
        return max(known, default=None)

    def _order_id(self, raw: Raw, side: Side) -> str | None:  # noqa: ARG002
        return text((raw.get("info") or {}).get("orderId"))

    def _fee(self, raw: Raw) -> tuple[Decimal | None, str | None]:
        return decimal((raw.get("info") or {}).get("fee")), None

    def _is_maker(self, raw: Raw) -> bool:
        return (raw.get("info") or {}).get("direction") == "MAKER"
