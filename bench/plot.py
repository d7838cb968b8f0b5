"""Draw a line chart as SVG, in a few lines: no library for one picture. Readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 24, 48
COLOURS = ("#2f81f7", "#8b949e", "#d29922", "#3fb950", "#a371f7")
INK = "#768390"

Line = Sequence[tuple[float, float]]


def svg(title: str, x_name: str, y_name: str, lines: Mapping[str, Line]) -> str:
    """Draw all lines from (0, 0); each one's name stands at its end."""
    x_max = max((x for line in lines.values() for x, _y in line), default=1) or 1
    y_max = max((y for line in lines.values() for _x, y in line), default=1) or 1

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + x / x_max * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / y_max * (HEIGHT - TOP - BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12">',
        f"<title>{title}</title>",
    ]
    for tick in _ticks(x_max):
        x, y = at(tick, 0)
        parts.append(_text(x, y + 18, f"{tick:g}", "middle"))
    for tick in _ticks(y_max):
        x, y = at(0, tick)
        end = at(x_max, tick)[0]
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{end:.1f}" stroke="{INK}" stroke-opacity=".3"/>')
        parts.append(_text(x - 8, y + 4, f"{tick:g}", "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_name, "middle"))
    parts.append(_text(LEFT - 40, TOP - 8, y_name, "start"))
    names_at: list[float] = []
    for (name, line), colour in zip(lines.items(), COLOURS, strict=False):
        points = [at(x, y) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        if points:
            names_at.append(_free_height(points[-1][1] + 4, names_at))
            parts.append(_text(points[-1][0] + 10, names_at[-1], name, "start", colour))
    return "\n".join([*parts, "</svg>\n"])


def _text(x: float, y: float, text: str, anchor: str, colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _ticks(largest: float) -> list[float]:
    """Return round numbers from 0 up to `largest`, about five of them."""
    step = 10 ** math.floor(math.log10(largest))
    step = next(
        candidate for candidate in (step / 5, step / 2, step) if largest / candidate <= 7 or candidate == step
    )
    return [round(number * step, 6) for number in range(int(largest / step + 1e-9) + 1)]


def _free_height(wanted: float, taken: list[float]) -> float:
    """Return a height as near as the names that are there allow."""
    offsets = (sign * distance for distance in range(0, HEIGHT, 2) for sign in (1, -1))
    return next(
        wanted + offset for offset in offsets if all(abs(wanted + offset - other) >= 14 for other in taken)
    )
