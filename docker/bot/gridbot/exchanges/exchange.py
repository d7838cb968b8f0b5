"""What the loop asks of an exchange, paper or real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from gridbot.model.types import ExchangeOrder, Fill, Market, Order


class Exchange(Protocol):
    """Every call may raise `UnreachableError` (no clear answer) or `RejectedError` (a definite no).

    `name` says where prices come from: `live`, `synthetic` or `replay`. An order that was sent and that
    neither the open orders nor the history know after `settle_s` seconds was never accepted and never will
    be.
    """

    name: str
    settle_s: float
    max_client_id: int

    def market(self) -> Market:
        """The rules of the run's market."""

    def price(self) -> Decimal:
        """The current price."""

    def place(self, order: Order) -> str:
        """Send `order`; the exchange's id for it. After UnreachableError it may exist all the same."""

    def cancel(self, order: Order) -> None:
        """Ask for the cancellation of an open order. An order that is already gone is no error."""

    def open_orders(self) -> list[ExchangeOrder]:
        """All open orders of the account on this market, also those of others."""

    def find(self, orders: Sequence[Order]) -> Iterator[tuple[Order, ExchangeOrder | None]]:
        """Each of `orders` as the history has it; None for one that the exchange doesn't know.

        What was found before a call failed has been yielded by then.
        """

    def fills(self, since: float) -> list[Fill]:
        """The account's executions on this market from `since` (seconds since the epoch) on."""

    def channels(self, most: int) -> list[Exchange]:
        """Up to `most` exchanges to this account, this one first, that may be called at the same time."""

    def hurry(self) -> None:
        """From now on, rather give a call up early than wait for it long."""

    def position(self) -> Decimal | None:
        """The account's position on a perpetual, None where there is none to ask for."""
