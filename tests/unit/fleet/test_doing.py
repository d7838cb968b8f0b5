"""What a bot is doing: one total function over states, reports and health, and nothing calm that is not."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from manager.engine import labels
from manager.fleet import bot_report, causes, condition_messages, display, doing, leftovers, supervisor_state
from manager.fleet.bot_report import KeptReport
from manager.fleet.doing import Severity
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState, Wish
from manager.fleet.status import STOPPING, State, Status
from manager.fleet.supervisor_state import Condition
from manager.i18n import Text
from manager.monitor.stats import columns as stats_columns
from manager.monitor.stats import instance_stats
from manager.util import formatting
from tests.builders import a_container, a_spec, a_supervisor_file

NOW = 1_764_500_100.0
CODES = [*doing.BY_CODE, "something_new", None]


def kept(code: str | None, position: str | None = "0", **more: Any) -> KeptReport:
    """A supervisor's copy, as it reads one from the file."""
    condition = None if code is None else {"code": code, "params": more.pop("params", {})}
    report = {
        "contract": 2,
        "at": more.pop("at", NOW - 5),
        "final": more.pop("final", False),
        "condition": condition,
        "position": position,
        "min_order": more.pop("min_order", None),
        "base": "SOL",
        "reason": more.pop("reason", None),
        "price_at": more.pop("price_at", None),
        "pnl": "7",
        "quote": "USDC",
    }
    return KeptReport(
        bot_report.parse_report(report),
        report["at"],
        more.pop("has_ended", False),
        more.pop("is_previous", False),
    )


def last(code: str | None, position: str | None = "0", **more: Any) -> KeptReport:
    return kept(code, position, final=True, has_ended=True, **more)


def a_view(
    tmp_path: Path,
    state: State,
    report: KeptReport | None,
    health: dict[str, Any] | None = None,
    **changes: Any,
) -> Instance:
    file = a_supervisor_file(state, **changes)
    if health is not None:
        file["health"]["condition"] = health
    (tmp_path / "supervisor.json").write_text(json.dumps(file))
    supervisor = supervisor_state.read(tmp_path)
    assert supervisor is not None
    return Instance(
        "bp_sol_01",
        Status(state, why=supervisor.message),
        (),
        None,
        a_container(),
        supervisor,
        InstanceState(),
        report=report,
    )


def a_live_view(tmp_path: Path, state: State, report: KeptReport | None, **changes: Any) -> Instance:
    view = a_view(tmp_path, state, report, **changes)
    return view._replace(container=a_container(labels={labels.MODE: "live"}))


@pytest.mark.parametrize("state", get_args(State))
@pytest.mark.parametrize("code", CODES)
def test_total(tmp_path: Path, state: State, code: str | None) -> None:
    for report in (None, kept(code), last(code), kept(code, is_previous=True), kept(code, None, at=1.0)):
        for health in (None, {"code": code or "x", "params": {}, "since": NOW}):
            view = a_view(tmp_path, state, report, health)
            assert doing.activity(view, NOW).doing in {*get_args(doing.Doing), None}
            assert doing.severity(view, NOW) in get_args(Severity)
            causes.note(view)


@pytest.mark.parametrize(
    ("state", "report", "expected", "severity"),
    [
        ("running", kept("trading"), "trading", "calm"),
        ("running", kept("paused"), "paused", "note"),
        ("running", kept("out_of_range"), "out of range", "note"),
        ("running", kept("something_new"), "unknown", "calm"),
        ("running", None, "unknown", "calm"),  # a bot of contract 1
        ("running", kept("trading", at=NOW - 1000), "unknown", "warn"),  # it reports no more
        ("running", kept("trading", is_previous=True), "unknown", "calm"),
        ("running", kept("stopped_out", "4.5"), "stopped out", "bad"),
        ("starting", None, None, "note"),
        ("completed", last("finished"), "finished", "calm"),
        ("completed", last("finished", "4.5"), "finished", "warn"),
        ("completed", last("stopped_out"), "stopped out", "warn"),
        ("completed", last("stopped_out", "4.5"), "stopped out", "bad"),
        ("completed", last("stopped_out", None), "stopped out", "bad"),  # unknown is not flat
        ("completed", last("finished", None), "finished", "warn"),
        ("completed", None, "unknown", "warn"),
        ("completed", kept("finished", has_ended=True), "unknown", "warn"),  # not its last word
        ("completed", last("trading"), "unknown", "warn"),
        ("failed", last("trading"), None, "bad"),
        ("failed", last("stopped_out", "1"), "stopped out", "bad"),
        ("restarting", last(None), None, "warn"),
        ("running", last("trading"), "unknown", "calm"),  # of a run that has ended
        ("completed", last("finished", is_previous=True), "unknown", "warn"),  # of the run before
        ("failed", last("stopped_out", is_previous=True), None, "bad"),
        ("stopped", last("trading"), None, "off"),
        ("missing", None, None, "off"),
    ],
)
def test_two_words(
    tmp_path: Path, state: State, report: KeptReport | None, expected: str | None, severity: str
) -> None:
    view = a_view(tmp_path, state, report)
    assert (doing.activity(view, NOW).doing, doing.severity(view, NOW)) == (expected, severity)


