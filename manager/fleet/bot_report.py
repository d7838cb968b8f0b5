"""Parse what a bot reports of its trading (docker/README.md), and read the copy that its supervisor keeps.

A bot may be slow, broken or hostile: every value is bounded and checked; a missing one is None, never 0.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from manager.fleet import supervisor_state
from manager.fleet.supervisor_state import Condition
from manager.i18n import Text
from manager.typed import Any, NamedTuple
from manager.util import strict_json
from manager.util.kept_content import KeptContent
from manager.util.late_pattern import late_pattern
from manager.util.sanitize import replace_unprintable

MAX_BYTES = 1 << 17
"""Limit for the supervisor's copy, which contains at most 64 KB of the bot's report."""
MAX_NUMBER_LENGTH = 40
MAX_NUMBER = Decimal(10) ** 15
MAX_DECIMALS = 400
"""More than any float has; `1e-999999999`, written out, would exhaust the memory."""
MAX_REASON = 500
CURRENCY = late_pattern(r"[A-Za-z0-9._-]{1,12}")
MARKETS = ("live", "synthetic", "replay")
ORDERS_TOLD_AT = "orders_told_at"
"""The key of the manager's own in a supervisor's copy."""


class Report(NamedTuple):
    """Hold the valid parts of a report. Amounts are exact: P&L in `quote`, the position in `base`."""

    pnl: Decimal | None = None
    quote: str | None = None
    position: Decimal | None = None
    base: str | None = None
    open_orders: int | None = None
    trades: int | None = None
    mode: str | None = None
    tick_age: float | None = None
    """Seconds since its main loop last ran."""
    is_paused: bool = False
    contract: int | None = None
    at: float | None = None
    is_final: bool = False
    condition: Condition | None = None
    reason: str | None = None
    market: str | None = None
    price: Decimal | None = None
    price_at: float | None = None
    """When the price was read."""
    entry_price: Decimal | None = None
    realized: Decimal | None = None
    unrealized: Decimal | None = None
    fees: Decimal | None = None
    funding: Decimal | None = None
    last_fill: float | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    """The bounds of its range, where its strategy has one."""
    position_at_exchange: Decimal | None = None
    """Final, live: what the exchange says that the bot has left."""
    min_order: Decimal | None = None
    """The smallest quantity of an order at its price."""
    run_began: float | None = None
    """When the run began that P&L and trades are of; it goes on through restarts."""
    maker_share: Decimal | None = None
    reject_rate: Decimal | None = None
    max_drawdown: Decimal | None = None
    profit_per_grid: Decimal | None = None
    apr: Decimal | None = None
    order_latency: Decimal | None = None

    @property
    def is_artificial(self) -> bool:
        """Return whether its prices are not a market's: then its P&L is no trading result."""
        return self.market not in (None, "live")


FIGURES = ("maker_share", "reject_rate", "max_drawdown", "profit_per_grid", "apr", "order_latency")
"""How the run goes: shares of 1, amounts in `quote`, seconds."""


OF_A_RUN = (
    *("pnl", "realized", "unrealized", "fees", "funding", "position", "base", "open_orders", "trades"),
    *("entry_price", "last_fill", "position_at_exchange", "min_order", "run_began", "market"),
    *FIGURES,
)
"""What a run has earned, done and left: a run on paper says nothing of one with real money."""


class KeptReport(NamedTuple):
    """Hold the last report of an instance's bot. `at`: when it was made, in Unix time, if known.

    `has_ended`: the run that it describes has ended. `is_previous`: the bot was started again and has not
    reported yet. `orders_left`: how many open orders the run has left, as said at its end; `orders_told_at`:
    when, if its position has changed since.
    """

    report: Report
    at: float | None = None
    has_ended: bool = False
    is_previous: bool = False
    orders_left: int | None = None
    orders_told_at: float | None = None

    @property
    def left_at_exchange(self) -> Decimal | None:
        """Return what the exchange said that the run has left, once it has ended; None if it did not say."""
        return self.report.position_at_exchange if self.has_ended and not self.is_previous else None

    @property
    def is_dust(self) -> bool:
        """Return whether what it holds is less than any order may be of: nobody can close that."""
        at_exchange, least = self.left_at_exchange, self.report.min_order
        held = self.report.position if at_exchange is None else at_exchange
        return bool(held) and held is not None and least is not None and held.copy_abs() < least


