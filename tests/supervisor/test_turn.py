"""A bot of many on one exchange is started in its turn."""

import json
import time
from typing import Any

from tests.supervisor.harness import Box, eventually


def write(box: Box, **content: Any) -> None:
    (box.root / "secrets/requests.json").write_text(json.dumps(content))


def waiting(box: Box) -> dict[str, Any]:
    """The state while the bot waits; the engine's check calls it not healthy yet."""
    state = eventually(lambda: box.state if box.state.get("why") == "waiting its turn" else None)
    assert (state["state"], state["bot_pid"]) == ("starting", None)
    assert state["reason"]["code"] == "waiting_turn"
    assert state["restarts"]["next_at"] > time.time()
    assert box.verdict.startswith("bad ")
    return state


def test_the_engine_starts_everything_at_once_and_each_bot_waits_its_phase(box: Box) -> None:
    write(box, phase=1.5)
    began = time.time()
    box.start()
    waiting(box)
    assert box.until("running")["bot_started_at"] >= began + 1.5
    assert "waiting 1.5 s for its turn" in box.daemon_log


def test_the_turn_that_the_manager_has_just_given_counts_and_not_the_phase(box: Box) -> None:
    now = time.time()
    write(box, phase=500, turn=now, turn_given=now)
    box.start()
    box.until("running")
    assert "turn" not in box.daemon_log


def test_a_crash_is_no_turn(box: Box) -> None:
    """Restarts have their own, jittered delay."""
    write(box, phase=0.2)
    box.start()
    box.kill(box.until("running")["bot_pid"])
    write(box, phase=500)
    box.until("running", total=1)


def test_a_stop_meanwhile_ends_it_at_once(box: Box) -> None:
    write(box, phase=500)
    life = box.start()
    waiting(box)
    began = time.monotonic()
    assert life.stop() == 0
    assert time.monotonic() - began < 60, "not after its phase"
    assert box.state["state"] == "stopped"
    assert "started the bot" not in box.daemon_log


def test_a_halt_meanwhile_needs_no_turn(box: Box) -> None:
    write(box, phase=500)
    box.start()
    waiting(box)
    (box.root / "secrets/halted").write_text('{"by": "halt", "nonce": "n1"}')
    assert box.until("stopped")["reason"]["code"] == "halted"
    assert box.state["restarts"]["next_at"] is None


def test_a_halted_bot_does_not_wait(box: Box) -> None:
    write(box, phase=500)
    (box.root / "secrets/halted").write_text('{"by": "halt", "nonce": "n1"}')
    box.start()
    assert box.until("stopped")["reason"]["code"] == "halted"


def test_a_turn_is_used_by_one_start_whatever_became_of_its_bot(box: Box) -> None:
    """An engine that is restarted after `up` stops all bots gracefully, and starts them at one moment."""
    now = time.time()
    write(box, phase=1.5, turn=now, turn_given=now)
    life = box.start()
    box.until("running")
    assert life.stop() == 0
    life = box.start()
    waiting(box)
    assert life.stop() == 0, "and while it waits"
    box.start()
    waiting(box)
    box.until("running")
