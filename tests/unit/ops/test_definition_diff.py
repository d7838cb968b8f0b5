"""What `plan` says of a changed config: every argument, old → new."""

from __future__ import annotations

import pytest

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import container_config
from manager.engine.container_config import HostContext
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
    same = [str(change) for change in definition_diff.changes(before, old, fleet)]
    assert all(change.startswith("the variables of exchange_config") for change in same)
    assert sorted(str(change) for change in definition_diff.changes(before, new, fleet)) == sorted(
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
    assert definition_diff.changes({}, new, fleet), "whatever an engine says, or does not"


def test_what_is_no_argument_is_said_too() -> None:
    """All that the config's hash covers: a recreation without a cause helps nobody to decide."""
    fleet, spec = a_fleet(), a_spec()
    before = container_config.body(spec, fleet, HostContext(10001, 10001, (0, 0), "sha256:1", "h"))
    before = {"Config": before, "HostConfig": before["HostConfig"]}

    def differences(spec: InstanceSpec, fleet: Fleet) -> list[str]:
        return [str(change) for change in definition_diff.changes(before, spec, fleet)]

    assert differences(a_spec(daemon_config={"log_dir": "logs/x"}), fleet) == [
        "log_dir logs/bp_sol_01 → logs/x"
    ]
    assert differences(spec, a_fleet(bind_address="0.0.0.0")) == ["bind_address 127.0.0.1 → 0.0.0.0"]
    assert differences(spec, a_fleet(log_max_files=9)) == ["files of the engine's logs 3 → 9"]
    other = a_spec(exchange_config={"api_key": "${BP2_KEY}", "secret_key": "${BP2_SECRET}"})
    assert differences(other, fleet) == [
        "the variables of exchange_config or environment are other ones, now BP2_KEY, BP2_SECRET"
    ]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (["--pair", "A", "--pair", "B"], ["--pair", "C", "--pair", "B"], ["--pair A → C"]),
        (["--pair", "A"], ["--pair", "A", "--pair", "B"], ["--pair (2) none → B"]),
        (["--pair=A", "--pair=B"], ["--pair=A"], ["--pair (2) B → none"]),
        (["-v", "x", "--a", "1"], ["-v", "y", "--a", "1"], ["[1] x → y"]),
        (
            ["--pair", "A", "--pair", "B"],
            ["--pair", "B", "--pair", "A"],
            ["--pair A → B", "--pair (2) B → A"],
        ),
        (["--a", "1", "--b", "2"], ["--b", "2", "--a", "1"], ["arguments --a 1 --b 2 → --b 2 --a 1"]),
        (
            ["--pairs", f"{'A,' * 60}B"],
            ["--pairs", f"{'A,' * 60}C"],
            [f"--pairs …{'A,' * 20}B → …{'A,' * 20}C"],
        ),
        (["--pairs", "A," * 60], ["--pairs", "A," * 61], [f"--pairs …{'A,' * 20} → …{'A,' * 21}"]),
    ],
)
def test_an_argument_that_is_given_twice_moved_or_long_is_said_as_it_differs(
    before: list[str], after: list[str], lines: list[str]
) -> None:
    fleet, spec = a_fleet(), a_spec()
    old = container_config.body(spec, fleet, HostContext(10001, 10001, (0, 0), "sha256:1", "h"))
    inspected = {"Config": {**old, "Cmd": before}, "HostConfig": old["HostConfig"]}
    told = definition_diff.changes(inspected, spec._replace(command=tuple(after)), fleet)
    assert [str(line) for line in told] == lines
