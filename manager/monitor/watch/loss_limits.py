"""Decide which daily loss limits (`[limits]`) are exceeded, and what then has to be halted. Pure.

Only live trading counts, by what the bots report of this day, open positions included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from manager.config.fleet import Fleet
from manager.fleet.amounts import money
from manager.i18n import Text
from manager.monitor.history import money as rates
from manager.monitor.history.curve import Day
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.typed import NamedTuple

Today = Mapping[str, Sequence[Day]]


class Breach(NamedTuple):
    """Hold an exceeded limit. `instances`: those of the account; None for the whole fleet."""

    condition: Condition
    day: str
    instances: tuple[str, ...] | None

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what is told and halted once."""
        return self.condition.subject, self.condition.kind, self.day


def breaches(fleet: Fleet, today: Today, day: str, accounts: Sequence[Sequence[str]]) -> list[Breach]:
    """Return the exceeded limits. `accounts`: the live instances that share credentials; others are alone."""
    limits, breaches = fleet.limits, []
    if limits.fleet_daily_loss:
        loss = _loss(fleet, today, today)
        if loss is not None and loss.amount <= -limits.fleet_daily_loss:
            text = Text(
                "the fleet has lost {amount} today, its limit is {limit}{note}",
                amount=_size(loss.amount, loss.currency),
                limit=_size(Decimal(limits.fleet_daily_loss), loss.currency),
                note=_note(fleet, today, today),
            )
            breaches.append(Breach(Condition(MACHINE, "fleet_loss", text, case=day), day, None))
    if limits.account_daily_loss:
        grouped = {instance for account in accounts for instance in account}
        alone = [(instance,) for instance in sorted(today) if instance not in grouped]
        for account in [*accounts, *alone]:
            loss = _loss(fleet, today, account)
            if loss is None or loss.amount > -limits.account_daily_loss:
                continue
            text = Text(
                "the account of {ids} has lost {amount} today, its limit is {limit}{note}",
                ids=", ".join(account),
                amount=_size(loss.amount, loss.currency),
                limit=_size(Decimal(limits.account_daily_loss), loss.currency),
                note=_note(fleet, today, account),
            )
            condition = Condition(account[0], "account_loss", text, case=day)
            breaches.append(Breach(condition, day, tuple(account)))
    return breaches


def is_set(fleet: Fleet) -> bool:
    """Return whether there is any limit."""
    return bool(fleet.limits.fleet_daily_loss or fleet.limits.account_daily_loss)


def blind(why: str) -> Condition:
    """Return the condition that today's losses are unknown."""
    text = Text("the daily loss limits are not watched: {why}", why=why)
    return Condition(MACHINE, "limits", text, case="blind")


def uncounted(fleet: Fleet, today: Today) -> Condition | None:
    """Return the condition that live bots trade in currencies without a rate, which no limit counts."""
    missing = _without_rate(fleet, _live_days(today, today))
    if not missing:
        return None
    text = Text(
        "the daily loss limits do not count {currencies}: no rate is stated in [sums]",
        currencies=", ".join(missing),
    )
    return Condition(MACHINE, "limits", text, case=", ".join(missing))


def _without_rate(fleet: Fleet, days: Iterable[Day]) -> list[str]:
    return sorted({day.quote for day in days if rates.rate(day.quote, fleet.sums) is None})


def _live_days(today: Today, instances: Iterable[str]) -> list[Day]:
    return [day for instance in instances for day in today.get(instance, ()) if day.kind == "live"]


def _loss(fleet: Fleet, today: Today, instances: Iterable[str]) -> rates.Total | None:
    amounts: list[tuple[str, Decimal]] = [(day.quote, day.pnl) for day in _live_days(today, instances)]
    return rates.total(amounts, fleet.sums)


def _size(amount: Decimal, currency: str) -> str:
    """Return an amount without its sign: `has lost` says it."""
    return money(abs(amount), currency).removeprefix("+")


def _note(fleet: Fleet, today: Today, instances: Iterable[str]) -> Text | str:
    """Return what the figure lacks: currencies without a rate, and times without a sample."""
    days = _live_days(today, instances)
    missing = _without_rate(fleet, days)
    note: Text | str = ""
    if missing:
        note = Text("; without {currencies}: no rate is stated", currencies=", ".join(missing))
    if any(day.is_uncertain or day.gaps for day in days):
        note = Text("{note}; a part of this day, or of the hours before it, is not known", note=note)
    return note