def test_a_bot_that_is_suspended_does_nothing_of_what_it_said_last(tmp_path: Path) -> None:
    view = a_view(tmp_path, "unhealthy", kept("trading"))
    paused = view._replace(status=view.status._replace(detail="paused"))
    assert (doing.activity(view, NOW).doing, doing.activity(paused, NOW).doing) == ("trading", "unknown")


@pytest.mark.parametrize(
    ("changes", "severity", "paper"),
    [
        ({}, "bad", "warn"),
        ({"wish": "stopped"}, "off", "off"),
        ({"halted": "ran"}, "off", "off"),
        ({"taken_down_at": NOW}, "off", "off"),
        ({"taken_down_at": 1.0}, "bad", "warn"),  # and was started since
        ({"registered_at": None}, "off", "off"),  # never started
    ],
)
def test_what_is_down_and_nobody_has_stopped_is_not_calm(
    tmp_path: Path, changes: dict[str, Any], severity: str, paper: str
) -> None:
    """Orders of a live bot whose container was killed or removed rest, and nobody answers their fills."""
    saved = InstanceState(**{"registered_at": "2026-03-20T08:00:00", **changes})
    for mode, expected in (("live", severity), ("paper", paper)):
        container = a_container("bp_sol_01", "exited", labels={labels.MODE: mode})
        view = a_view(tmp_path, "missing", kept("trading", "1"))._replace(saved=saved)
        gone = view._replace(container=None, spec=a_spec("bp_sol_01", mode=mode))
        assert doing.severity(gone, NOW) == expected
        if not {"taken_down_at", "registered_at"} & {*changes}:
            killed = view._replace(container=container, status=Status("stopped"))
            assert doing.severity(killed, NOW) == expected


def test_a_live_bot_that_was_killed_may_have_left_orders(tmp_path: Path) -> None:
    container = a_container("bp_sol_01", "exited", labels={labels.MODE: "live"})
    killed = a_view(tmp_path, "running", kept("trading", "1"))._replace(
        container=container, status=Status("stopped")
    )
    assert "it was killed: whether orders are left is unknown" in causes.note(killed)
    ended = Status("stopped", why=Text("container exit code {code}", code=137))
    registered = InstanceState(registered_at="2026-03-20T08:00:00")
    unasked = killed._replace(status=ended, saved=registered)
    assert causes.note(unasked).startswith("not stopped by the manager: container exit code 137; ")
    asked = unasked._replace(saved=registered._replace(wish="stopped"))
    assert "by the manager" not in causes.note(asked)
    said_goodbye = a_view(tmp_path, "stopped", kept("trading", "1"))._replace(container=container)
    assert said_goodbye.supervisor is not None
    last_exit = supervisor_state.LastExit(0, None, oom=False, killed=False, at=NOW, why="", stderr_tail=())
    word = said_goodbye.supervisor._replace(last_exit=last_exit)
    by_docker_stop = said_goodbye._replace(status=ended, saved=registered, supervisor=word)
    assert causes.stopped_by_others(by_docker_stop, NOW + 1) is None, "a restart stops it too"
    assert causes.stopped_by_others(by_docker_stop, NOW + 60) is not None
    assert "killed" not in causes.note(said_goodbye)


