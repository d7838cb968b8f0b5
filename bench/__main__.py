"""Run the benchmark, as `python -m bench`: measure, and write results.md and growth.svg."""

from __future__ import annotations

import argparse
import compileall
import math
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import first, growth, idle, images, page, plot, report, restarts, sections, start, tasks
from bench.engine import Api, socket_path
from bench.facts import facts
from bench.fleets import Fleets, parallelism_table
from bench.floor import BEST_GUESS
from bench.measure import Findings
from bench.project import BOT, CALM_S, ROOT, Workshop, workshop

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Extent:
    """Hold how much is measured. `sweep`, `idle`: fleets for the parallelism and for what idling costs."""

    sizes: list[int]
    rounds: int
    growth: list[int]
    sweep: int
    degrees: list[int]
    idle: int
    window: float
    megabytes: int
    peers: bool = False
    bundled: bool = True
    calm: float = CALM_S
    quick: int = 3
    """Rounds of a quick row for each round of a slow one."""
    rolled: int = 40
    """The fleet that is upgraded and backed up."""
    halted: int = 50
    orders: int = 13
    """Bots that cancel so many orders each."""
    fills: int = 10
    interval: float = 1.0
    """Seconds between two ticks of the bot whose fills are measured."""
    every_bot: bool = True
    """Whether fills of spot markets and of `standard` are measured, too."""
    ticks: int = 100_000
    small: int = 3
    """Instances of the fleet on which short commands are measured."""
    page: tuple[int, int, int] = (200, 10, 10)
    """Instances of the page, how many of them are up, and for how many looks it is read."""
    each_part: bool = True
    """Whether each part of the first `up` is measured."""
    at_once: bool = False
    """Whether sections run side by side: what is measured then disturbs each other."""
    restarts: Sequence[int] = ()
    """Sizes of a fleet in which nothing but the restart of one is measured."""
    minutes: float = math.inf
    """What cannot end within them is not begun: rows get fewer rounds, and what is left out is named."""


SMALLEST = Extent(
    [1],
    1,
    [1],
    1,
    [1],
    1,
    0.2,
    1,
    bundled=False,
    calm=0.1,
    quick=1,
    rolled=1,
    halted=1,
    orders=1,
    fills=1,
    interval=0.2,
    ticks=1000,
    small=1,
    page=(1, 1, 1),
    each_part=False,
    at_once=True,
)
"""For CI: that every row works. Its figures mean nothing."""
NORMAL = Extent(
    [40],
    3,
    [1, 10, 30],
    10,
    [4, 8],
    50,
    10.0,
    20,
    calm=1.0,
    fills=6,
    every_bot=False,
    page=(200, 10, 4),
    minutes=10,
)
FULL = Extent(
    [10, 40, 100],
    5,
    [1, 5, 10, 25, 50, 100, 150, 200],
    40,
    [1, 2, 4, 8, 16],
    50,
    240.0,
    200,
    peers=True,
    page=(200, 200, 40),
)

RESTARTS = replace(NORMAL, restarts=restarts.SIZES, rounds=restarts.ROUNDS, minutes=math.inf)


LEAST_S = {
    "parallelism": 16,
    "short commands": 8,
    "output through the supervisor": 8,
    "fleets": 130,
    "whole tasks": 85,
    "the fleet's page": 50,
    "growth": 32,
    "an idle instance": 69,
    "image and start": 12,
    "the first up": 17,
}
"""What each section of the default run takes with one round, on the machine of results.md: 428 of its 600
seconds. What has rounds gets the rest.
"""


def main(argv: Sequence[str]) -> int:
    """Run the benchmark. Return 1 when a row failed."""
    extent, out = _arguments(argv)
    for number in (signal.SIGINT, signal.SIGTERM):  # both, even where we were started with them ignored
        signal.signal(number, signal.default_int_handler)
    api = Api(socket_path())
    started = time.monotonic()
    findings, about = Findings(), [*facts(api), ("command", shlex.join(["python", "-m", "bench", *argv]))]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a container's: a user's manager keeps compiled code
    try:
        compileall.compile_dir(ROOT / "manager", quiet=1)  # as after anybody's first command
        with workshop(extent.calm) as shop:
            shop.ends_at = started + 60 * extent.minutes
            if extent.at_once:
                about.append((report.MEANS_NOTHING, "side by side, so that the figures mean nothing"))
            about.append(("run", shop.run_id))
            shop.build(shop.image, BOT)
            _measure(extent, shop, api, findings, out)
        minutes, seconds = divmod(round(time.monotonic() - started), 60)
        about.insert(-1, ("took", f"{minutes} min {seconds} s"))
    except KeyboardInterrupt:
        print("interrupted; everything of the benchmark is removed", file=sys.stderr)
        return 130
    _write(out, findings, about, is_restarts=bool(extent.restarts))
    print(out / "results.md")
    return 1 if any(trouble.kind == "failed" for trouble in findings.troubles) else 0


def _write(out: Path, findings: Findings, about: Sequence[tuple[str, str]], *, is_restarts: bool) -> None:
    """Write results.md. The restarts' section is written only by their run, and kept by the others."""
    out.mkdir(parents=True, exist_ok=True)
    path, title = out / "results.md", restarts.TITLE
    if is_restarts:
        former = report.part(report.in_place(path), title)
        report.write_part(path, title, restarts.section(findings, about, former))
    else:
        report.write(path, findings, about, kept=[title])


