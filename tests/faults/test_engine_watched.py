"""`manager watch` and an engine that dies: what it puts back, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.faults.engines import OwnEngine, needs_root
from tests.faults.test_watch import until_alert
from tests.fleet import Project, eventually
from tests.receiver import Receiver, alerting, watching

pytestmark = [pytest.mark.engine, needs_root]


def until_others(fleet: Project, before: dict[str, list[int]]) -> None:
    """Waits until these instances run as other processes than before."""
    eventually(
        lambda: all(bots.pids(fleet, name) not in ([], old) for name, old in before.items()),
        what="all are back",
    )


def test_only_what_the_engines_death_left_down_is_put_back(
    tmp_path: Path, receiver: Receiver, engine: OwnEngine, fault_image: str, note: Note, is_long: bool
) -> None:
    with new_project(tmp_path / "project", fault_image, environ=engine.environ) as fleet:
        alerting(fleet, receiver)
        run = ("one", "two") if is_long else ("one",)
        for port, name in enumerate((*run, "idle", "theirs")):
            bots.add(fleet, name, port)
        fleet.manager("up", "--wait")
        fleet.manager("stop", "idle")
        fleet.docker("stop", fleet.container("theirs"))
        as_wished = {**dict.fromkeys(run, "running"), "idle": "stopped", "theirs": "stopped"}
        with watching(fleet) as watch, bots.watched(fleet) as seen:
            until_alert(receiver, "theirs was stopped, but not by the manager")
            for _time in range(3 if is_long else 1):
                before = {name: bots.pids(fleet, name) for name in run}
                engine.kill()
                engine.start()
                until_others(fleet, before)
                bots.until(fleet, "running", *run)
                assert fleet.states() == as_wished
            eventually(
                lambda: receiver.text_with("the engine crashed and came back; started again: ", *run),
                what="it is said",
            )
            receiver.posts.clear()
            if is_long:
                engine.stop()
                eventually(
                    lambda: receiver.text_with("the Docker Engine does not answer"),
                    what="the engine is missed",
                )
                engine.start()
                until_alert(receiver, "the Docker Engine is back after")
                bots.until(fleet, "running", *run)
                assert fleet.states() == as_wished
            assert not receiver.text_with("one was stopped")
            assert not receiver.text_with("has no container")
            assert watch.process.poll() is None
        assert set(seen.most.values()) == {1}
    note(
        "dockerd dies under `watch`",
        "SIGKILL of dockerd alone; SIGTERM",
        4 if is_long else 1,
        "what ran is put back and said; what `manager stop` or `docker stop` stopped stays down; never two"
        " bots",
    )
