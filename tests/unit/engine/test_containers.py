"""Rows of the engine's list → instances and strays."""

from __future__ import annotations

from manager.engine import labels
from manager.engine.containers import observe
from tests.builders import FLEET_NAME, a_container, a_row


def test_labels_tell_everything() -> None:
    container = a_container()
    assert (
        container.instance,
        container.name,
        container.web_port,
        container.health,
        container.mode,
        container.stop_timeout,
    ) == (
        "bp_sol_01",
        "desk-bp_sol_01",
        5001,
        "healthy",
        "paper",
        50,
    )
    assert container.data_source == "/srv/desk/volumes/database/bp_sol_01"
    assert container.exit_code is None
    assert a_container(state="exited").exit_code == 137


def test_oneoff_containers_and_doubles_are_strays() -> None:
    run = a_row("a", Id="run", Names=["/desk-a-run-1"], labels={labels.COMPOSE_ONEOFF: "True"})
    double = a_row("a", Id="double", Names=["/aaa"])
    observed = observe([run, double, a_row("a")], FLEET_NAME)
    assert [container.id for container in observed.containers.values()] == ["id-of-a"]
    assert sorted(container.id for container in observed.strays) == ["double", "run"]


def test_a_row_without_labels_worth_reading_does_not_raise() -> None:
    container = a_container(labels={labels.WEB_PORT: "None", labels.STOP_TIMEOUT: "soon"}, Mounts=None)
    assert (container.web_port, container.stop_timeout, container.data_source) == (None, 50, None)
