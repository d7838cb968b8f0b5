"""When something is said, and when it is not: faults and a clock in, lines out."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from manager.config.fleet import Alerts
from manager.i18n import Text
from manager.monitor.watch import alert_state, messages
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.monitor.watch.alert_state import Alert, Key, Open
from manager.monitor.watch.kinds import Kind

RULES = Alerts(recovered_after=60, remind_after=3600)


def a_fault(kind: Kind = "failed", subject: str = "one", after: float = 0) -> Condition:
    return Condition(subject, kind, Text("{id} {kind}", id=subject or "machine", kind=kind), after=after)


class Clock:
    """A book that is kept over time; `at` says what is seen then and gives what is said."""

    def __init__(self) -> None:
        self.book: dict[Key, Open] = {}

    def at(
        self,
        now: float,
        *seen: Condition,
        well: Collection[str] = (),
        away: Collection[str] = (),
        are_unknown: bool = False,
        unsettled: Collection[str] = (),
        cancelled: Collection[str] = (),
        unknown: Collection[Kind] = (),
    ) -> str:
        self.book, alerts = alert_state.advance(
            self.book,
            seen,
            RULES,
            now,
            well=well,
            away=away,
            are_unknown=are_unknown,
            unsettled=unsettled,
            cancelled=cancelled,
            unknown=unknown,
        )
        # as after a restart of the watch
        self.book = alert_state.from_json(
            alert_state.as_json(self.book), alert_state.cases_as_json(self.book)
        )
        return "; ".join(str(alert.text) for alert in alerts)


def test_a_fault_is_said_once_and_again_after_a_while() -> None:
    clock = Clock()
    assert clock.at(0, a_fault()) == "one failed"
    assert clock.at(1, a_fault()) == ""
    assert clock.at(3599, a_fault()) == ""
    assert clock.at(3600, a_fault()) == "still the case after 1h00m: one failed"
    assert clock.at(3601, a_fault()) == ""


@pytest.mark.parametrize("kind", ["completed", "oom", "account_loss", "fleet_loss", "logs"])
def test_what_a_reminder_would_not_change_is_said_once(kind: Kind) -> None:
    """A bot that has ended, and what was lost on a day, are the same an hour later."""
    clock = Clock()
    assert clock.at(0, a_fault(kind)) == f"one {kind}"
    assert clock.at(3600, a_fault(kind)) == ""
    assert clock.at(7200, a_fault(kind)) == ""


def test_another_position_than_was_said_is_told_once() -> None:
    """The cancel program has found what its orders were filled with since the bot died."""
    clock = Clock()
    assert clock.at(0, a_fault()._replace(left="-0.3")) == "one failed"
    assert clock.at(1, a_fault()._replace(left="-0.3")) == ""
    assert clock.at(2, a_fault()._replace(left="?")) == "", "not known for a moment"
    assert (
        clock.at(3, a_fault()._replace(left="-0.1")) == "another position is left than was said: one failed"
    )
    assert clock.at(4, a_fault()._replace(left="-0.1")) == ""
    assert clock.at(5, a_fault()._replace(left="0")) == "another position is left than was said: one failed"


def test_a_position_that_was_not_known_is_told_when_it_is() -> None:
    clock = Clock()
    assert clock.at(0, a_fault()._replace(left="?")) == "one failed"
    assert clock.at(1, a_fault()._replace(left="0.2")).startswith("another position is left")


def test_another_case_of_what_was_said_is_said_once_each() -> None:
    """A position that differs, and then cannot be read; and back again, which is known."""
    clock, fault = Clock(), a_fault("ledger_differs")
    assert clock.at(0, fault._replace(case="differs")) == "one ledger_differs"
    assert clock.at(1, fault._replace(case="unreadable")) == "one ledger_differs"
    assert clock.at(2, fault._replace(case="differs")) == ""
    assert clock.at(3, fault._replace(case="unreadable")) == ""
    assert clock.at(4, fault) == "", "which one it is now is not known"
    for now in range(5, 130):
        assert "ledger_differs" not in clock.at(now, well=["one"])
    assert clock.at(130, fault._replace(case="unreadable")) == "one ledger_differs", "it is another time"


def test_another_case_within_the_time_that_a_fault_must_last_is_not_said_before() -> None:
    clock, fault = Clock(), a_fault("exchange_away", after=60)
    assert clock.at(0, fault._replace(case="unreachable")) == ""
    assert clock.at(30, fault._replace(case="banned")) == ""
    assert clock.at(60, fault._replace(case="banned")) == "one exchange_away"
    assert clock.at(61, fault._replace(case="unreachable")) == "one exchange_away"


def test_what_a_manager_at_work_causes_is_no_other_case() -> None:
    clock, down = Clock(), a_fault("down")
    assert clock.at(0, down._replace(case="stopped")) == "one down"
    assert clock.at(1, down._replace(case="no container"), unsettled=["one"]) == ""
    assert clock.at(2, down._replace(case="no container")) == "one down"


def test_a_case_that_an_earlier_version_did_not_keep_is_not_said_again() -> None:
    clock = Clock()
    clock.book = alert_state.from_json([["one", "failed", 0.0, 0.0, None]])
    assert clock.at(1, a_fault()._replace(case="1")) == ""
    assert clock.at(2, a_fault()._replace(case="2")) == "one failed"


def test_what_an_earlier_version_has_said_is_not_said_again() -> None:
    clock = Clock()
    clock.book = alert_state.from_json([["one", "failed", 0.0, 0.0, None]])
    assert clock.at(1, a_fault()._replace(left="-0.3")) == ""
    assert clock.at(2, a_fault()._replace(left="-0.1")).startswith("another position is left")


def test_orders_that_are_cancelled_after_all_are_said() -> None:
    clock, failing = Clock(), a_fault("cancel")
    assert clock.at(0, a_fault(), failing) == "one failed; one cancel"
    assert clock.at(1, a_fault(), cancelled=["one"]) == "one: its orders are cancelled now"
    assert clock.at(2, a_fault(), cancelled=["one"]) == ""


def test_what_was_not_looked_for_yet_is_not_over() -> None:
    """A watch that has just begun counts the day's losses within the minute, and asks other machines."""
    clock, loss = Clock(), a_fault("fleet_loss", MACHINE)
    clock.at(0, loss)
    assert clock.at(1, unknown=["fleet_loss", "twin"]) == ""
    assert clock.at(2, loss) == "", "it is the same"
    assert clock.at(3) == "the fleet's loss of this day is within its limit"


