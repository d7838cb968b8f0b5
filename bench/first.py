"""Measure what the first `up` of a fleet does that no later one does, by part."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial

from bench.measure import Contender, Table, alternating
from bench.project import Project, Workshop

MOST_ROUNDS = 2
LATER = "nothing: a later `up`"
EVERYTHING = "everything"


def table(shop: Workshop, size: int, rounds: int, *, each_part: bool) -> Table:
    """Return the seconds of `up` from nothing, and of the same where one thing, or nothing at all, is
    remembered.
    """
    project = shop.project(size)
    state = project.folder / "volumes" / "state"
    without: dict[str, Callable[[], object]] = {
        LATER: lambda: None,
        "configs are read and checked": partial(shutil.rmtree, project.folder / "cache"),
        "Compose computes its hashes": partial((state / "compose-hashes.json").unlink, missing_ok=True),
        "a container tries the folders": partial((state / "probed.json").unlink, missing_ok=True),
        "folders are made": partial(_remove_folders, project),
        EVERYTHING: project.forget,
    }
    contenders = {
        name: _up_after(project, forget)
        for name, forget in without.items()
        if each_part or name in (LATER, EVERYTHING)
    }
    contenders[EVERYTHING]()  # so that there is something to forget
    samples = alternating(contenders, min(rounds, MOST_ROUNDS), shop.share(0.5))
    later = samples[LATER].median
    rows = [
        [name, f"{times.median:.2f} s", f"{1000 * (times.median - later):+.0f} ms"]
        for name, times in samples.items()
    ]
    words = f"`up` of {size}. In `{EVERYTHING}` the parts overlap: it is less than their sum."
    return Table("The first `up`, by part", ["what is done anew", "up", "more than later"], rows, words)


def _up_after(project: Project, forget: Callable[[], object]) -> Contender:
    def once() -> float:
        forget()
        seconds = project.manager("up").seconds
        project.settle()
        project.manager("down")
        return seconds

    return once


def _remove_folders(project: Project) -> None:
    """Remove the instances' folders; what the fleet remembers stays."""
    volumes = project.folder / "volumes"
    for folder in (*volumes.iterdir(), *(volumes / "state").iterdir()):
        if folder.is_dir() and folder.name != "state":
            shutil.rmtree(folder)
