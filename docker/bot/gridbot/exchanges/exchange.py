"""Define the interface of an exchange, simulated or real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from gridbot.model.types import (
    ExchangeOrder,
    Fill,
    Funding,
    Market,
    Order,
    UnreadableFill,
    UnreadableOrder,
)


class Exchange(Protocol):
    """Trade on one market of one account.

    Every call may raise `UnreachableError` (no clear answer) or `RejectedError` (refused). `name` says where
    prices come from: `live`, `synthetic` or `replay`. An order that was sent and that neither the open orders
    nor the history know after `settle_s` seconds was never accepted and never will be.
    `price_is_firm`: `price()` is no single trade's price, and a run may end by one look at it. One that has
    `price_answer` keeps there what `price()` was read from.
    `most_in_batch`: how many orders one `cancel_batch` takes, 1 where the exchange has no such call.
    `has_cancel_all`: `cancel_all` may be called. `clock_ahead`: by how many seconds this machine's clock is
    ahead of the exchange's, as far as that was measured; 0 where it is not.
    """

    name: str
    price_is_firm: bool
    settle_s: float
    clock_ahead: float
    max_client_id: int
    most_in_batch: int
    has_cancel_all: bool

    def market(self) -> Market:
        """Return the rules of the run's market."""

    def price(self) -> Decimal:
        """Return the current price."""

    def mark_price(self) -> Decimal | None:
        """Return the price that no single trade moves, mark or middle of the book; None without one."""

    def funding(self, since: float) -> list[Funding] | None:
        """Return the account's funding payments on this market from `since` on, None where unknown."""

    def place(self, order: Order) -> str | None:
        """Send `order` and return the exchange's id of it, None where only the open orders will tell.

        After UnreachableError the order may exist too, as after an answer about another order.
        """

    def cancel(self, order: Order) -> None:
        """Cancel an open order, by its client id where that alone is known. One that is no longer open is no
        error.

        After RejectedError it may rest.
        """

    def cancel_batch(self, orders: Sequence[Order]) -> None:
        """Cancel these orders, by their ids, with one call. Those that are no longer open are no error."""

    def cancel_all(self) -> None:
        """Cancel every open order of the account on this market, whichever program has placed it."""

    def cancel_all_after(self, seconds: int) -> None:
        """Schedule cancelling all orders of the account in `seconds`, unless called again; 0 ends that."""

    def open_orders(self) -> Sequence[ExchangeOrder | UnreadableOrder]:
        """Return all open orders of the account on this market, of other programs too."""

    def find(self, orders: Sequence[Order]) -> Iterator[tuple[Order, ExchangeOrder | UnreadableOrder | None]]:
        """Yield each of `orders` with its state in the history, None for one the exchange doesn't know.

        Where a row that cannot be read may be that order's, the row is yielded: then nothing is known.
        Results that precede a failing call are yielded before it raises.
        """

    def fills(self, since: float) -> Sequence[Fill | UnreadableFill]:
        """Return the account's executions on this market from `since` (seconds since the epoch) on."""

    def channels(self, most: int) -> list[Exchange]:
        """Return up to `most` clients of this account, this one first, that may be called in parallel."""

    def shorten_timeouts(self) -> None:
        """Use short timeouts from now on."""

    def slow_down(self) -> None:
        """Leave more time between two calls from now on, because the exchange has refused some."""

    def position(self) -> Decimal | None:
        """Return the account's position on a perpetual, None where the exchange has no such figure."""

    def holdings(self) -> Decimal | None:
        """Return what the account holds of a spot market's base currency, what its orders bind included.

        None on a perpetual, and on paper.
        """

    def lent(self) -> Decimal | None:
        """Return how much of it the account has lent beside that, None where that is not known."""


class ClosingExchange(Exchange, Protocol):
    """Represent an exchange where every order is filled at once, as far as the book allows, or cancelled."""

    def held(self) -> Decimal:
        """Return what the account holds of a spot market's base currency and can sell."""
