"""Run a backtest from argv, the bot's options and a recording: print a table or JSON, and draw a picture."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.cli import backtest_picture
from gridbot.config import args
from gridbot.exchanges.paper import HALF_SPREAD, MAKER_FEE, TAKER_FEE, Costs
from gridbot.exchanges.price_sources import assumed_market
from gridbot.exchanges.recording import MOST_RATE, read_recording
from gridbot.model.errors import BotError, ConfigError
from gridbot.model.types import Market, as_text
from gridbot.trading.backtest import Backtest, Result


def main(argv: Sequence[str]) -> int:
    """Run it and return an exit code of `errors`. What isn't an option here is one of the bot's."""
    own, rest = _parser().parse_known_args(list(argv))
    try:
        settings = args.parse(rest, {})
        if own.funding_rate and not settings.perp:
            raise ConfigError("--funding-rate: a spot market pays no funding")
        _require_sensible(own)
        market = _market(assumed_market(settings), own)
        costs = Costs(own.maker_fee, own.taker_fee, own.spread / 2, own.queue == "first", fee_step=None)
        began = time.process_time()
        counts_rates = settings.perp and own.funding_rate is None
        rows = read_recording(own.data, settings.interval, has_rates=counts_rates)
        # A spot market pays none, whatever its recording says.
        rate = own.funding_rate if settings.perp else Decimal(0)
        result = Backtest(settings, market, costs, rate).run(rows)
        seconds = time.process_time() - began
        answer = summary(result, market)
        answer["rows_per_second"] = round(result.rows / max(seconds, 1e-9))
        if own.svg is not None:
            own.svg.write_text(backtest_picture.draw(result, market.quote), encoding="utf-8")
    except BotError as err:
        print(err, file=sys.stderr)
        return err.exit_code
    except OSError as err:
        print(f"--svg: cannot write {own.svg}: {err}", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2) if own.json else table(answer))
    return 0


def summary(result: Result, market: Market) -> dict[str, Any]:
    """Return the result as JSON: exact amounts as text, None where a figure has no meaning."""
    share = Decimal(result.maker_trades) / result.trades if result.trades else None
    return {
        "symbol": market.symbol,
        "quote": market.quote,
        "rows": result.rows,
        "from": result.began,
        "to": result.ended,
        "first_price": as_text(result.first_price),
        "last_price": as_text(result.last_price),
        "pnl": as_text(result.pnl),
        "realized": as_text(result.realized),
        "unrealized": as_text(result.unrealized),
        "fees": as_text(result.fees),
        "funding": as_text(result.funding),
        "position": as_text(result.position),
        "trades": result.trades,
        "round_trips": result.round_trips,
        "profit_per_grid": _rounded(result.profit_per_grid, "1e-8"),
        "maker_share": _rounded(share, "0.0001"),
        "max_drawdown": as_text(result.drawdown),
        "capital": as_text(result.capital),
        "apr": _rounded(result.apr, "0.0001"),
        "ended_by": result.end.reason,
        "end": result.end.as_json(),
    }


def table(answer: Mapping[str, Any]) -> str:
    """Return the result as lines of a name and a value."""
    shown = {name: "-" if value is None else value for name, value in answer.items() if name != "end"}
    width = max(map(len, shown))
    return "\n".join(f"{name:{width}}  {value}" for name, value in shown.items())


def _rounded(value: Decimal | None, step: str) -> str | None:
    return None if value is None else as_text(value.quantize(Decimal(step)))


def _market(assumed: Market, own: argparse.Namespace) -> Market:
    lot = own.lot or assumed.lot
    return replace(
        assumed, tick=own.tick or assumed.tick, lot=lot, min_qty=lot, min_notional=own.min_notional
    )


def _require_sensible(own: argparse.Namespace) -> None:
    """Check that shares are not given as percent. Raises ConfigError."""
    for name in ("maker_fee", "taker_fee", "funding_rate"):
        value, option = getattr(own, name), f"--{name.replace('_', '-')}"
        if value is not None and abs(value) >= MOST_RATE:
            raise ConfigError(
                f"{option}: is a share, and {as_text(value)} is {as_text(100 * value)} %; 0.0005 is 0.05 %"
            )
    if not 0 <= own.spread < 1:
        raise ConfigError(
            f"--market-spread: is a share of the price, from 0 to below 1, not {as_text(own.spread)}"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="backtest.py",
        allow_abbrev=False,
        description="Run the bot's strategy over recorded prices. It takes all options of run.py.",
    )
    add = parser.add_argument
    add(
        "--data", type=Path, required=True, metavar="CSV", help="columns: time; price, or open,high,low,close"
    )
    add(
        "--maker-fee",
        type=args.to_decimal,
        default=MAKER_FEE,
        help=f"share of the value; below 0: a rebate (default {MAKER_FEE})",
    )
    add(
        "--taker-fee",
        type=args.to_decimal,
        default=TAKER_FEE,
        help=f"share of the value (default {TAKER_FEE})",
    )
    add(
        "--market-spread",
        dest="spread",
        type=args.to_decimal,
        default=2 * HALF_SPREAD,
        help="between best bid and ask, as a share of the price",
    )
    add(
        "--queue",
        choices=("last", "first"),
        default="last",
        help="last (default): an order is filled when the price goes through it; first: when it is touched",
    )
    add(
        "--funding-rate",
        type=args.to_decimal,
        help="paid by longs every eight hours; below 0: by shorts (default: the column funding_rate)",
    )
    add("--tick", type=args.to_decimal, help="the market's price step")
    add("--lot", type=args.to_decimal, help="the market's quantity step")
    add("--min-notional", type=args.to_decimal, default=Decimal(0), help="the least value of an order")
    add("--json", action="store_true", help="print JSON")
    add("--svg", type=Path, metavar="FILE", help="draw price, trades and P&L into this file")
    return parser