def _measure(extent: Extent, shop: Workshop, api: Api, findings: Findings, out: Path) -> None:
    if extent.restarts:
        with findings.row("restarts"):
            restarts.rows(shop, findings, extent.restarts, extent.rounds)
        return
    best = BEST_GUESS
    quick = extent.rounds * extent.quick

    def parallelism() -> None:
        nonlocal best
        rounds = min(extent.rounds, 3)
        table, best = parallelism_table(shop, api, extent.sweep, rounds, extent.degrees)
        findings.tables.append(table)

    def fleets() -> None:
        fleets = Fleets(shop, api, findings, extent.rounds, best, extent.peers, quick)
        for measured, size in enumerate(extent.sizes):
            with findings.row(f"fleets of {size}"):
                fleets.measure(size, 1 / (len(extent.sizes) - measured))
        findings.tables.append(fleets.calls_table())

    def growths() -> None:
        points = growth.points(shop, api, findings, extent.growth, best)
        findings.tables.append(growth.table(points))
        _draw(out, points)

    def whole_tasks() -> None:
        tasks.tables(
            shop,
            findings,
            fleet=extent.rolled,
            halted=extent.halted,
            orders=extent.orders,
            fills=extent.fills,
            every_bot=extent.every_bot,
            ticks=extent.ticks,
            interval=extent.interval,
        )

    add = findings.tables.append
    works: dict[str, Callable[[], object]] = {
        "parallelism": parallelism,
        "short commands": lambda: start.rows(shop, findings, quick, extent.small),
        "output through the supervisor": lambda: findings.comparisons.extend(
            images.pump(shop, api, extent.megabytes, extent.rounds)
        ),
        "fleets": fleets,
        "whole tasks": whole_tasks,
        "the fleet's page": lambda: add(page.table(shop, *extent.page)),
        "growth": growths,
        "an idle instance": lambda: findings.tables.extend(
            idle.tables(shop, api, extent.idle, extent.window)
        ),
        "image and start": lambda: add(images.table(shop, api, extent.rounds, bundled=extent.bundled)),
        "the first up": lambda: add(
            first.table(shop, extent.sweep, extent.rounds, each_part=extent.each_part)
        ),
    }
    if extent.at_once:
        sections.run_at_once(works, ("the fleet's page", "fleets", "whole tasks"), findings)
    else:
        sections.run(works, LEAST_S, shop, findings)


def _draw(folder: Path, points: Sequence[growth.Point]) -> None:
    lines = {
        "first up": [(point.size, point.up) for point in points],
        "up, the floor": [(point.size, point.floor_up) for point in points],
        "down": [(point.size, point.down) for point in points],
        "ps": [(point.size, point.ps) for point in points],
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = plot.svg("up, down and ps against the number of bots", "bots", "seconds", lines)
    (folder / "growth.svg").write_text(text, encoding="utf-8")


def _arguments(argv: Sequence[str]) -> tuple[Extent, Path]:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures botfleet on this machine.")
    extents = parser.add_mutually_exclusive_group()
    extents.set_defaults(extent=NORMAL)
    for extent, name, text in (
        (SMALLEST, "--smallest", "every row once, as small as it can be: for a test of the benchmark itself"),
        (FULL, "--full", "everything, in about an hour and a half; else at most ten minutes"),
        (RESTARTS, "--restart", "only the restart of one in fleets of 10, 40 and 100, into its own section"),
    ):
        extents.add_argument(name, dest="extent", action="store_const", const=extent, help=text)
    add = parser.add_argument
    add("--sizes", type=_numbers, metavar="N,…", help="fleets of these sizes")
    add("--growth", type=_numbers, metavar="N,…", help="the sizes of the growth table")
    add("--sweep", type=int, metavar="N", help="the fleet for the sweep of parallelism")
    add("--degrees", type=_numbers, metavar="P,…", help="the parallelisms of that sweep")
    add("--idle", type=int, metavar="N", help="the fleet whose idling is measured")
    add("--window", type=float, metavar="SECONDS", help="for how long its CPU is measured")
    add("--megabytes", type=int, metavar="MB", help="how much is written through the supervisor")
    add("--rounds", type=int, metavar="R", help="rounds of slow rows; quick rows get three times as many")
    add(
        "--peers",
        action="store_true",
        default=None,
        help="also pm2 and supervisord, installed for the moment",
    )
    add("--out", type=Path, default=HERE, metavar="DIR", help="where the report goes (default: bench/)")
    args = vars(parser.parse_args(argv))
    extent, out = args.pop("extent"), args.pop("out")
    if args["sizes"] and extent is NORMAL:
        extent = _shrunk(extent, max(args["sizes"]))
    if args["sizes"] and extent.restarts:
        extent = replace(extent, restarts=args["sizes"])
    return replace(extent, **{name: value for name, value in args.items() if value is not None}), out


def _shrunk(extent: Extent, largest: int) -> Extent:
    """Return nothing larger than the largest size that was asked for."""
    sizes = sorted({1, largest, *(size for size in extent.growth if size < largest)})
    return replace(
        extent,
        growth=sizes,
        sweep=min(extent.sweep, largest),
        idle=min(extent.idle, largest),
        rolled=min(extent.rolled, largest),
        halted=min(extent.halted, largest),
        page=(largest, min(extent.page[1], largest), extent.page[2]),
    )


def _numbers(text: str) -> list[int]:
    sizes = [int(size) for size in text.split(",")]
    if not all(1 <= size <= 500 for size in sizes):
        raise argparse.ArgumentTypeError("must be numbers from 1 to 500")
    return sizes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
