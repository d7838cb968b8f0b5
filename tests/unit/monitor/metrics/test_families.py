"""One look → metric families: what is unknown has no sample, and names do not change."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from manager.fleet import bot_report
from manager.fleet.bot_report import KeptReport
from manager.fleet.doing import Doing
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import State, Status
from manager.fleet.tombstone import Tombstone
from manager.monitor.metrics import families
from manager.monitor.metrics.families import FleetSample
from manager.monitor.metrics.targets import targets
from manager.monitor.stats.instance_stats import InstanceStats, with_best_report
from tests.builders import a_container, a_fleet, a_spec, some_figures

NOW = 1_764_500_100.0


def a_view(state: State = "running", saved: InstanceState | None = None, **report: object) -> Instance:
    raw = {"contract": 2, "at": NOW - 5, "quote": "USDC", "base": "SOL", "market": "live", **report}
    kept = KeptReport(bot_report.parse_report(raw), NOW - 5, has_ended=state == "completed")
    container = a_container("bp_sol_01")
    return Instance(
        "bp_sol_01", Status(state), (), a_spec(), container, None, saved or InstanceState(), report=kept
    )


def samples(*rows: InstanceStats, **changes: Any) -> dict[str, dict[tuple[str, ...], float]]:
    """Return metric → the values of its labels, by their names' order → value."""
    look = FleetSample("desk", "1.2.3", rows, NOW)._replace(**changes)
    by_name: dict[str, dict[tuple[str, ...], float]] = {}
    for family in families.families(look):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in sorted(sample.labels))
            by_name.setdefault(sample.name, {})[labels] = sample.value
    return by_name


def test_what_a_bot_says_and_uses() -> None:
    view = a_view(pnl="12.5", realized="14", fees="1.5", position="-0.6", open_orders=7, trades=3)
    row = with_best_report(view, some_figures(cpu=3.0, memory=4096).usage, None)
    metrics = samples(row, last_ticks={"bp_sol_01": NOW - 1})
    assert metrics["botfleet_bot_pnl"] == {
        ("USDC", "desk", "bp_sol_01", "total", "live", "paper"): 12.5,
        ("USDC", "desk", "bp_sol_01", "realized", "live", "paper"): 14.0,
        ("USDC", "desk", "bp_sol_01", "fees", "live", "paper"): 1.5,
    }
    assert metrics["botfleet_bot_position"] == {("SOL", "desk", "bp_sol_01"): -0.6}
    assert metrics["botfleet_bot_open_orders"] == {("desk", "bp_sol_01"): 7}
    assert metrics["botfleet_instance_memory_bytes"] == {("desk", "bp_sol_01"): 4096}
    assert metrics["botfleet_instance_cpu_seconds_total"] == {("desk", "bp_sol_01"): 1.0}
    assert metrics["botfleet_instance_last_tick_timestamp_seconds"] == {("desk", "bp_sol_01"): NOW - 1}
    assert metrics["botfleet_bot_report_timestamp_seconds"] == {("desk", "bp_sol_01"): NOW - 5}


def test_what_was_moved_to_another_machine_has_its_money_there() -> None:
    view = a_view(pnl="12.5", position="-0.6", trades=3)._replace(tombstone=Tombstone(1, "tokyo", "m"))
    metrics = samples(with_best_report(view, None, None))
    assert not {"botfleet_bot_pnl", "botfleet_bot_position"} & metrics.keys()
    assert metrics["botfleet_bot_trades"] == {("desk", "bp_sol_01"): 3}


def test_unknown_is_absent_and_never_zero() -> None:
    row = InstanceStats(some_figures(state="missing").view)
    metrics = samples(row)
    for name in (
        "botfleet_bot_pnl",
        "botfleet_bot_position",
        "botfleet_bot_open_orders",
        "botfleet_instance_memory_bytes",
        "botfleet_instance_cpu_seconds_total",
        "botfleet_instance_restarts_total",
        "botfleet_instance_last_tick_timestamp_seconds",
        "botfleet_backup_last_success_timestamp_seconds",
    ):
        assert name not in metrics, name