@pytest.mark.parametrize(
    ("was_killed", "orders_left", "is_unknown"), [(True, None, True), (True, 0, False), (False, None, False)]
)
def test_a_live_bot_that_its_stop_had_to_kill_may_have_left_orders(
    tmp_path: Path, was_killed: bool, orders_left: int | None, is_unknown: bool
) -> None:
    last_exit: dict[str, Any] = {
        "code": None,
        "signal": "SIGKILL",
        "oom": False,
        "killed": was_killed,
        "at": NOW,
        "why": "SIGKILL",
        "stderr_tail": [],
    }
    report = kept("trading", "0", has_ended=True)._replace(orders_left=orders_left)
    view = a_live_view(tmp_path, "stopped", report, last_exit=last_exit)
    view = view._replace(saved=InstanceState(wish="stopped"))
    assert ("it was killed: whether orders are left is unknown" in causes.note(view)) == is_unknown
    on_paper = a_view(tmp_path, "stopped", report, last_exit=last_exit)
    assert "orders" not in causes.note(on_paper)


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (None, "the exchange is out of reach"),
        ("SIGKILL", "2026-12-01 12:39:20 WARNING the exchange is out of reach"),
    ],
)
def test_what_a_killed_bot_has_last_warned_of_is_told_with_its_time(
    tmp_path: Path, signal: str | None, words: str
) -> None:
    """It may be long past: a bot that is killed cannot say why."""
    line = "2026-12-01 12:39:20 WARNING the exchange is out of reach"
    last_exit = {
        "code": None if signal else 1,
        "signal": signal,
        "oom": False,
        "killed": False,
        "at": NOW,
        "why": "ended",
        "stderr_tail": [line, ""],
    }
    view = a_view(tmp_path, "failed", None, why="ended", last_exit=last_exit)
    assert causes.last_words(view) == words
    assert causes.note(view) == f"ended: {words}"


@pytest.mark.parametrize("state", ["completed", "failed"])
@pytest.mark.parametrize(
    ("report", "orders_left", "severity", "note"),
    [
        (last("finished"), 3, "bad", "3 open orders left"),
        (last("finished"), 0, "calm", ""),
        (last("finished"), None, "calm", ""),  # a last word without a count, as of a bot that has none
        (kept("trading", "1", has_ended=True), None, "bad", "whether orders are left is unknown"),
        (kept("trading", "0", has_ended=True), None, "warn", "whether orders are left is unknown"),
        (None, None, "warn", "whether orders are left is unknown"),
    ],
)
def test_orders_that_a_live_bot_has_left_at_its_end_are_no_calm_matter(
    tmp_path: Path, state: State, report: KeptReport | None, orders_left: int | None, severity: str, note: str
) -> None:
    report = report and report._replace(orders_left=orders_left)
    view = a_live_view(tmp_path, state, report, why="exit code 0")
    assert doing.severity(view, NOW) == (severity if state == "completed" else "bad")
    text = causes.note(view)
    assert (note in text) if note else ("orders" not in text)
    assert "orders" not in causes.note(a_view(tmp_path, state, report, why="exit code 0")), (
        "paper leaves none"
    )


def test_orders_that_are_being_cancelled_are_told_by_that_alone(tmp_path: Path) -> None:
    cancel = {
        "state": "failing",
        "open_orders_left": 3,
        "tries": 1,
        "at": NOW,
        "next_at": None,
        "why": "exit code 4",
    }
    report = kept("trading", has_ended=True)._replace(orders_left=3)
    note = causes.note(a_live_view(tmp_path, "failed", report, cancel=cancel, why="SIGKILL"))
    assert "its orders are NOT cancelled yet" in note
    assert "orders left" not in note


@pytest.mark.parametrize("wish", ["run", "stopped"])
@pytest.mark.parametrize(
    ("cancel_state", "known", "asked_since", "note", "is_bad"),
    [
        ("running", None, None, "whether orders are left is unknown", False),
        ("failing", 2, None, "2 open orders left", True),
        ("failing", 2, 0, "", False),
        ("confirmed", 0, None, "", False),
        (None, None, None, "whether orders are left is unknown", False),  # of an image without such a program
    ],
)
def test_a_container_that_ended_before_its_bots_orders_were_cancelled_is_not_silent_about_them(
    tmp_path: Path,
    wish: Wish,
    cancel_state: str | None,
    known: int | None,
    asked_since: int | None,
    note: str,
    is_bad: bool,
) -> None:
    progress = {"state": cancel_state, "open_orders_left": known, "tries": 1, "why": None}
    report = kept("trading", has_ended=True)._replace(orders_left=asked_since)
    failed = a_live_view(tmp_path, "failed", report, cancel=cancel_state and progress, why="SIGKILL")
    ended = failed._replace(
        status=Status("stopped"),
        container=a_container("bp_sol_01", "exited", labels={labels.MODE: "live"}),
        saved=InstanceState(registered_at="2026-03-20T08:00:00", wish=wish),
    )
    text = causes.note(ended)
    assert (note in text) if note else ("orders" not in text)
    assert doing.severity(ended, NOW) == ("bad" if is_bad or wish == "run" else "off")


