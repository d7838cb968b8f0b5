"""Rows about a fleet of three: what a person waits for is the interpreter's start and what comes before the
first engine call.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.measure import Comparison, Contender, Findings, alternating
from bench.project import Workshop
from bench.shell import run

SIZE = 3
AIM = 4.0
"""Times the start of an interpreter that does nothing: the machine falls out of it."""


def rows(shop: Workshop, findings: Findings, rounds: int) -> None:
    """Compare short commands with `python -c pass`, and those that the engine's tools have with theirs."""
    project = shop.project(SIZE)
    first, rounds = project.ids[0], max(rounds, 1)
    project.manager("up")
    project.settle()

    def ours(*words: str) -> Contender:
        return lambda: project.manager(*words).seconds

    commands: dict[str, Contender] = {
        "status of one": ours("status", first),
        "ps": ours("ps"),
        "list": ours("list"),
        "up, nothing to do": ours("up"),
    }
    contenders = {"bare": lambda: run([sys.executable, "-c", "pass"]).seconds, **commands}
    samples = alternating(contenders, rounds, shop.share(0.05))
    findings.comparisons += [
        Comparison(work, SIZE, samples[work], "python -c pass", samples["bare"], AIM) for work in commands
    ]
    container = project.container(first)
    for work, command, against, theirs, limit in (
        ("ps", ["ps"], "compose -p NAME ps", ["docker", "compose", "-p", project.name, "ps"], 1.0),
        (
            "logs --tail 100",
            ["logs", "--tail", "100", first],
            "docker logs --tail 100",
            ["docker", "logs", "--tail", "100", container],
            1.5,
        ),
    ):
        pair = alternating({"ours": ours(*command), "theirs": _other(theirs)}, rounds, shop.share(0.05))
        findings.comparisons.append(Comparison(work, SIZE, pair["ours"], against, pair["theirs"], limit))
    project.remove_containers()


def _other(command: Sequence[str]) -> Contender:
    return lambda: run(command).seconds