def test_every_state_and_everything_a_bot_may_do_has_a_series_and_one_is_true() -> None:
    metrics = samples(InstanceStats(a_view(condition={"code": "out_of_range", "params": {}})))
    states, activities = metrics["botfleet_instance_state"], metrics["botfleet_instance_doing"]
    assert {labels[0] for labels in states} == set(get_args(State))
    assert {labels[0] for labels in activities} == {*get_args(Doing), families.NOT_RUNNING}
    assert [labels[0] for labels, value in states.items() if value] == ["running"]
    assert [labels[0] for labels, value in activities.items() if value] == ["out of range"]


def test_a_person_who_stops_or_halts_wants_nothing() -> None:
    rows = {
        "run": a_view(),
        "stopped": a_view("stopped", InstanceState(wish="stopped")),
        "halted": a_view("stopped", InstanceState(halted="ran")),
        "orphan": a_view("orphan")._replace(spec=None),
    }
    assert {name: families.is_wanted(InstanceStats(view)) for name, view in rows.items()} == {
        "run": True,
        "stopped": False,
        "halted": False,
        "orphan": False,
    }


def test_what_a_limit_has_stopped_is_told_apart_from_what_a_person_has() -> None:
    """Neither is wanted any more: without it, the stop that a trader must hear of pages nobody."""
    name = "botfleet_last_stop_by_limit_timestamp_seconds"
    assert name not in samples()
    assert samples(limit_stop_at=NOW)[name] == {("desk",): NOW}


def test_what_moves_have_left_is_counted_where_it_is_known() -> None:
    assert not {"botfleet_moved_lost", "botfleet_moves_interrupted"} & samples().keys()
    moves = samples(moves=families.Moves(None, 2))
    assert "botfleet_moved_lost" not in moves
    assert moves["botfleet_moves_interrupted"] == {("desk",): 2}
    assert samples(moves=families.Moves(0, 0))["botfleet_moved_lost"] == {("desk",): 0}


def test_an_engine_that_is_away_is_said_and_the_last_look_stays() -> None:
    metrics = samples(
        with_best_report(a_view(position="1"), None, None), why_away="connection refused", last_backup=5.0
    )
    assert metrics["botfleet_engine_up"] == {("desk",): 0}
    assert metrics["botfleet_last_look_timestamp_seconds"] == {("desk",): NOW}
    assert metrics["botfleet_bot_position"]
    assert metrics["botfleet_backup_last_success_timestamp_seconds"] == {("desk",): 5.0}


def test_the_text_is_what_prometheus_parses_whatever_a_config_says() -> None:
    hostile = 'a"b\\c\nd{e="f"} 1'
    view = a_view()._replace(spec=a_spec())
    container = a_container("bp_sol_01", labels={"botfleet.symbol": hostile})
    look = FleetSample("desk", "1.2.3", [InstanceStats(view._replace(container=container))], NOW)

    class OneLook(Collector):
        def collect(self) -> list[Metric]:
            return families.families(look)

    registry = CollectorRegistry()
    registry.register(OneLook())
    parsed = {
        sample.labels["symbol"]
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if sample.name == "botfleet_instance_info"
    }
    assert parsed == {hostile.replace("\n", " ")}, "shown on one line, as everywhere"


def test_targets_are_the_bots_ports_in_order() -> None:
    second = a_view()._replace(id="a_first")
    gone = a_view("missing")._replace(id="gone", container=None)
    groups = targets(a_fleet(), (a_view(), second, gone))
    assert [(group["targets"], group["labels"]["id"]) for group in groups] == [
        (["127.0.0.1:5001"], "a_first"),
        (["127.0.0.1:5001"], "bp_sol_01"),
    ]


def test_a_target_of_an_ipv6_address_is_one_that_prometheus_can_read() -> None:
    groups = targets(a_fleet(bind_address="::1"), [a_view()])
    assert groups[0]["targets"] == ["[::1]:5001"]


def test_amounts_keep_their_sign() -> None:
    row = InstanceStats(a_view(pnl=str(Decimal("-0.00000001"))))
    row = with_best_report(row.view, None, None)
    assert next(iter(samples(row)["botfleet_bot_pnl"].values())) == -1e-08
