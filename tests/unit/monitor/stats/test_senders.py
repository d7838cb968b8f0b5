"""Who sends most from an address that an exchange refuses: named where one stands out, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.supervisor_state import Condition
from manager.monitor.stats import senders
from manager.monitor.stats.senders import EVERY_S, URGENT_EVERY_S, WINDOW_S, Group, Sender, Senders
from manager.monitor.stats.usage import Sample, Usage
from tests.fakes.sandbox import Sandbox

ETH, SOL = "bp_eth_02", "bp_sol_01"


def group(*packets: float, exchanges: str = "aaaa") -> Group:
    made = [
        Sender(f"b{number}", exchange, count, 100 * count)
        for number, (count, exchange) in enumerate(zip(packets, exchanges, strict=False))
    ]
    return Group("a", tuple(made), 300)


def test_one_that_stands_out_is_named() -> None:
    assert str(group(6000, 40, 30).text()) == (
        "probably because of b0, which sends 99 % of all from this address (6,000 packets a minute)"
    )
    assert [str(line) for line in group(6000, 40).lines()] == [
        "sent from this address within 5m:",
        "b0 (a): 6,000 packets a minute, 600 kB",
        "b1 (a): 40 packets a minute, 4 kB",
    ]
    assert len(group(*range(40, 0, -1), exchanges="a" * 40).lines()) == 1 + senders.MOST_LINES


@pytest.mark.parametrize("packets", [(40, 30, 30), (60, 40), (100,), (0, 0), (60, 21, 20), (59, 1)])
def test_where_nobody_stands_out_nobody_is_blamed(packets: tuple[float, ...]) -> None:
    made = group(*packets)
    assert made.culprit is None
    assert "another program may use this address" in str(made.text())


@pytest.mark.parametrize("packets", [(6000,), (3000, 3000), (70, 30, 30)])
def test_what_all_send_together_is_not_called_little(packets: tuple[float, ...]) -> None:
    """A fleet of one bot, or bots that flood alike: nothing is to be compared, and they may be the cause."""
    assert str(group(*packets).text()) == (
        f"no bot stands out: together they send {sum(packets):,} packets a minute from this address, which"
        " may be too much; another program may use it too"
    )
    less = group(*packets)._replace(least=sum(packets))
    assert "none of the fleet's bots sends conspicuously much" in str(less.text())


def test_who_receives_a_stream_or_sends_less_than_the_limit_is_not_the_cause() -> None:
    stream = group(6000, 40)
    first = stream.senders[0]
    assert stream._replace(senders=(first._replace(size=67 * 6000), *stream.senders[1:])).culprit is None
    assert stream._replace(least=6000).culprit == first
    assert stream._replace(least=6001).culprit is None


def test_a_bot_of_another_exchange_is_named_as_one() -> None:
    text = str(group(6000, 40, exchanges="ba").text())
    assert (
        text == "b0 sends 99 % of all from this address (6,000 packets a minute), though its config names b"
    )


class Machine:
    """An engine that tells what each container has sent, and a clock."""

    def __init__(self, snapshot: FleetSnapshot) -> None:
        self.now, self.asked = 0.0, 0
        self.packets = {container.id: 0 for container in snapshot.observed.containers.values()}

    def statistics(self, container: str) -> Mapping[str, Any]:
        self.asked += 1
        sent = self.packets[container]
        return {
            "memory_stats": {"usage": 1},
            "cpu_stats": {"cpu_usage": {"total_usage": 1}},
            "networks": {"eth0": {"rx_bytes": 0, "tx_bytes": 100 * sent, "tx_packets": sent}},
        }


def test_what_was_sent_within_five_minutes_counts(sandbox: Sandbox) -> None:
    snapshot = Session(sandbox.folder).observe()
    machine = Machine(snapshot)
    looks = Senders(machine.statistics, lambda: machine.now)
    containers = snapshot.observed.containers
    asked = []
    for second in range(0, 1200, 10):
        machine.now = float(second)
        machine.packets[containers[ETH].id] += 1 if second < 600 else 1000
        machine.packets[containers[SOL].id] += 2
        looks.look_if_due(snapshot)
        asked.append(machine.asked)
        sender_group = looks.group_of(SOL, snapshot)
        assert (sender_group is None) == (second < EVERY_S)
    assert machine.asked == len(containers) * 1200 / EVERY_S
    assert sender_group is not None
    assert WINDOW_S <= sender_group.seconds <= WINDOW_S + EVERY_S
    assert [(sender.instance, round(sender.packets)) for sender in sender_group.senders] == [
        (ETH, 6000),
        (SOL, 12),
    ]
    assert sender_group.culprit is not None
    assert sender_group.least == 1000, "half of Backpack's limit of an account"
    machine.packets[containers[ETH].id] = 5  # its container was started again
    for _look in range(2):
        machine.now += EVERY_S
        looks.look_if_due(snapshot)
        machine.packets[containers[ETH].id] += 2500
    again = looks.group_of(SOL, snapshot)
    assert again is not None
    assert again.culprit is not None
    assert (again.culprit.instance, again.culprit.packets) == (ETH, 2500 / EVERY_S * 60)


def test_bots_behind_a_proxy_have_another_address(sandbox: Sandbox) -> None:
    snapshot = Session(sandbox.folder).observe()
    machine = Machine(snapshot)
    looks = Senders(machine.statistics, lambda: machine.now)
    for machine.now in (0.0, 60.0):
        looks.look(snapshot.observed.containers.values())
    behind = snapshot._replace(env_values={**snapshot.env_values, ETH: {"HTTPS_PROXY": "http://10.0.0.1"}})
    together, alone = looks.group_of(SOL, snapshot), looks.group_of(SOL, behind)
    assert together is not None
    assert alone is not None
    assert (len(together.senders), len(alone.senders)) == (2, 1)


@pytest.mark.parametrize(
    ("code", "cause", "is_refused"),
    [
        ("exchange_away", "banned", True),
        ("exchange_away", "rate_limited", True),
        ("exchange_away", "maintenance", False),
        ("orders_refused", "banned", False),
    ],
)
def test_who_is_refused_for_the_number_of_requests(
    sandbox: Sandbox, code: str, cause: str, is_refused: bool
) -> None:
    views = dict(Session(sandbox.folder).observe().views)
    supervisor = views[SOL].supervisor
    assert supervisor is not None
    told = supervisor._replace(health_condition=Condition(code, {"cause": cause}))
    views[SOL] = views[SOL]._replace(supervisor=told)
    assert senders.refused(views) == ([SOL] if is_refused else [])
    snapshot = Session(sandbox.folder).observe()._replace(views=views)
    machine = Machine(snapshot)
    looks = Senders(machine.statistics, lambda: machine.now)
    for second in range(61):
        machine.now = float(second)
        looks.look_if_due(snapshot)
    every = URGENT_EVERY_S if is_refused else EVERY_S
    assert machine.asked == len(views) * (1 + 60 / every)


def test_what_somebody_else_has_measured_is_not_measured_again_unless_a_bot_is_refused(
    sandbox: Sandbox,
) -> None:
    snapshot = Session(sandbox.folder).observe()
    machine = Machine(snapshot)
    looks = Senders(machine.statistics, lambda: machine.now)
    measured: dict[str, Usage] = {}
    for second in range(0, 601, 10):
        machine.now = float(second)
        if second % 60 == 0:
            sample = Sample(machine.now, 0.0, 1, sent=100 * second, packets_sent=second)
            measured = {container: Usage(None, sample) for container in machine.packets}
        looks.look_if_due(snapshot, measured)
    assert machine.asked == 0
    sender_group = looks.group_of(SOL, snapshot)
    assert sender_group is not None
    assert {sender.packets for sender in sender_group.senders} == {60.0}
    machine.now += 100
    looks.look_if_due(snapshot, measured)
    assert machine.asked == len(machine.packets), "nobody measures any longer"
    supervisor = snapshot.views[SOL].supervisor
    assert supervisor is not None
    banned = supervisor._replace(health_condition=Condition("exchange_away", {"cause": "rate_limited"}))
    view = snapshot.views[SOL]._replace(supervisor=banned)
    machine.now += 5
    looks.look_if_due(snapshot._replace(views={**snapshot.views, SOL: view}), measured)
    assert machine.asked == 2 * len(machine.packets)


def test_a_fleet_of_which_nothing_is_new_is_not_looked_through_for_refused_bots_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, looked_through = Session(sandbox.folder).observe(), list[Mapping[str, Instance]]()

    def refused(views: Mapping[str, Instance]) -> list[str]:
        looked_through.append(views)
        return []

    monkeypatch.setattr(senders, "refused", refused)
    machine = Machine(snapshot)
    looks = Senders(machine.statistics, lambda: machine.now)
    for second in range(51):
        machine.now = float(second)
        looks.look_if_due(snapshot)
    assert len(looked_through) == 1
    machine.now += 1
    looks.look_if_due(snapshot._replace(views=dict(snapshot.views)))
    assert len(looked_through) == 2
