"""Rows of the engine's list → instances and strays."""

from __future__ import annotations

from typing import Any

import pytest

from manager.engine import client, labels, unreachable
from manager.engine.containers import observe
from manager.errors import EngineUnreachable
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


@pytest.mark.parametrize(
    "differing",
    [
        {"Labels": "botfleet.instance=a"},
        {"Created": "2026-11-30T01:00:00Z"},
        {"Created": None},
        {"Mounts": ["/data", "/app/logs"]},
        {"State": {"Status": "running"}},
        {"Status": 3},
    ],
)
def test_a_list_in_another_format_is_no_bug_of_ours(differing: dict[str, Any]) -> None:
    """Podman's own API has such rows, and so has what `docker ps --format json` prints."""
    with pytest.raises(EngineUnreachable, match="not a Docker Engine: its answer cannot be read"):
        observe([a_row("a", **differing)], FLEET_NAME)


@pytest.mark.parametrize("answer", [{}, {"message": "ok"}, [7]])
def test_whatever_else_answers_with_json_is_no_engine(
    monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    """A web server at DOCKER_HOST."""
    engine = client.Engine.__new__(client.Engine)
    monkeypatch.setattr(engine, "_call", lambda *_args: answer, raising=False)
    with pytest.raises(EngineUnreachable, match="not a Docker Engine"):
        observe(engine.containers([]), FLEET_NAME)
    with pytest.raises(EngineUnreachable, match="not a Docker Engine"):
        unreachable.image_id({"message": "ok"})


def test_an_empty_list_is_null_in_some_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = client.Engine.__new__(client.Engine)
    monkeypatch.setattr(engine, "_call", lambda *_args: None, raising=False)
    assert engine.containers([]) == []