def test_a_bot_that_is_being_stopped_is_not_red(tmp_path: Path) -> None:
    view = a_live_view(tmp_path, "running", kept("trading"))
    assert doing.severity(view._replace(status=Status("unhealthy", STOPPING)), NOW) == "note"


def test_real_money_that_waits_out_of_its_range_is_no_mere_note(tmp_path: Path) -> None:
    assert doing.severity(a_live_view(tmp_path, "running", kept("out_of_range")), NOW) == "warn"


@pytest.mark.parametrize(
    ("code", "expected", "severity"),
    [
        ("exchange_away", "exchange away", "warn"),
        ("orders_refused", "orders refused", "bad"),
        ("ledger_differs", "ledger differs", "bad"),
    ],
)
def test_a_degraded_bot_is_what_its_health_says(
    tmp_path: Path, code: str, expected: str, severity: str
) -> None:
    health = {"code": code, "params": {"cause": "maintenance"}, "since": NOW - 60}
    view = a_view(tmp_path, "running", kept("trading"), health)
    assert (doing.activity(view, NOW).doing, doing.severity(view, NOW)) == (expected, severity)
    well = a_view(tmp_path, "running", kept(code, at=NOW - 50))
    assert doing.activity(well, NOW).doing == "trading", "it was asked since, and was well"
    newer = a_view(tmp_path, "running", kept(code))
    assert doing.activity(newer, NOW).doing == expected, "it was asked before"


@pytest.mark.parametrize(("interval", "late_after"), [(1, 122), (30, 180), (300, 720)])
def test_a_report_may_be_as_old_as_two_probes_take(tmp_path: Path, interval: int, late_after: int) -> None:
    for age, expected in ((late_after, "trading"), (late_after + 1, "unknown")):
        view = a_view(tmp_path, "running", kept("trading", at=NOW - age), health_interval=interval)
        assert doing.activity(view, NOW).doing == expected, age


@pytest.mark.parametrize(
    ("state", "report", "text"),
    [
        ("running", kept("trading"), "trading"),
        ("completed", last("stopped_out"), "stopped out"),
        ("completed", None, "unknown"),
        ("unhealthy", kept("trading"), "unhealthy"),
        ("failed", last("stopped_out"), "failed"),
        ("starting", None, "starting"),
        ("stopped", None, "stopped"),
    ],
)
def test_one_word_for_a_table_that_has_no_room_for_two(
    tmp_path: Path, state: State, report: KeptReport | None, text: str
) -> None:
    at_work = report and report._replace(at=time.time(), report=report.report._replace(at=time.time()))
    assert display.state_or_doing(a_view(tmp_path, state, at_work)) == text


def test_what_an_ended_bot_has_left_is_said(tmp_path: Path) -> None:
    report = last("stopped_out", "4.5", params={"by": "stop_loss", "limit": "50", "value": "-51.2"})
    note = causes.note(a_view(tmp_path, "completed", report, why="exit code 0"))
    assert note == "stop loss 50 reached: -51.2; position left: 4.5 SOL"
    terse = a_view(tmp_path, "completed", last("stopped_out", "4.5"), why="exit code 0")
    assert causes.note(terse) == "exit code 0; position left: 4.5 SOL"
    unexplained = a_view(tmp_path, "completed", None, why="exit code 0 (no report)")
    assert causes.note(unexplained) == "exit code 0 (no report)"


@pytest.mark.parametrize("key", condition_messages.SENTENCES)
def test_every_condition_has_a_sentence_in_every_language(key: tuple[str, str]) -> None:
    code, variant = key
    names = ("price", "bound", "error", "account", "ledger", "limit", "value")
    params: dict[str, object] = dict.fromkeys(names, "1")
    if code in condition_messages.VARIANT:
        params[condition_messages.VARIANT[code]] = variant
    assert str(condition_messages.message(Condition(code, params), None, NOW))
    assert condition_messages.message(Condition(code, {}), "its own words", NOW) is not None


