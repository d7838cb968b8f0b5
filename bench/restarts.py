"""Measure the restart of one instance in fleets of several sizes: one fleet that grows, for `--restart`.

Starting a hundred containers takes too long for the default run, so the figures have a section of their own
in results.md, which the other runs leave as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import other_machines, report
from bench.fleets import once_healthy
from bench.measure import Comparison, Contender, Findings, alternating
from bench.project import Project, Workshop
from bench.shell import run

SIZES = (10, 40, 100)
ROUNDS = 9
AIM = 1.2
TITLE = "Restart of one, by the size of the fleet"
WORDS = "Made by `make bench ARGS=--restart`: of each machine its last run.\n"


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


def section(findings: Findings, facts: Sequence[tuple[str, str]], former: str = "") -> str:
    """Return the section of results.md: this run with its facts, and what the former one has of others."""
    told = f"{', '.join(f'{name}: {value}' for name, value in facts)}."
    name = other_machines.machine_name(facts)
    own = report.comparisons(name, told, findings.comparisons, findings.troubles, mark="###")
    others = other_machines.without(other_machines.in_section(former), facts)
    return "\n".join([f"## {TITLE}\n", WORDS, own, *others])


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
