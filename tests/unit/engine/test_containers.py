"""Rows of the engine's list → instances and strays."""

from __future__ import annotations

from manager.engine import labels
from manager.engine.containers import observe
from tests.builders import FLEET_NAME, a_container, a_row


def test_labels_tell_everything() -> None:
    found = a_container()
    assert (found.instance, found.name, found.web_port, found.health, found.mode, found.stop_timeout) == (
        "bp_sol_01",
        "desk-bp_sol_01",
        5001,
        "healthy",
        "paper",
        50,
    )
    assert found.data_source == "/srv/desk/volumes/database/bp_sol_01"
    assert found.exit_code is None
    assert a_container(state="exited").exit_code == 137


def test_oneoff_containers_and_doubles_are_strays() -> None:
    run = a_row("a", Id="run", Names=["/desk-a-run-1"], labels={labels.COMPOSE_ONEOFF: "True"})
    double = a_row("a", Id="double", Names=["/aaa"])
    found = observe([run, double, a_row("a")], FLEET_NAME)
    assert [container.id for container in found.containers.values()] == ["id-of-a"]
    assert sorted(container.id for container in found.strays) == ["double", "run"]


def test_a_row_without_labels_worth_reading_does_not_raise() -> None:
    found = a_container(labels={labels.WEB_PORT: "None", labels.STOP_TIMEOUT: "soon"}, Mounts=None)
    assert (found.web_port, found.stop_timeout, found.data_source) == (None, 50, None)
