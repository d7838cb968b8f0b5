"""A large fleet on an engine so busy that many answers come too late: slow is not gone, and no bot is left
down.
"""

from __future__ import annotations

from collections import Counter

import pytest

from manager.engine import client, http_socket
from manager.engine.client import Engine
from tests import cases
from tests.fakes.sandbox import BOTH, Sandbox
from tests.fakes.slow_http import SlowHttp

LATE = 0.15
"""Of every seven calls one is answered too late; so are the looks that tell slow from gone."""


def test_a_restart_an_upgrade_of_configs_and_a_halt_on_a_slow_engine(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart once ended with 5 and “run `make engine`” while the engine was only busy, and left two down."""
    size = 200 if cases.is_long else 30
    for number in range(size - len(BOTH)):
        sandbox.config(f"many_{number:03}", 6000 + number)
    sandbox.run("up")
    assert Counter(sandbox.states().values()) == {"running": size}
    slow = SlowHttp(sandbox.engine, sandbox.clock, LATE, 1)
    monkeypatch.setattr(http_socket, "call", slow)
    monkeypatch.setattr(client, "Engine", lambda *_parallelism: Engine())

    sandbox.calls()
    printed = sandbox.run("restart")
    assert sandbox.exit_code == 0, "\n".join(printed)
    assert Counter(sandbox.states().values()) == {"running": size}
    calls = {call.replace("desk-", "") for call in sandbox.calls()}
    assert {f"{verb} {name}" for verb in ("stop", "start") for name in sandbox.states()} <= calls
    assert slow.too_late["POST start"] > 1
    assert slow.too_late["POST stop"] > 1
    assert any("is slow" in line and "it is asked again" in line for line in printed)
    assert not any("no Docker Engine answers" in line for line in printed)

    for number in range(10):
        sandbox.config(f"many_{number:03}", 6000 + number, daemon_config={"memory_limit_mb": 96})
    printed = sandbox.run("up")
    assert sandbox.exit_code == 0, "\n".join(printed)
    assert Counter(sandbox.states().values()) == {"running": size}

    printed = sandbox.run("halt")
    assert sandbox.exit_code == 0, "\n".join(printed)
    assert Counter(sandbox.states().values()) == {"exited": size}
    assert slow.too_late["GET version"] > 1, "looks were late, too"


@pytest.mark.parametrize(
    ("takes_s", "lists_s"), [(2.0, 61.0), pytest.param(9.0, 100.0, marks=pytest.mark.long_form)]
)
def test_whatever_an_engine_takes_that_answers_no_bot_is_left_down_without_a_word(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, takes_s: float, lists_s: float
) -> None:
    """Each answer takes seconds, and each list a minute: as long as the engine was waited for at most."""
    size = 20
    for number in range(size - len(BOTH)):
        sandbox.config(f"many_{number:03}", 6000 + number)
    sandbox.run("up")
    slow = SlowHttp(sandbox.engine, sandbox.clock, 0.0, 1, takes_s, lists_s)
    monkeypatch.setattr(http_socket, "call", slow)
    monkeypatch.setattr(client, "Engine", lambda *_parallelism: Engine())
    for command, state in {
        "restart": "running",
        "stop": "exited",
        "start": "running",
        "halt": "exited",
        "resume": "running",
    }.items():
        printed = sandbox.run(command)
        assert sandbox.exit_code == 0, (command, "\n".join(printed))
        assert Counter(sandbox.states().values()) == {state: size}
        assert any("is slow" in line and "it is asked again" in line for line in printed)


@pytest.mark.parametrize("command", ["halt", "stop", "down"])
def test_who_stops_hears_soon_that_an_engine_which_answers_looks_has_no_list(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """One container can keep an engine from its list for ever: who halts must act by other means."""
    sandbox.run("up")
    slow = SlowHttp(sandbox.engine, sandbox.clock, 0.0, 1, 1.0, lists_s=float("inf"))
    monkeypatch.setattr(http_socket, "call", slow)
    monkeypatch.setattr(client, "Engine", lambda *_parallelism: Engine())
    began = sandbox.clock.time()
    printed = sandbox.run(command)
    assert sandbox.exit_code == 5, "\n".join(printed)
    assert sandbox.clock.time() - began < 360
    assert command != "halt" or "error: these bots still run and may trade: bp_eth_02, bp_sol_01" in printed
