"""Bots of one exchange, and an engine that starts all of them at one moment: each waits for its phase."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.faults.engines import OwnEngine, needs_root
from tests.fleet import Project, eventually

pytestmark = [pytest.mark.engine, needs_root, pytest.mark.long_form]

INSTANCES = tuple(f"bot{number}" for number in range(7))
LIMITS = "[requests.slow]\naddress = 3000\nstart = 200\ntick = 1\n"
"""Twelve starts a minute: four at once, then one every five seconds."""
PHASES = [0, 0, 0, 0, 5, 10, 15]


def content(fleet: Project, folder: str, instance: str, name: str) -> dict[str, Any]:
    read = json.loads((fleet.folder / "volumes" / folder / instance / name).read_text())
    assert isinstance(read, dict)
    return read


def waits(fleet: Project) -> dict[str, tuple[float, float, float]]:
    """Return each bot's phase, when it was started, and how long after its supervisor."""
    starts = {}
    for instance in INSTANCES:
        state = content(fleet, "state", instance, "supervisor.json")
        began = state["bot_started_at"]
        phase = content(fleet, "secrets", instance, "requests.json")["phase"]
        starts[instance] = (phase, began, began - state["supervisor_started_at"])
    return starts


def test_an_engine_that_comes_back_starts_bots_of_one_exchange_spread(
    tmp_path: Path, engine: OwnEngine, fault_image: str, note: Note
) -> None:
    ways: dict[str, Callable[[], None]] = {
        "SIGKILL of everything": lambda: engine.kill(everything=True),
        "SIGTERM": engine.stop,
    }
    with new_project(tmp_path / "project", fault_image, LIMITS, engine.environ) as fleet:
        for port, instance in enumerate(INSTANCES):
            key = f"${{ONE_{port}}}"
            bots.add(
                fleet,
                instance,
                port,
                mode="live",
                metadata={"exchange": "slow"},
                exchange_config={"api_key": key, "secret_key": key},
            )
        keys = "".join(f"ONE_{port}=key-{port}\n" for port in range(len(INSTANCES)))
        (fleet.folder / ".env").write_text(keys)
        fleet.manager("up", "--wait")
        for way, end in ways.items():  # the first one within two minutes of the turns that `up` gave
            before = {instance: bots.pids(fleet, instance) for instance in INSTANCES}
            end()
            engine.start()
            eventually(
                lambda before=before: all(  # type: ignore[misc]
                    bots.pids(fleet, instance) not in ([], old) for instance, old in before.items()
                ),
                120,
                f"all bots run again after {way}",
            )
            bots.until(fleet, "running", *INSTANCES)
            starts = waits(fleet)
            assert sorted(round(phase) for phase, _began, _waited in starts.values()) == PHASES
            print(way, sorted((phase, round(waited, 1)) for phase, _began, waited in starts.values()))
            assert all(waited >= phase for phase, _began, waited in starts.values()), (way, starts)
            began = sorted(began for _phase, began, _waited in starts.values())
            assert began[-1] - began[0] >= 10
    note(
        "the engine is killed and comes back, with seven live bots of an exchange of 12 starts a minute",
        "SIGKILL of everything; SIGTERM of dockerd",
        len(ways),
        "each bot waits for its phase; the last one starts 15 s after the engine",
    )
