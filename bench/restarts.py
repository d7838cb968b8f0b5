"""Measure the restart of one instance in fleets of several sizes: one fleet that grows, for `--restart`.

Starting a hundred containers takes too long for the default run, so the figures have a section of their own
in results.md, which the other runs leave as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import report
from bench.fleets import once_healthy
from bench.measure import Comparison, Contender, Findings, alternating
from bench.project import Project, Workshop
from bench.shell import run

SIZES = (10, 40, 100)
ROUNDS = 9
AIM = 1.2
TITLE = "Restart of one, by the size of the fleet"


def rows(shop: Workshop, findings: Findings, sizes: Sequence[int], rounds: int) -> None:
    """Compare `restart` of one with `docker restart`, without and with `manager serve`, at each size."""
    project = shop.project(max(sizes))
    for size in sorted(sizes):
        project.resize(size)
        project.manager("up")  # those of the size before go on running
        with findings.row(f"restart of one, {size}"):
            _compare(project, findings, rounds, "restart of one")
        with findings.row(f"restart of one, with serve, {size}"), project.serving():
            _compare(project, findings, rounds, "restart of one, with serve")
    project.remove_containers()


def section(findings: Findings, facts: Sequence[tuple[str, str]]) -> str:
    """Return the section of results.md, with the facts of its own run."""
    told = ", ".join(f"{name}: {value}" for name, value in facts)
    words = f"Made by `make bench ARGS=--restart`. {told}."
    return report.comparisons(TITLE, words, findings.comparisons, findings.troubles)


def _compare(project: Project, findings: Findings, rounds: int, work: str) -> None:
    first = project.ids[0]
    name = project.container(first)
    contenders: dict[str, Contender] = {
        "ours": once_healthy(project, lambda: project.manager("restart", first).seconds),
        "theirs": once_healthy(project, lambda: run(["docker", "restart", name]).seconds),
    }
    samples = alternating(contenders, rounds)
    findings.comparisons.append(
        Comparison(work, project.size, samples["ours"], "docker restart", samples["theirs"], AIM)
    )