def test_what_passes_by_itself_in_time_is_not_said() -> None:
    clock, sick = Clock(), a_fault("unhealthy", after=120)
    assert clock.at(0, sick) == ""
    assert clock.at(119) == ""
    assert clock.at(120, sick) == ""
    assert clock.at(240, sick) == "one unhealthy"


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    """As at a boot, before the time has been fetched: eight hours in Taipei."""
    clock, down = Clock(), a_fault("down", after=15)
    assert clock.at(30_000, down) == ""
    assert clock.at(1200, down) == ""
    assert clock.at(1215, down) == "one down"
    clock.at(31_000, a_fault("failed", "two"))
    clock.at(31_001, well={"two"})
    assert clock.at(2000, down, well={"two"}) == ""
    assert clock.at(2060, down, well={"two"}) == "two is running again, after 0s"


def test_a_recovery_is_said_once_it_lasts() -> None:
    clock = Clock()
    clock.at(0, a_fault())
    assert clock.at(100, well={"one"}) == ""
    assert clock.at(159, well={"one"}) == ""
    assert clock.at(160, well={"one"}) == "one is running again, after 1m"
    assert clock.at(500, well={"one"}) == ""


def test_flapping_says_nothing_new() -> None:
    clock = Clock()
    texts = [clock.at(0, a_fault())]
    for now in range(30, 600, 30):
        texts.append(clock.at(now, *([a_fault()] if now % 60 == 0 else []), well={"one"}))
    assert texts == ["one failed", *[""] * 19]


def test_one_fault_in_the_place_of_another_is_no_recovery() -> None:
    clock = Clock()
    assert clock.at(0, a_fault("restarting")) == "one restarting"
    assert clock.at(50, a_fault("failed")) == "one failed"
    assert clock.at(200, a_fault("failed")) == ""
    clock.at(300, well={"one"})
    assert clock.at(400, well={"one"}) == "one is running again, after 4m"


def test_a_restart_on_the_way_back_is_waited_for() -> None:
    clock = Clock()
    clock.at(0, a_fault())
    assert clock.at(100, a_fault("down", after=15), away={"one"}) == ""  # `manager restart` has stopped it
    assert clock.at(101) == ""  # starting
    clock.at(110, well={"one"})
    assert clock.at(170, well={"one"}) == "one is running again, after 1m"


def test_what_a_person_has_stopped_is_forgotten() -> None:
    clock = Clock()
    clock.at(0, a_fault())
    assert clock.at(10, away={"one"}) == ""
    assert clock.book == {}
    assert clock.at(500, well={"one"}) == ""


def test_nothing_is_concluded_while_the_engine_is_away() -> None:
    clock, away = Clock(), a_fault("engine", MACHINE, after=60)
    clock.at(0, a_fault())
    assert clock.at(10, away, are_unknown=True) == ""
    assert clock.at(70, away, are_unknown=True) == "machine engine"
    assert clock.at(5000, away, are_unknown=True) == "still the case after 1h23m: machine engine"
    assert clock.at(5010, a_fault()) == (
        "still the case after 1h23m: one failed; the Docker Engine is back after 1h23m"
    )


