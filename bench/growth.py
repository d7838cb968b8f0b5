"""Measure how up, ps and down grow with the number of bots."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import floor
from bench.engine import Api
from bench.measure import Findings, Table
from bench.project import Project, Workshop
from bench.shell import run

PS_RUNS = 5
PEAK = """\
import pathlib, sys
from manager.cli.main import main
code = main(sys.argv[2:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
pathlib.Path(sys.argv[1]).write_text(peak.split()[1])
sys.exit(code)
"""
"""Runs the manager and writes down its largest resident size, which the kernel keeps for each process."""


@dataclass(frozen=True)
class Point:
    """Hold the figures of fleets of one size. Seconds; the peak memory of the manager during `up` in MB."""

    size: int
    up: float
    ps: float
    down: float
    floor_up: float
    floor_down: float
    peak_mb: float


def points(
    shop: Workshop, api: Api, findings: Findings, sizes: Sequence[int], parallelism: int
) -> list[Point]:
    """Return one point a size; a size that fails is missing."""
    points = []
    for size in sizes:
        project = shop.project(size)
        with findings.row(f"growth, {size}"):
            points.append(_point(project, api, parallelism))
        project.remove_containers()
    return points


def _point(project: Project, api: Api, parallelism: int) -> Point:
    peak_file = project.folder / "peak"
    command = [sys.executable, "-c", PEAK, str(peak_file), "up"]
    up = run(command, cwd=project.folder, environ=project.environ).seconds
    project.settle()
    ps = statistics.median(project.manager("ps").seconds for _run in range(PS_RUNS))
    down = project.manager("down").seconds
    wanted = floor.bodies(project, api)
    started = time.perf_counter()
    made = floor.up(project, api, wanted, parallelism)
    floor_up = time.perf_counter() - started
    project.settle()
    started = time.perf_counter()
    floor.down(project, api, made, parallelism)
    floor_down = time.perf_counter() - started
    return Point(project.size, up, ps, down, floor_up, floor_down, int(peak_file.read_text()) / 1024)


def table(points: Sequence[Point]) -> Table:
    """Return the points, and what an instance costs at each."""
    rows = [
        [
            str(point.size),
            f"{point.up:.2f} s",
            f"{1000 * point.up / point.size:.0f} ms",
            f"{point.floor_up:.2f} s",
            f"{point.ps:.2f} s",
            f"{point.down:.2f} s",
            f"{1000 * point.down / point.size:.0f} ms",
            f"{point.floor_down:.2f} s",
            f"{point.peak_mb:.0f} MB",
        ]
        for point in points
    ]
    heads = [
        "N",
        "the first up",
        "each",
        "floor's up",
        "ps",
        "down",
        "each",
        "floor's down",
        "peak memory in up",
    ]
    return Table("Growth", heads, rows, _words(points) + "\n\n![growth](growth.svg)")


def _words(points: Sequence[Point]) -> str:
    """Return what the figures say about what makes the curve bend."""
    if len(points) < 3:
        return "Too few sizes to say what bends the curve."
    first, middle, last = points[0], points[len(points) // 2], points[-1]
    marginal_up = [_slope(a, b, "up") for a, b in ((first, middle), (middle, last))]
    marginal_floor = [_slope(a, b, "floor_up") for a, b in ((first, middle), (middle, last))]
    return (
        "Each `up` here is the fleet's first: it also makes the folders, tries the mounts in a container, and"
        " asks Compose for its hashes, which no later one does. "
        f"One more bot costs it {marginal_up[0]:.0f} ms between N = {first.size} and {middle.size} and "
        f"{marginal_up[1]:.0f} ms"
        f" between {middle.size} and {last.size}; the bare API {marginal_floor[0]:.0f} and "
        f"{marginal_floor[1]:.0f} ms. What the"
        " floor's figure grows by is the engine's own: each start rewrites its firewall rules, which get"
        " longer, while the bots"
        " already started take the CPUs for their first second. What the manager adds on top is the"
        " difference of the two:"
        f" {1000 * (last.up - last.floor_up) / last.size:.0f} ms a bot at N = {last.size}. `ps` grows by"
        f" {_slope(first, last, 'ps'):.1f} ms a bot, the reading of its config and of its supervisor's "
        f"state file."
    )


def _slope(a: Point, b: Point, field: str) -> float:
    return float(1000 * (getattr(b, field) - getattr(a, field)) / (b.size - a.size))