def test_an_outage_says_since_when_and_what_rests_there() -> None:
    condition = Condition("exchange_away", {"cause": "banned", "open_orders": 6, "since": NOW - 1020})
    assert str(condition_messages.message(condition, None, NOW)) == (
        "the exchange has banned this address for a time, for 17m; 6 orders rest there"
    )
    condition = Condition("exchange_away", {"cause": "banned", "since": NOW - 60, "retry_at": NOW + 7200})
    assert str(condition_messages.message(condition, None, NOW)) == (
        "the exchange has banned this address for a time, for 1m; it is asked again in 2h00m"
    )


@pytest.mark.parametrize(
    "raw",
    [
        {"code": "X" * 10_000, "params": []},
        {"code": "out_of_range", "params": {"side": "above", "price": "\x1b[2J" * 1000, "bound": {}}},
        {"code": "exchange_away", "params": {"open_orders": 1e300, "since": -1e300, "cause": "\n{0.x}"}},
        {"code": "exchange_away", "params": {"retry_at": 1e300, "cause": "banned"}},
        {"code": "stopped_out", "params": {"by": "stop_loss", "limit": "{value.__class__}", "value": None}},
    ],
)
def test_hostile_conditions_are_bounded(raw: Any) -> None:
    condition = supervisor_state.condition(raw)
    assert condition is not None
    text = str(condition_messages.message(condition, "a\x1b]0;b", NOW) or "")
    assert len(text) < 1000
    assert "\x1b[" not in text


@pytest.mark.parametrize("raw", [{"code": 1}, {"code": []}, {}, [], "trading", None])
def test_what_has_no_code_is_no_condition(raw: Any) -> None:
    assert supervisor_state.condition(raw) is None


@pytest.mark.parametrize(
    ("content", "report"),
    [
        *((content, None) for content in ("", "{", "[]", "null", '"x"', "[" * 5000)),
        *((content, bot_report.parse_report({})) for content in ('{"report": 1}', '{"report": []}')),
    ],
)
def test_a_broken_copy_is_no_report(tmp_path: Path, content: str, report: bot_report.Report | None) -> None:
    (tmp_path / "report.json").write_text(content)
    kept_report = bot_report.read_kept(tmp_path)
    assert (None if kept_report is None else kept_report.report) == report


def test_a_bots_own_file_in_the_old_place_is_a_report_of_contract_1(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"open_orders_left": 2, "why": "done"}')
    kept_report = bot_report.read_kept(tmp_path)
    assert kept_report is not None
    assert (kept_report.has_ended, kept_report.report.contract) == (True, None)
    assert supervisor_state.open_orders_left(tmp_path) == 2
    assert doing.activity(a_view(tmp_path, "completed", kept_report), NOW).doing == "unknown"


def test_a_dead_bots_reason_is_whole_and_without_stamp_and_level(tmp_path: Path) -> None:
    sentence = "the exchange refused: " + "a long sentence that nobody cuts, " * 5 + "end"
    for line in (
        f"2026-11-28T04:12:03.123Z ERROR {sentence}",
        f"2026-11-28 04:12:03,123 [ERROR] {sentence}",
        f"[2026-11-28 04:12:03 +0800] CRITICAL: {sentence}",
        f"ERROR: {sentence}",
        sentence,
    ):
        assert causes.without_stamp(line) == sentence
    assert causes.without_stamp("2026-11-28 04:12:03") == "2026-11-28 04:12:03"
    exit_ = {
        "code": 4,
        "signal": None,
        "oom": False,
        "killed": False,
        "at": NOW,
        "why": "exit code 4",
        "stderr_tail": [f"2026-11-28 04:12:03 ERROR {sentence}", " "],
    }
    view = a_view(tmp_path, "failed", None, why="exit code 4", last_exit=exit_)
    assert causes.note(view) == f"exit code 4: {sentence}"
    own = view._replace(report=last(None, reason="cannot use the database"))
    assert causes.note(own) == "exit code 4: cannot use the database"


def test_how_far_a_failed_live_bots_orders_are_cancelled(tmp_path: Path) -> None:
    cancel = {"state": "failing", "open_orders_left": None, "tries": 3, "why": "exit code 1", "reason": None}
    view = a_view(tmp_path, "failed", None, why="exit code 4", cancel=cancel)
    assert causes.note(view) == "exit code 4; its orders are NOT cancelled yet: exit code 1 (try 3)"
    tail = ["2026-11-28 04:12:03 WARNING cannot cancel", "backpack refused: the key has expired", ""]
    with_tail = a_view(tmp_path, "failed", None, why="exit code 4", cancel={**cancel, "stderr_tail": tail})
    assert causes.note(with_tail).endswith("yet: exit code 1: backpack refused: the key has expired (try 3)")
    done = a_view(tmp_path, "failed", None, why="exit code 4", cancel={**cancel, "state": "confirmed"})
    assert causes.note(done) == "exit code 4; its orders are cancelled"


