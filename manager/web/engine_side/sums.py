"""Sum up what the answers tell: P&L of the present runs with its parts, of all runs, of today. Pure.

The answers are kept from look to look, so that nothing is computed anew for a bot that has not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from manager.config.fleet import Fleet
from manager.monitor.history import money as rates
from manager.monitor.history.curve import Currency
from manager.typed import NamedTuple
from manager.web.engine_side.figures import Figures, InstanceFigures

ZERO = Decimal(0)
PARTS = ("realized", "unrealized", "fees")

Answer = Mapping[str, Any]
Today = tuple[Mapping[Currency, Decimal], set[Currency]]
"""What was earned today, and the currencies of which a part is uncertain."""


class RunSum(NamedTuple):
    """Hold the P&L of one kind and currency; None for a part that one of its bots does not report."""

    pnl: Decimal = ZERO
    realized: Decimal | None = ZERO
    unrealized: Decimal | None = ZERO
    fees: Decimal | None = ZERO

    def plus(self, answer: Answer) -> RunSum:
        """Return it with an instance added."""
        parts = {part: _plus(getattr(self, part), answer[part]) for part in PARTS}
        return RunSum(self.pnl + Decimal(answer["pnl"]), **parts)


NO_RUN = {"run": None, **dict.fromkeys(PARTS)}


def sums(answers: Sequence[Answer], figures: Figures, fleet: Fleet) -> dict[str, Any]:
    """Return the P&L of each kind and currency: of the bots' runs, of all there were, and of today.

    None is added to another, but at the rates of `[sums]`. What was moved to another machine counts there.
    """
    removed = _removed(answers, figures)
    here = [answer for answer in answers if answer["moved_to"] is None]
    runs, today = of_runs(here), _today(here, removed)
    return {
        "pnl": _pnl(runs, _in_all(here, removed), today),
        "totals": _totals(runs, today, figures, fleet),
    }


def _pnl(
    runs: Mapping[Currency, RunSum], in_all: Mapping[Currency, Decimal], of_today: Today
) -> list[dict[str, Any]]:
    today, uncertain = of_today
    return [
        {
            "kind": kind,
            "quote": quote,
            "in_all": _exact(in_all.get((kind, quote))),
            "today": _exact(today.get((kind, quote))),
            "is_uncertain": (kind, quote) in uncertain,
            **(_run_object(runs[kind, quote]) if (kind, quote) in runs else NO_RUN),
        }
        for kind, quote in sorted(
            {*runs, *in_all, *today}, key=lambda currency: (currency[0] != "live", *currency)
        )
    ]


def _totals(
    run_sums: Mapping[Currency, RunSum], of_today: Today, figures: Figures, fleet: Fleet
) -> list[dict[str, Any]]:
    """Return the sums in the currency of `[sums]`, where that is set: live and paper apart."""
    runs = {key: run.pnl for key, run in run_sums.items()}
    today, _uncertain = of_today
    totals = []
    for kind in ("live", "paper"):
        of_run, of_day = (
            rates.total(
                ((quote, amount) for (of, quote), amount in amounts.items() if of == kind), fleet.sums
            )
            for amounts in (runs, today)
        )
        if of_run is None or of_day is None or not any(of == kind for of, _quote in {*runs, *today}):
            continue
        totals.append(
            {
                "kind": kind,
                "currency": of_run.currency,
                "run": _exact(of_run.amount),
                "today": _exact(of_day.amount) if figures.at is not None else None,
                "missing": sorted({*of_run.missing, *of_day.missing}),
            }
        )
    return totals


def of_runs(answers: Iterable[Answer]) -> dict[Currency, RunSum]:
    """Return the sums of the present runs, as `stats` sums them up: without a bot whose mode is in doubt."""
    sums: dict[Currency, RunSum] = {}
    for answer in answers:
        if answer["pnl"] is None or answer["quote"] is None or answer["mode_mismatch"] is not None:
            continue
        kind = (answer["market"] if answer["is_artificial"] else answer["mode"]) or ""
        key = (kind, answer["quote"])
        sums[key] = sums.get(key, RunSum()).plus(answer)
    return dict(sorted(sums.items()))


def _run_object(run: RunSum) -> dict[str, str | None]:
    return {"run": _exact(run.pnl), **{part: _exact(getattr(run, part)) for part in PARTS}}


def _in_all(answers: Iterable[Answer], gone: Iterable[InstanceFigures]) -> Mapping[Currency, Decimal]:
    """Return what all runs of all instances have earned, also of those that are stopped or removed."""
    sums: dict[Currency, Decimal] = {}
    for answer in answers:
        for part in answer["in_all"]:
            _add(sums, (part["kind"], part["quote"]), Decimal(part["pnl"]))
    for removed in gone:
        for key, amount in removed.in_all.items():
            _add(sums, key, amount)
    return sums


def _today(answers: Iterable[Answer], gone: Iterable[InstanceFigures]) -> Today:
    sums: dict[Currency, Decimal] = {}
    uncertain: set[Currency] = set()
    for key, amount, is_uncertain in _parts_of_today(answers, gone):
        _add(sums, key, amount)
        if is_uncertain:
            uncertain.add(key)
    return sums, uncertain


def _parts_of_today(
    answers: Iterable[Answer], gone: Iterable[InstanceFigures]
) -> Iterator[tuple[Currency, Decimal, bool]]:
    for answer in answers:
        for part in answer["today"]:
            if part["quote"] is not None:
                yield (part["kind"], part["quote"]), Decimal(part["pnl"]), part["is_uncertain"]
    for removed in gone:
        for line in removed.lines:
            if line.today is not None and line.quote is not None:
                yield (line.kind, line.quote), line.today, line.is_uncertain


def _removed(answers: Sequence[Answer], figures: Figures) -> list[InstanceFigures]:
    """Return the figures of the instances that are gone."""
    present = {answer["id"] for answer in answers}
    return [removed for instance, removed in figures.instances.items() if instance not in present]


def _add(sums: dict[Currency, Decimal], key: Currency, amount: Decimal) -> None:
    sums[key] = sums.get(key, ZERO) + amount


def _plus(before: Decimal | None, more: str | None) -> Decimal | None:
    return None if before is None or more is None else before + Decimal(more)


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