class Position(NamedTuple):
    """Hold an exact amount, negative for a short position, and its currency.

    `is_of_exchange`: the exchange gave it; else the bot's own record did, at `reported_at`, if that is known.
    `is_dust`: it is less than an order may be of.
    """

    amount: Decimal
    base: str
    is_of_exchange: bool = False
    is_dust: bool = False
    reported_at: float | None = None

    def __str__(self) -> str:
        if self.is_dust:
            return str(Text("{amount} (dust: less than can be traded)", amount=self.plain))
        return self.plain

    @property
    def plain(self) -> str:
        """Return amount and currency, in no language."""
        return f"{self.amount:f} {self.base}".rstrip()


def parse_report(raw: Mapping[str, Any]) -> Report:
    """Return the valid parts of a bot's JSON object."""
    orders = raw.get("open_orders")
    contract = raw.get("contract")
    return Report(
        pnl=amount(raw.get("pnl")),
        quote=_currency(raw.get("quote")),
        position=amount(raw.get("position")),
        base=_currency(raw.get("base")),
        open_orders=len(orders) if isinstance(orders, list) else _count(orders),
        trades=_count(raw.get("trades")),
        mode=mode if (mode := raw.get("mode")) in ("paper", "live") else None,
        tick_age=None if (age := amount(raw.get("last_tick_age"))) is None else float(age),
        is_paused=raw.get("paused") is True,
        contract=contract if type(contract) is int and 0 < contract < 1000 else None,
        at=moment(raw.get("at")),
        is_final=raw.get("final") is True,
        condition=supervisor_state.condition(raw.get("condition")),
        reason=_text(raw.get("reason")),
        market=market if (market := raw.get("market")) in MARKETS else None,
        price=amount(raw.get("price")),
        price_at=moment(raw.get("price_at")),
        entry_price=amount(raw.get("entry_price")),
        realized=amount(raw.get("realized")),
        unrealized=amount(raw.get("unrealized")),
        fees=amount(raw.get("fees")),
        funding=amount(raw.get("funding")),
        last_fill=moment(raw.get("last_fill")),
        lower=_bound(raw, "lower"),
        upper=_bound(raw, "upper"),
        position_at_exchange=amount(raw.get("position_at_exchange")),
        min_order=amount(raw.get("min_order")),
        run_began=moment(raw.get("run_began")),
        **{name: amount(raw.get(name)) for name in FIGURES},
    )


def read_kept(state_dir: Path) -> KeptReport | None:
    """Return the last report kept for an instance; None if there is none that can be read.

    A supervisor of contract 1 keeps no copy: the bot's own file is in the same place, written when the run
    ends.
    """
    try:
        return _reports.of(f"{state_dir}/{supervisor_state.REPORT_FILE}")
    except (OSError, ValueError, RecursionError):
        return None


def for_mode(report: Report, mode: str | None) -> Report:
    """Return the report for a row of this mode: one of a run on paper has no amounts for a live one, nor the
    other way round, but for what that has left.
    """
    reported = report.mode or ("paper" if report.is_artificial else None)
    if None in (reported, mode) or reported == mode:
        return report
    earned = ("pnl", "realized", "unrealized", "fees", "funding")
    nothing: dict[str, Any] = dict.fromkeys(earned if reported == "live" else OF_A_RUN)
    return report._replace(**nothing, mode=reported)


def read_for_mode(state_dir: Path, mode: str | None) -> KeptReport | None:
    """Return the last report kept for an instance that is shown in this mode, as `read_kept` does."""
    return kept_for_mode(read_kept(state_dir), mode)


def kept_for_mode(kept_report: KeptReport | None, mode: str | None) -> KeptReport | None:
    """Return what `read_kept` has returned as an instance of this mode shows it."""
    if kept_report is None or (report := for_mode(kept_report.report, mode)) is kept_report.report:
        return kept_report
    is_paper = report.mode == "paper"  # whose orders rest nowhere
    return kept_report._replace(report=report, orders_left=0 if is_paper else kept_report.orders_left)


