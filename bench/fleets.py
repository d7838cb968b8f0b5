"""Measure whole fleets: up, down, and everything one asks of a fleet that is up."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from bench import floor, peers
from bench.engine import Api
from bench.floor import Bodies
from bench.measure import Comparison, Contender, Findings, Samples, Skipped, Table, alternating
from bench.project import Project, Workshop
from bench.proxy import counting
from bench.shell import run
from tests import ports

LONGEST_LOOP = 10
"""`docker run` one after the other takes half a second a container: only for small fleets."""


@dataclass
class Fleets:
    """Measure the rows for each size of fleet."""

    shop: Workshop
    api: Api
    findings: Findings
    rounds: int
    parallelism: int = floor.BEST_GUESS
    with_peers: bool = False
    quick_rounds: int = 1
    """Rounds of a row that takes less than some seconds."""
    ends_at: float = math.inf
    """When the time for the present size is over: rows then get fewer rounds."""
    calls: dict[str, dict[int, Counter[str]]] = field(default_factory=dict)

    def measure(self, size: int, part: float) -> None:
        """Measure all rows for fleets of this size, in this part of the time that is left."""
        project = self.shop.project(size)
        half = self.shop.share(0.5 * part)
        self.ends_at = self.shop.share(part)
        project.manager("compose")
        wanted = floor.bodies(project, self.api)
        with self.findings.row(f"up and down of {size}"):
            self._up_and_down(project, wanted, half)
        project.remove_containers()
        with self.findings.row(f"a fleet of {size} that is up"):
            project.manager("up")
            project.settle()
            self._while_up(project)
        project.remove_containers()

    def _up_and_down(self, project: Project, wanted: Bodies, no_round_after: float) -> None:
        contest = Contest(project, self.api, wanted, self.parallelism)
        samples = alternating(contest.contenders(), self.rounds, no_round_after)
        size, ours = project.size, samples["manager"]
        downs = {name: Samples(tuple(values)) for name, values in contest.downs.items()}
        add = self.findings.comparisons.append
        add(Comparison("up from nothing", size, ours, "compose up -d", samples["compose"], 1.02))
        add(Comparison("up from nothing", size, ours, "the floor", samples["floor"], 1.1))
        for name in ("docker run, a loop", f"docker run, xargs -P {self.parallelism}"):
            if name in samples:
                add(Comparison("up from nothing", size, ours, name, samples[name]))
        add(Comparison("up of a new fleet", size, samples["new"], "compose up -d", samples["compose"], 1.05))
        add(Comparison("down", size, downs["manager"], "compose down", downs["compose"], 1.0))
        add(Comparison("down", size, downs["manager"], "the floor", downs["floor"]))

    def _while_up(self, project: Project) -> None:
        size, first = project.size, project.ids[0]
        manager, compose = _runner(project.manager), _runner(project.compose)
        restart, docker_restart = manager("restart", first), _docker("restart", project.container(first))
        bounds = _bounds(size)
        pairs: list[tuple[str, Contender, str, Contender, float | None]] = [
            ("up, nothing to do", manager("up"), "compose up -d", compose("up", "-d"), 1.0),
            ("ps", manager("ps"), "compose ps", compose("ps"), bounds),
            (
                "ps --json",
                manager("ps", "--json"),
                "compose ps --format json",
                compose("ps", "--format", "json"),
                bounds,
            ),
            ("list", manager("list"), "manager ps", manager("ps"), 1.5),
            (
                "restart of one",
                once_healthy(project, restart),
                "docker restart",
                once_healthy(project, docker_restart),
                1.2,
            ),
        ]
        for work, ours, against, theirs, limit in pairs:
            with self.findings.row(f"{work}, {size}"):
                before = project.container_ids()
                compared = self._pair(work, size, ours, against, theirs, limit)
                if project.container_ids() != before:
                    self.findings.comparisons.remove(compared)
                    raise AssertionError("a container was made anew, where nothing was to do")
        with self.findings.row(f"restart of one, with serve, {size}"), project.serving():
            work, ours, against, theirs, limit = pairs[-1]
            self._pair(f"{work}, with serve", size, ours, against, theirs, limit)
        project.settle()  # the rows above end with a restart
        with self.findings.row(f"stats, {size}"):
            self._stats(project)
        if self.with_peers:
            self._peers(project)
        with self.findings.row(f"resident processes, {size}"):
            self._residents(project)
        with self.findings.row(f"engine calls, {size}"):
            self._count_calls(project)

    def _pair(
        self,
        work: str,
        size: int,
        ours: Contender,
        against: str,
        theirs: Contender,
        limit: float | None = None,
    ) -> Comparison:
        samples = alternating({"ours": ours, "theirs": theirs}, self.quick_rounds, self.ends_at)
        compared = Comparison(work, size, samples["ours"], against, samples["theirs"], limit)
        self.findings.comparisons.append(compared)
        return compared

    def _stats(self, project: Project) -> None:
        if project.manager("stats", "--help", any_code=True).code != 0:
            raise Skipped("there is no `manager stats` yet")
        names = [project.container(instance) for instance in project.ids]
        theirs = _docker("stats", "--no-stream", *names)
        self._pair(
            "stats", project.size, _runner(project.manager)("stats"), "docker stats --no-stream", theirs, 0.5
        )

    def _peers(self, project: Project) -> None:
        manager = _runner(project.manager)
        for peer in (peers.pm2, peers.supervisord):
            with (
                self.findings.row(f"{peer.__name__}, {project.size}"),
                peer(self.shop.folder, project.size, ports.reserve(project.size)) as other,
            ):
                self._pair("list", project.size, manager("list"), f"{other.name} list", other.list_)
                self._pair(
                    "status of one",
                    project.size,
                    manager("status", project.ids[0]),
                    f"{other.name} status of one",
                    other.status,
                )

    def _residents(self, project: Project) -> None:
        left = peers.processes_in(project.folder)
        rows = [[str(project.size), str(len(left)), ", ".join(left) or "none"]]
        self.findings.tables.append(
            Table(
                f"Resident processes of the manager, fleet of {project.size} up",
                ["N", "processes", "which"],
                rows,
            )
        )

    def _count_calls(self, project: Project) -> None:
        """Run each once through a proxy that counts.

        The last three change the fleet; at the end it is down.
        """
        instance = project.ids[0]
        ours = [["ps"], ["list"], ["status", instance], ["up"], ["restart", instance], ["down"], ["up"]]
        names = ["ps", "list", "status ID", "up, nothing to do", "restart ID", "down", "up from nothing"]
        for name, words in zip(names, ours, strict=True):
            self._count(f"manager {name}", project, partial(project.manager, *words))
        for name, words in (("up, nothing to do", ["up", "-d"]), ("ps", ["ps"])):
            self._count(f"compose {name}", project, partial(project.compose, *words))
        self._count("compose down", project, project.compose_down)

    def _count(self, name: str, project: Project, work: Callable[..., object]) -> None:
        at = self.shop.folder / "counted.sock"
        with counting(self.api.socket_path, at) as calls:
            work(environ={"DOCKER_HOST": f"unix://{at}"})
        self.calls.setdefault(name, {})[project.size] = calls.seen

    def calls_table(self) -> Table:
        """Return the requests by command and size."""
        sizes = sorted({size for by_size in self.calls.values() for size in by_size})
        rows = []
        for name, by_size in self.calls.items():
            totals = [by_size[size].total() if size in by_size else None for size in sizes]
            constant = "" if len(sizes) < 2 else "yes" if len(set(totals)) == 1 else "no"
            biggest = by_size[max(by_size)]
            which = ", ".join(f"{count} × {call}" for call, count in biggest.most_common())
            rows.append([name, *("–" if total is None else str(total) for total in totals), constant, which])
        heads = [
            "command",
            *(f"N = {size}" for size in sizes),
            "constant",
            f"which, at N = {max(sizes, default=0)}",
        ]
        words = "Every request that reaches the engine's socket, counted by a proxy in front of it."
        return Table("Engine calls", heads, rows, words)


@dataclass
class Contest:
    """Hold the contenders of `up from nothing`.

    Each leaves nothing behind; how long its `down` took is kept in `downs`.
    """

    project: Project
    api: Api
    wanted: Bodies
    parallelism: int
    downs: dict[str, list[float]] = field(default_factory=dict)

    def contenders(self) -> dict[str, Contender]:
        """Return them by name, each to be called from nothing to nothing."""
        scripts = floor.write_scripts(self.project, self.wanted)
        xargs = f"docker run, xargs -P {self.parallelism}"
        contenders: dict[str, Contender] = {
            "new": self.new_fleet,  # the first: what it leaves is there for each later `up`
            "manager": self.through_manager,
            "compose": self.through_compose,
            "floor": self.through_floor,
            xargs: lambda: self._cli(floor.cli_xargs(scripts, self.parallelism)),
        }
        if self.project.size <= LONGEST_LOOP:
            contenders["docker run, a loop"] = lambda: self._cli(floor.cli_loop(scripts))
        return contenders

    def through_manager(self) -> float:
        seconds = self.project.manager("up").seconds
        self.project.settle()
        self._down("manager", self.project.manager("down").seconds)
        return seconds

    def new_fleet(self) -> float:
        """Return a fleet that has never been up: no folders, nothing remembered."""
        self.project.forget()
        seconds = self.project.manager("up").seconds
        self.project.settle()
        self.project.remove_containers()
        return seconds

    def through_compose(self) -> float:
        seconds = self.project.compose("up", "-d").seconds
        self.project.settle()
        self._down("compose", self.project.compose_down().seconds)
        return seconds

    def through_floor(self) -> float:
        started = time.perf_counter()
        made = floor.up(self.project, self.api, self.wanted, self.parallelism)
        seconds = time.perf_counter() - started
        self.project.settle()
        started = time.perf_counter()
        floor.down(self.project, self.api, made, self.parallelism)
        self._down("floor", time.perf_counter() - started)
        return seconds

    def _cli(self, seconds: float) -> float:
        self.project.settle()
        self.project.remove_containers()
        return seconds

    def _down(self, name: str, seconds: float) -> None:
        self.downs.setdefault(name, []).append(seconds)


def parallelism_table(
    shop: Workshop, api: Api, size: int, rounds: int, degrees: Sequence[int]
) -> tuple[Table, int]:
    """Return a table of `up` with each parallelism, through the manager and through the bare API; and the
    floor's best one.
    """
    contenders: dict[str, Contender] = {}
    for degree in degrees:
        project = shop.project(size, parallelism=degree)  # its own: changed settings are a first `up` again
        project.manager("compose")
        contest = Contest(project, api, floor.bodies(project, api), degree)
        contenders[f"manager {degree}"] = contest.through_manager
        contenders[f"floor {degree}"] = contest.through_floor
    samples = alternating(contenders, rounds, shop.share(0.1))
    best = min(degrees, key=lambda degree: samples[f"floor {degree}"].median)
    rows = [
        [str(degree), *(f"{samples[f'{who} {degree}'].median:.2f} s" for who in ("floor", "manager"))]
        for degree in degrees
    ]
    words = (
        f"`up` of {size} from nothing. The floor creates and starts through the bare API, best with "
        f"{best} at once. The manager's first of its rounds is the first `up` of a fleet; the median of three"
        " leaves it out."
    )
    return Table("Parallelism", ["at once", "the floor", "manager up"], rows, words), best


def _bounds(size: int) -> float | None:
    return {10: 1.2, 100: 0.7}.get(size)


def _runner(call: Callable[..., object]) -> Callable[..., Contender]:
    """Return what makes contenders: `_runner(project.manager)("ps")` is one."""

    def of(*words: str) -> Contender:
        def once() -> float:
            started = time.perf_counter()
            call(*words)
            return time.perf_counter() - started

        return once

    return of


def _docker(*words: str) -> Contender:
    return lambda: run(["docker", *words]).seconds


def once_healthy(project: Project, contender: Contender) -> Contender:
    """Wait for the first bot before the clock runs: a bot that is just starting takes longer to stop."""

    def once() -> float:
        project.settle()
        return contender()

    return once
