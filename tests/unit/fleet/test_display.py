"""What a person reads."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from manager.cli import main
from manager.engine import labels
from manager.fleet import display, list_table, status
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.util import formatting
from tests.builders import UPTIME, a_container, a_spec


def a_view(
    instance: str = "bp_sol_01", engine: str = "running", created: float = 1_764_500_000, **changes: Any
) -> Instance:
    container = a_container(instance, engine, Created=int(created), **changes)
    derived = status.derive_status(container, None, configured=True, uptime=UPTIME)
    return Instance(instance, derived, (), None, container, None, InstanceState())


def test_the_list_is_the_old_one_with_english_heads() -> None:
    started = datetime(2025, 11, 30, 19, 0, 0).timestamp()
    assert list_table.list_table(
        [a_view(created=started), a_view("bp_eth_02", "exited", started + 60)], {"bp_sol_01": 12345}
    ) == (
        "Instance ID          PID        Web port   Config file                              Started\n"
        + "-" * 116
        + "\n🟢 bp_sol_01          12345      5001       config/active/bp_sol_01.json             2025-11-30"
        " 19:00:00"
        + "\n🔴 bp_eth_02          -          5001       config/active/bp_eth_02.json             2025-11-30"
        " 19:01:00"
    )
    assert list_table.list_table([], {}) == "no running instances"


def test_ps_objects_have_at_least_the_promised_keys() -> None:
    (row,) = display.ps_objects([a_view()])
    assert {"id", "state", "drifted", "mode", "web_port", "health", "restarts", "since"} <= set(row)
    assert (row["state"], row["health"], row["web_port"]) == ("running", "healthy", 5001)


def test_the_ps_table_says_why() -> None:
    text = display.ps_table([a_view("a", "exited", time.time() - 125)]).text
    assert text.splitlines()[1].split() == [
        "a",
        "paper",
        "stopped",
        "5001",
        "0",
        "2m",
        *("not", "stopped", "by", "the", "manager:"),
        "container",
        "exit",
        "code",
        "137",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0s"), (59.9, "59s"), (60, "1m"), (3661, "1h01m"), (172_799, "47h59m"), (172_800, "2d")],
)
def test_ages(seconds: float, expected: str) -> None:
    assert formatting.age(seconds) == expected


def test_a_running_orphan_is_shown_as_running() -> None:
    container = a_container()
    derived = status.derive_status(container, None, configured=False, uptime=UPTIME)
    view = a_view()._replace(status=derived)
    assert (derived.state, derived.underlying, derived.is_running) == ("orphan", "running", True)
    assert "🟢 bp_sol_01" in list_table.list_table([view], {})
    stopped = status.derive_status(a_container(state="exited"), None, configured=False, uptime=UPTIME)
    assert not stopped.is_running


def test_what_a_container_was_made_with_is_shown_before_what_its_config_asks_for() -> None:
    view = a_view(labels={labels.EXCHANGE: "aster"})._replace(spec=a_spec())
    (row,) = display.ps_objects([view])
    assert (row["exchange"], row["symbol"]) == ("aster", "SOL_USDC_PERP")
    assert display.ps_table([view]).text.splitlines()[1].split()[4:6] == ["aster", "SOL_USDC_PERP"]


def test_a_bare_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 2
    assert "manager up --wait" in capsys.readouterr().err