@pytest.mark.parametrize(
    ("state", "report", "severity", "note"),
    [
        ("stopped", last("finished", "0.3", params={"by": "duration"}), "warn", "position left: 0.3 SOL"),
        ("stopped", last("stopped_out", "0.3", params={"by": "stop_loss"}), "bad", "position left: 0.3 SOL"),
        ("stopped", last("stopped_out", "0", params={"by": "stop_loss"}), "off", None),
        ("stopped", last("trading", "0.3"), "off", "position left: 0.3 SOL"),
        ("stopped", last("trading", None), "off", "its position is not known"),
        ("failed", kept("trading", "0.3", has_ended=True), "bad", "last known position: 0.3 SOL"),
        ("failed", kept("trading", "0", has_ended=True), "bad", None),
        ("stopped", None, "off", None),
    ],
)
def test_real_money_that_is_left_is_said_whatever_the_state(
    tmp_path: Path, state: State, report: KeptReport | None, severity: str, note: str | None
) -> None:
    view = a_live_view(tmp_path, state, report)
    assert doing.severity(view, NOW) == severity
    parts = causes.note(view).split("; ")
    assert (note in parts) if note else ("position" not in causes.note(view))
    paper = a_view(tmp_path, "stopped", report)
    assert (doing.severity(paper, NOW), "position" in causes.note(paper)) == ("off", False)


def test_the_exchanges_own_figure_comes_first(tmp_path: Path) -> None:
    report = last("stopped_out", "0", params={"by": "stop_loss"})
    held = report._replace(report=report.report._replace(position_at_exchange=Decimal("0.1")))
    view = a_view(tmp_path, "completed", held)
    assert (doing.severity(view, NOW), str(leftovers.ending(view))) == ("bad", "position left: 0.1 SOL")
    assert leftovers.position_left(view._replace(report=held._replace(is_previous=True))) == 0


DUST = last("stopped_out", "0.0004", params={"by": "stop_loss"}, min_order="0.01")


@pytest.mark.parametrize(
    ("state", "report", "severity", "note"),
    [
        ("completed", DUST, "warn", "only dust is left, less than can be traded: 0.0004 SOL"),
        ("completed", last("finished", "-0.0004", min_order="0.01"), "calm", "dust is left"),
        ("completed", last("stopped_out", "0.01", min_order="0.01"), "bad", "position left: 0.01 SOL"),
        ("completed", last("stopped_out", "0.0004"), "bad", "position left: 0.0004 SOL"),
        ("stopped", last("trading", "0.0004", min_order="0.01"), "off", "only dust is left"),
        ("stopped", DUST, "off", "only dust is left"),
        ("missing", DUST, "off", "only dust is left"),
        (
            "failed",
            kept("trading", "0.0004", has_ended=True, min_order="0.01"),
            "bad",
            "last known position: 0.0004 SOL",
        ),
    ],
)
def test_dust_is_no_position_that_somebody_is_woken_for(
    tmp_path: Path, state: State, report: KeptReport, severity: str, note: str
) -> None:
    """A fee in the base currency leaves less than the smallest order: nobody can sell it."""
    view = a_live_view(tmp_path, state, report)
    assert doing.severity(view, NOW) == severity
    assert note in causes.note(view)


def test_what_orders_may_have_added_to_is_not_taken_for_dust(tmp_path: Path) -> None:
    cancel = {"state": "failing", "open_orders_left": None, "tries": 3, "why": "exit code 1", "reason": None}
    report = kept("trading", "0.0004", has_ended=True, min_order="0.01")
    view = a_live_view(tmp_path, "failed", report, cancel=cancel)
    assert causes.note(view).endswith("last known position: 0.0004 SOL")
    assert not leftovers.has_left_dust(view)


def test_orders_that_still_rest_make_the_position_the_last_known_one(tmp_path: Path) -> None:
    cancel = {"state": "failing", "open_orders_left": None, "tries": 3, "why": "exit code 1", "reason": None}
    view = a_live_view(tmp_path, "failed", kept("trading", "0.3", has_ended=True), cancel=cancel)
    assert causes.note(view).endswith("(try 3); last known position: 0.3 SOL")