def _read_report(path: str) -> KeptReport | None:
    content = strict_json.read_bytes(path, MAX_BYTES, follow=False)
    raw = json.loads(content) if len(content) <= MAX_BYTES else None
    if not isinstance(raw, dict):
        return None
    own = raw.get("report")
    if not isinstance(own, dict):
        report = parse_report(raw)
        return KeptReport(report, report.at, has_ended=True, orders_left=_count(raw.get("open_orders_left")))
    report, written_at = parse_report(own), moment(raw.get("written_at"))
    made_at, read_at = report.at or written_at, moment(raw.get("read_at"))
    if made_at is not None and read_at is not None:
        # With a time in the future, a silent bot's last word would look new for ever.
        made_at = min(made_at, max(read_at, written_at or 0.0))
    return KeptReport(
        by_our_clock(report, made_at),
        made_at,
        has_ended=raw.get("run_ended") is True,
        is_previous=raw.get("previous_run") is True,
        orders_left=_count(raw.get("open_orders_left")),
        orders_told_at=moment(raw.get(ORDERS_TOLD_AT)),
    )


def by_our_clock(report: Report, made_at: float | None) -> Report:
    """Return a report of a bot whose clock is ahead as one made at that time, at a price as old as it was."""
    if report.at is None or made_at is None or report.at == made_at:
        return report
    price_at = None if report.price_at is None else report.price_at - (report.at - made_at)
    return report._replace(at=made_at, price_at=price_at)


_reports = KeptContent(_read_report)


def position_left(state_dir: Path) -> Position | None:
    """Return the position in the last report, which outlives the bot; None if it is unknown.

    The exchange's figure comes before the bot's, but only that of the run that ended last.
    """
    kept_report = read_kept(state_dir)
    return None if kept_report is None else position_of(kept_report)


def position_of(kept_report: KeptReport) -> Position | None:
    """Return the position in this report; None if it is unknown."""
    report, at_exchange, is_dust = kept_report.report, kept_report.left_at_exchange, kept_report.is_dust
    if at_exchange is not None:
        return Position(at_exchange, report.base or "", is_of_exchange=True, is_dust=is_dust)
    if report.position is None:
        return None
    return Position(report.position, report.base or "", is_dust=is_dust, reported_at=kept_report.at)


def position_at_exchange(answer: Mapping[str, Any]) -> Position | None:
    """Return the position in the answer of a program that has asked the exchange."""
    held = amount(answer.get("position"))
    base = _currency(answer.get("base")) or ""
    return None if held is None else Position(held, base, is_of_exchange=True)


def amount(value: Any) -> Decimal | None:
    """Return a finite decimal of reasonable size, given as a number or a string; else None."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    text = str(value) if not isinstance(value, int) or abs(value) < MAX_NUMBER else ""
    if len(text) > MAX_NUMBER_LENGTH or not text.isascii():
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # copy_abs(): abs() obeys the thread's decimal context, which a library may have told to raise on an
    # underflow.
    if not number.is_finite() or number.copy_abs() >= MAX_NUMBER:
        return None
    if "e" not in text and "E" not in text:  # it has as many decimals as the text is long, at most
        return number
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), number  # a finite number's
    return number if exponent >= -MAX_DECIMALS else None


def _bound(raw: Mapping[str, Any], name: str) -> Decimal | None:
    bounds = raw.get("range")
    return amount(bounds.get(name)) if isinstance(bounds, dict) else None


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_NUMBER
    return value if is_count else None


def moment(value: Any) -> float | None:
    """Return a time that a supervisor or a bot has written, None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < supervisor_state.MAX_NUMBER else None


def _currency(value: Any) -> str | None:
    return value if isinstance(value, str) and CURRENCY.fullmatch(value) else None


def _text(value: Any) -> str | None:
    return replace_unprintable(value[:MAX_REASON]).strip() or None if isinstance(value, str) else None
