"""Measure a small fleet: what a person waits for is the interpreter's start and what comes before the
first engine call. With `manager serve`, its standby has both behind it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from bench.measure import Comparison, Contender, Findings, alternating
from bench.project import Project, Workshop
from bench.shell import run

LEAST_ROUNDS = 3
"""However little time is left: they take a tenth of a second each, and the first of a command, which keeps
what it has compiled, is to be no median.
"""
AIM = 4.0
"""Times the start of an interpreter that does nothing: the machine falls out of it."""


def rows(shop: Workshop, findings: Findings, rounds: int, size: int) -> None:
    """Compare short commands with `python -c pass`, and those that the engine's tools have with theirs."""
    project = shop.project(size)
    first, rounds = project.ids[0], max(rounds, 1)
    project.manager("up")
    project.settle()

    of_standby = {"status of one": ["status", first], "ps": ["ps"], "list": ["list"]}
    of_standby["up, nothing to do"] = ["up"]
    _compare(project, findings, of_standby, rounds, shop.share(0.05))
    with project.serving():
        _compare(project, findings, of_standby, rounds, shop.share(0.05), ", with serve")
    project.remove_containers()


def _compare(
    project: Project,
    findings: Findings,
    commands: Mapping[str, Sequence[str]],
    rounds: int,
    until: float,
    how: str = "",
) -> None:
    """Compare the commands with an interpreter that does nothing, and some with the engine's tools."""
    first = project.ids[0]

    def ours(words: Sequence[str]) -> Contender:
        return lambda: project.manager(*words).seconds

    contenders: dict[str, Contender] = {"bare": _other([sys.executable, "-c", "pass"])}
    contenders |= {work: ours(words) for work, words in commands.items()}
    least = min(rounds, LEAST_ROUNDS)
    samples = alternating(contenders, rounds, until, least)
    findings.comparisons += [
        Comparison(f"{work}{how}", project.size, samples[work], "python -c pass", samples["bare"], AIM)
        for work in commands
    ]
    for work, command, against, theirs, limit in (
        ("ps", ["ps"], "compose -p NAME ps", ["docker", "compose", "-p", project.name, "ps"], 1.0),
        (
            "logs --tail 100",
            ["logs", "--tail", "100", first],
            "docker logs --tail 100",
            ["docker", "logs", "--tail", "100", project.container(first)],
            1.5,
        ),
    ):
        pair = alternating({"ours": ours(command), "theirs": _other(theirs)}, rounds, until, least)
        findings.comparisons.append(
            Comparison(f"{work}{how}", project.size, pair["ours"], against, pair["theirs"], limit)
        )


def _other(command: Sequence[str]) -> Contender:
    return lambda: run(command).seconds