def test_worst_first_and_live_before_paper(tmp_path: Path) -> None:
    def one(name: str, mode: str, state: State, report: KeptReport | None) -> Instance:
        container = a_container(name, labels={labels.MODE: mode})
        return a_view(tmp_path, state, report)._replace(id=name, container=container)

    views = [
        one("calm_paper", "paper", "running", None),
        one("calm_live", "live", "running", None),
        one("bad_paper", "paper", "failed", None),
        one("warn_live", "live", "restarting", None),
        one("bad_live", "live", "completed", last("stopped_out", "1")),
        one("off", "live", "stopped", None),
        one("note_paper", "paper", "orphan", None),
    ]
    ids = [view.id for view in sorted(views, key=doing.by_urgency)]
    assert ids == [
        "bad_live",
        "warn_live",
        "bad_paper",
        "note_paper",
        "calm_live",
        "calm_paper",
        "off",
    ]


def test_the_reason_of_a_health_probe_is_the_conditions_sentence(tmp_path: Path) -> None:
    health = {"code": "ledger_differs", "params": {"ledger": "1", "account": "2"}, "since": NOW}
    reason = {"code": "degraded", "params": {"condition": "ledger_differs"}}
    view = a_view(tmp_path, "running", None, health, why="degraded: ledger_differs", reason=reason)
    assert causes.note(view) == "the account holds 2, but its trades make 1"
    assert not display.is_well(view)
    assert str(view.status.why) == "degraded: what the account holds and what its trades make differ"


@pytest.mark.parametrize(
    ("saved", "note"),
    [
        (InstanceState(registered_at="2025-11-30"), "no container; `manager up bp_sol_01` creates it"),
        (InstanceState(registered_at="2025-11-30", taken_down_at=NOW * 2), ""),
        (InstanceState(registered_at=None), ""),
    ],
    ids=["removed", "taken down", "never started"],
)
def test_a_container_that_somebody_else_removed_is_told_with_what_to_do(
    tmp_path: Path, saved: InstanceState, note: str
) -> None:
    view = a_view(tmp_path, "missing", None)
    assert causes.note(view._replace(container=None, spec=a_spec(), saved=saved)) == note


@pytest.mark.parametrize("params", [{}, {"cause": "of a later bot"}, {"cause": "other"}])
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("exchange_away", "the exchange is away"),
        ("orders_refused", "the exchange refuses every order"),
        ("ledger_differs", "what the account holds and what its trades make differ"),
        ("out_of_range", "the price has left its range"),
        ("something_new", "degraded: something_new"),
    ],
)
def test_a_known_code_without_parameters_is_told_in_words(
    tmp_path: Path, code: str, sentence: str, params: dict[str, str]
) -> None:
    health = {"code": code, "params": params, "since": None}
    reason = {"code": "degraded", "params": {"condition": code}}
    view = a_view(tmp_path, "running", None, health, why=f"degraded: {code}", reason=reason)
    assert causes.note(view) == sentence
    assert str(view.status.why) == f"degraded: {sentence.removeprefix('degraded: ')}"


@pytest.mark.parametrize(
    ("state", "report", "is_old"),
    [
        ("running", kept("trading", "1"), False),
        ("running", kept("trading", "1", is_previous=True), True),
        ("running", kept("trading", "1", at=NOW - 1000), True),
        ("restarting", last("trading", "1"), True),
        ("stopped", last("trading", "1"), True),
        ("running", None, False),
    ],
)
def test_figures_that_are_not_a_running_bots_are_grey_and_have_their_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State, report: KeptReport | None, is_old: bool
) -> None:
    """A bot that was started again has not reported yet: what was last known is no figure of today's run."""
    is_up = state == "running"
    view = a_view(tmp_path, state, report, bot_pid=7 if is_up else None)
    assert view.is_bot_up is is_up
    assert doing.has_old_report(view, NOW) is is_old
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr(display, "has_colour", lambda: True)
    assert display.ps_objects([view])[0]["report_is_old"] is (is_old and report is not None)
    assert ("P&L and position: " in causes.note(view)) is (is_old and is_up)
    if report is not None:
        assert ("\x1b[2m1 SOL" in display.ps_table([view]).text) is is_old


AWAY = {"cause": "unreachable", "since": NOW - 300}


