"""Draw a backtest as SVG: the price with its trades above, the P&L below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from xml.sax.saxutils import escape

from gridbot.model.types import Side, as_text
from gridbot.trading.backtest import Result

WIDTH, PRICE_HEIGHT, PNL_HEIGHT, MARGIN = 960, 320, 160, 50
COLOURS = {Side.BUY: "#1a7f37", Side.SELL: "#cf222e"}


def draw(result: Result, quote: str) -> str:
    """Return the picture as an SVG document."""
    height = PRICE_HEIGHT + PNL_HEIGHT + 3 * MARGIN
    curve, fills = result.curve.kept, result.fills.kept
    times = [at for at, _, _ in curve]
    begin, span = times[0], max(times[-1] - times[0], 1e-9)

    def x(at: float) -> float:
        return MARGIN + (at - begin) / span * (WIDTH - 2 * MARGIN)

    prices = [price for _, price, _ in curve] + [price for _, _, price in fills]
    profits = [pnl for _, _, pnl in curve]
    price_y = _scale(prices, MARGIN, PRICE_HEIGHT)
    profit_y = _scale([*profits, Decimal(0)], 2 * MARGIN + PRICE_HEIGHT, PNL_HEIGHT)
    price_line = " ".join(f"{x(at):.1f},{price_y(price):.1f}" for at, price, _ in curve)
    pnl_line = " ".join(f"{x(at):.1f},{profit_y(pnl):.1f}" for at, _, pnl in curve)
    dots = "".join(
        f'<circle cx="{x(at):.1f}" cy="{price_y(price):.1f}" r="2" fill="{COLOURS[side]}"/>'
        for at, side, price in fills
    )
    zero = profit_y(Decimal(0))
    title = escape(f"P&L {as_text(result.pnl)} {quote}, {result.trades} trades, {result.end.reason}")
    low, high = min(prices), max(prices)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        f' font-size="12" role="img"><title>{title}</title>'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="{MARGIN}" y="30">{title}</text>'
        f'<text x="4" y="{price_y(high):.1f}">{as_text(high)}</text>'
        f'<text x="4" y="{price_y(low):.1f}">{as_text(low)}</text>'
        f'<polyline fill="none" stroke="#57606a" points="{price_line}"/>{dots}'
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="#d0d7de"/>'
        f'<text x="4" y="{zero:.1f}">0</text>'
        f'<polyline fill="none" stroke="#0969da" stroke-width="1.5" points="{pnl_line}"/></svg>\n'
    )


def _scale(values: Sequence[Decimal], top: float, height: float) -> Callable[[Decimal], float]:
    """Return what maps values to heights, the largest at the top."""
    high = max(values)
    span = max(high - min(values), Decimal("1e-12"))
    return lambda value: top + float((high - value) / span) * height
