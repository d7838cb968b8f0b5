"""What `plan` says of a changed config: every argument, old → new."""

from __future__ import annotations

from manager.ops.planning import definition_diff
from tests.builders import a_fleet, a_spec


def test_each_argument_variable_and_limit_is_said_old_and_new() -> None:
    fleet = a_fleet()
    old = a_spec(
        strategy_config={"stop_loss": 50, "enable_boundary_check": True}, daemon_config={"restart_delay": 9}
    )
    new = a_spec(
        strategy_config={"grid_lower_price": 150, "take_profit": 7, "enable_boundary_check": False},
        daemon_config={"memory_limit_mb": 512},
        mode="live",
    )
    before = {
        "Config": {
            "Cmd": list(old.command),
            "Env": [
                *(f"{name}={value}" for name, value in old.environment().items()),
                "PATH=/bin",
                "BOTFLEET_BOT_COMMAND=x",
            ],
        },
        "HostConfig": {"Memory": old.memory, "NanoCpus": old.nano_cpus, "PidsLimit": fleet.pids_limit},
    }
    assert [str(each) for each in definition_diff.changes(before, old, fleet)] == []
    assert sorted(str(each) for each in definition_diff.changes(before, new, fleet)) == sorted(
        [
            "--grid-lower 140 → 150",
            "--take-profit none → 7",
            "--disable-boundary-check none → set",
            "--stop-loss 50 → none",
            "--enable-boundary-check set → none",
            "BOTFLEET_RESTART_DELAY 9 → 60",
            "TRADING_MODE paper → live",
            "memory (MiB) 2048 → 512",
        ]
    )
    assert definition_diff.changes({}, new, fleet)  # whatever an engine says, or does not