@pytest.mark.parametrize(
    ("report", "of"),
    [
        (kept("trading", "1", price_at=NOW - 8), None),
        (kept("trading", "1"), None),  # a bot that does not say
        (kept("trading", "1", price_at=NOW + 900), None),
        (kept("exchange_away", "1", params=AWAY, price_at=NOW - 305), NOW - 305),
        (kept("exchange_away", "1", params=AWAY, price_at=NOW - 10), NOW - 10),
        (kept("exchange_away", "1", params=AWAY), NOW - 300),
        (kept("exchange_away", "1", params=AWAY, price_at=NOW + 900), NOW - 300),  # by another clock
        (kept("exchange_away", "1", params={"since": NOW + 900}), NOW - 5),
        (kept("exchange_away", "1"), 0.0),
        (kept("orders_refused", "1", price_at=NOW - 500), NOW - 500),
        (kept("trading", "1", price_at=NOW - 500, at=NOW - 1000), NOW - 1000),  # an old report
        (last("exchange_away", "1", price_at=NOW - 500), NOW - 5),
    ],
)
def test_figures_at_an_old_price_are_grey_and_have_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: KeptReport, of: float | None
) -> None:
    view = a_view(tmp_path, "running", report, bot_pid=7)
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr(display, "has_colour", lambda: True)
    assert doing.figures_at(view) == of
    table = display.ps_table([view]).text
    is_grey = of is not None
    assert ("\x1b[2m+7.00 USDC" in table, "\x1b[2m1 SOL" in table) == (is_grey, is_grey), table
    assert ("P&L and position: " in causes.note(view)) is (is_grey and not report.has_ended)
    answer = None if report.has_ended else report.report
    row = instance_stats.with_best_report(view, None, answer)
    assert bool(stats_columns.cells([row])[0]["as_of"]) is (is_grey or answer is None)
    if answer is not None:  # whose clock is ahead
        made_at, price_at = answer.at or 0, answer.price_at
        is_own = price_at is not None and price_at <= made_at  # else by another clock
        price_at = price_at + NOW + 900 - made_at if price_at is not None and is_own else price_at
        row = instance_stats.with_best_report(view, None, answer._replace(at=NOW + 900, price_at=price_at))
        assert bool(stats_columns.cells([row])[0]["as_of"]) is is_grey
        if of is not None and is_own:
            assert row.figures_at == pytest.approx(of + NOW - made_at)  # as old as when it answered
    (of_ps,) = display.ps_objects([view])
    assert of_ps["price_is_old"] is (doing.old_price_at(view) is not None)
    at = report.report.price_at
    assert of_ps["price_at"] == (None if at is None else formatting.iso_with_offset(at))


def test_a_bot_that_starts_again_says_why_the_one_before_ended(tmp_path: Path) -> None:
    exit_ = {
        "code": 3,
        "signal": None,
        "oom": False,
        "killed": False,
        "at": NOW - 5,
        "why": "exit code 3",
        "stderr_tail": ["2026-03-20 08:00:00 ERROR   backpack doesn't accept the keys"],
    }
    counts = {"in_a_row": 1, "total": 1, "max": 3, "next_at": None}
    view = a_view(tmp_path, "starting", kept(None), last_exit=exit_, restarts=counts)
    assert causes.note(view).startswith("last exit: exit code 3: backpack doesn't accept the keys")
    assert doing.activity(view, NOW).doing is None, "it has not been well yet"


def test_a_bot_that_was_killed_is_so_since_its_last_sign_of_life(tmp_path: Path) -> None:
    view = a_view(tmp_path, "running", kept("trading"))
    killed = view._replace(container=a_container("bp_sol_01", "exited"), status=Status("stopped"))
    assert killed.supervisor is not None
    assert display.since(killed) == killed.supervisor.updated_at


def test_a_price_is_as_old_as_it_was_by_the_clock_of_a_bot_that_is_ahead(tmp_path: Path) -> None:
    report = {"contract": 2, "at": NOW + 300, "price": "150", "price_at": NOW + 200, "pnl": "7"}
    copy = {"report": report, "read_at": NOW, "written_at": NOW - 1}
    (tmp_path / supervisor_state.REPORT_FILE).write_text(json.dumps(copy))
    kept_report = bot_report.read_kept(tmp_path)
    assert kept_report is not None
    assert (kept_report.at, kept_report.report.at, kept_report.report.price_at) == (NOW, NOW, NOW - 100)
    view = a_view(tmp_path, "running", kept_report, bot_pid=7)
    assert doing.old_price_at(view, NOW) == NOW - 100