def test_what_the_machine_tells_without_the_engine_is_over_while_that_is_away() -> None:
    clock, away = Clock(), a_fault("engine", MACHINE)
    clock.at(0, a_fault("fleet_loss", MACHINE), a_fault())
    assert clock.at(10, away, are_unknown=True) == (
        "machine engine; the fleet's loss of this day is within its limit"
    )


def test_without_reminders_a_fault_is_said_once() -> None:
    rules, fault = RULES._replace(remind_after=0), a_fault()
    book, alerts = alert_state.advance({}, [fault], rules, 0)
    assert len(alerts) == 1
    for now in (1, 3600, 1e6):
        book, alerts = alert_state.advance(book, [fault], rules, now)
        assert alerts == [], now


def test_orders_of_which_nothing_is_known_are_not_said_to_be_cancelled() -> None:
    clock = Clock()
    assert clock.at(0, a_fault(), a_fault("cancel")) == "one failed; one cancel"
    assert clock.at(1, a_fault()) == "", "its supervisor was started again"


def test_what_lasted_is_counted_from_the_first_of_several_faults() -> None:
    clock = Clock()
    clock.at(0, a_fault("restarting"))
    clock.at(3000, a_fault("restarting"), a_fault("unhealthy"))
    clock.at(3600, well={"one"})
    assert clock.at(3660, well={"one"}) == "one is running again, after 1h00m"


def test_another_manager_at_work_is_no_fault() -> None:
    clock, down = Clock(), a_fault("down", after=15)
    assert clock.at(0, down, unsettled=["one"]) == ""
    assert clock.at(100, down, unsettled=["one"]) == ""
    assert clock.at(110, down) == ""
    assert clock.at(115, down) == "one down"
    assert clock.at(120, down, a_fault("failed", "two"), unsettled=["one", "two"]) == "two failed"


def test_what_another_manager_is_not_at_work_on_is_told_in_its_usual_time() -> None:
    clock, mine, other = Clock(), a_fault("down", after=15), a_fault("down", "two", after=15)
    assert clock.at(0, mine, other, unsettled=["one"]) == ""
    assert clock.at(15, mine, other, unsettled=["one"]) == "two down"
    assert clock.at(16, mine, other) == ""


def test_an_out_of_memory_kill_keeps_nobody_from_being_well() -> None:
    clock, oom = Clock(), a_fault("oom")
    clock.at(0, oom, a_fault("restarting"))
    clock.at(10, oom, well={"one"})
    assert clock.at(70, oom, well={"one"}) == "one is running again, after 10s"
    assert clock.at(80, well={"one"}) == ""
    assert clock.at(200, well={"one"}) == ""
    assert clock.book == {}


def an_alert(subject: str, kind: Kind = "down") -> Alert:
    return Alert(subject, kind, "bad", Text("{id} is {kind}", id=subject, kind=kind), ("last words",))


def test_one_alert_is_a_line_and_its_details() -> None:
    assert messages.message("desk", [an_alert("one")]) == ("botfleet desk: one is down", "last words", "bad")


def test_a_burst_is_one_message_that_a_service_takes() -> None:
    alerts = [an_alert(f"bot{number:02}") for number in range(40)]
    message = messages.message("desk", [*alerts, an_alert("x", "failed")])
    assert message.title == "botfleet desk: 40 down, 1 failed: bot00, bot01, bot02, bot03, bot04, …"
    assert message.body.splitlines()[0] == "bot00 is down"
    assert message.body.splitlines()[-1] == "… and 11 more"


def test_what_is_said_of_one_thing_twice_counts_once() -> None:
    """That a limit is exceeded, and that its account was halted for it."""
    halted = Alert("one", "account_loss", "news", Text("halted for the loss limit"))
    message = messages.message("desk", [an_alert("one", "account_loss"), halted])
    assert message.title == "botfleet desk: 1 account's loss limit: one"


def test_what_waited_for_an_address_goes_out_as_one() -> None:
    first, second = messages.message("desk", [an_alert("one")]), messages.message("desk", [an_alert("two")])
    message = messages.joined([first, second])
    assert message.title == "botfleet desk: two is down (and 1 earlier message)"
    assert message.body.splitlines() == [
        "botfleet desk: one is down",
        "last words",
        "botfleet desk: two is down",
        "last words",
    ]


def test_the_cases_that_are_remembered_are_bounded_and_the_newest_is_one_of_them() -> None:
    clock, fault = Clock(), a_fault("ledger_differs")
    for number in range(alert_state.MOST_CASES + 5):
        clock.at(number, fault._replace(case=f"case {number}"))
    cases = clock.book["one", "ledger_differs"].cases
    assert (len(cases), cases[-1]) == (alert_state.MOST_CASES, f"case {alert_state.MOST_CASES + 4}")
