"""Which daily loss limits are exceeded, and what is halted for them."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from manager.config import bot_environment
from manager.config.fleet import Fleet, Limits, Sums
from manager.errors import EngineUnreachable
from manager.monitor.history.curve import Day
from manager.monitor.watch import loss_halts, loss_limits
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.loss_halts import LossHalts
from manager.monitor.watch.loss_limits import Breach
from manager.ops.actions.answer import Answer
from manager.ops.halt import halt as halting
from manager.ops.halt.halt_result import HaltOutcome, Result
from tests.builders import a_fleet, a_spec

USD = Sums("USDC", (("USDT", Decimal("0.9")),))


def fleet(of_fleet: int = 0, of_account: int = 0, sums: Sums = USD) -> Fleet:
    return a_fleet(sums=sums, limits=Limits(Decimal(of_fleet), Decimal(of_account)))


def lost(amount: str, quote: str = "USDC", kind: str = "live", **more: Any) -> list[Day]:
    return [Day("2026-03-20", kind, quote, Decimal(amount), **more)]


def texts(breaches: list[Breach]) -> list[str]:
    return [str(breach.condition.text) for breach in breaches]


def test_only_live_trading_counts_and_gains_make_up_for_losses() -> None:
    today = {
        "a": lost("-60"),
        "b": lost("-50", kind="paper"),
        "c": lost("-70", kind="synthetic"),
        "d": lost("15"),
    }
    assert loss_limits.breaches(fleet(50), today, "2026-03-20", []) == []
    (breach,) = loss_limits.breaches(fleet(45), today, "2026-03-20", [])
    assert str(breach.condition.text) == "the fleet has lost 45.00 USDC today, its limit is 45.00 USDC"
    assert (breach.condition.kind, breach.instances) == ("fleet_loss", None)


def test_a_loss_of_another_day_is_another_case() -> None:
    """A watch that was down over midnight has told of yesterday's only, and says nothing twice."""
    limits = fleet(10, 10)
    for kind in ("fleet_loss", "account_loss"):
        cases = [
            next(alert.condition.case for alert in breaches if alert.condition.kind == kind)
            for day in ("2026-03-20", "2026-03-21")
            for breaches in [loss_limits.breaches(limits, {"a": lost("-12")}, day, [])]
        ]
        assert cases == ["2026-03-20", "2026-03-21"]


def test_bots_of_one_account_are_counted_together_and_others_by_themselves() -> None:
    today = {"a": lost("-6"), "b": lost("-5"), "c": lost("-9"), "d": lost("-12")}
    breaches = loss_limits.breaches(fleet(of_account=10), today, "2026-03-20", [("a", "b"), ("c",)])
    assert [(breach.instances, breach.condition.subject) for breach in breaches] == [
        (("a", "b"), "a"),
        (("d",), "d"),
    ]
    assert texts(breaches)[0] == "the account of a, b has lost 11.00 USDC today, its limit is 10.00 USDC"


def test_a_loss_of_just_the_limit_exceeds_it() -> None:
    today = {"a": lost("-10"), "b": lost("-9.99")}
    breaches = loss_limits.breaches(fleet(of_account=10), today, "2026-03-20", [])
    assert [breach.instances for breach in breaches] == [("a",)]
    breaches = loss_limits.breaches(fleet(of_account=10), today, "2026-03-20", [("a", "b")])
    assert [breach.instances for breach in breaches] == [("a", "b")], "and not by itself, too"
    assert loss_limits.breaches(fleet(20), today, "2026-03-20", []) == []
    assert len(loss_limits.breaches(fleet(10), {"a": lost("-10")}, "2026-03-20", [])) == 1


def test_currencies_are_counted_by_stated_rates_and_others_are_named() -> None:
    today = {"a": lost("-100", "USDT"), "b": lost("-1000", "EURC"), "c": lost("-1")}
    (text,) = texts(loss_limits.breaches(fleet(91), today, "2026-03-20", []))
    assert text == (
        "the fleet has lost 91.00 USDC today, its limit is 91.00 USDC; without EURC: no rate is stated"
    )


def test_a_currency_that_no_limit_counts_is_said_before_anything_is_lost() -> None:
    today = {"a": lost("5", "EURC"), "b": lost("1"), "c": lost("1", "JPYC", "paper")}
    condition = loss_limits.uncounted(fleet(91), today)
    assert condition is not None
    assert str(condition.text) == "the daily loss limits do not count EURC: no rate is stated in [sums]"
    assert loss_limits.uncounted(fleet(91), {"b": lost("1")}) is None


@pytest.mark.parametrize("more", [{"gaps": 600.0}, {"is_uncertain": True}])
def test_a_gap_is_said(more: dict[str, Any]) -> None:
    (text,) = texts(loss_limits.breaches(fleet(5), {"a": lost("-6", **more)}, "2026-03-20", []))
    assert text.endswith("; a part of this day, or of the hours before it, is not known")


def test_accounts_are_those_with_the_same_credentials_on_one_exchange() -> None:
    keys = {"BACKPACK_KEY": "k1", "BACKPACK_SECRET": "s1", "OTHER_KEY": "k2", "OTHER_SECRET": "s2"}
    other = {"api_key": "${OTHER_KEY}", "secret_key": "${OTHER_SECRET}"}
    specs = [
        a_spec("a", 5001, mode="live"),
        a_spec("b", 5002, mode="live", metadata={"symbol": "ETH_USDC_PERP"}),
        a_spec("c", 5003, mode="live", exchange_config=other),
        a_spec("d", 5004),
    ]
    assert bot_environment.accounts(specs, a_fleet(), keys) == [("a", "b"), ("c",)]


class Halted:
    """What the halt function was asked for, in place of an engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.error: EngineUnreachable | None = None
        self.down: list[str] = []
        monkeypatch.setattr(halting, "halt", self._halt)

    def _halt(self, _session: object, _on_event: object, selection: Any, **_more: object) -> Any:
        if self.error is not None:
            raise self.error
        self.asked.append(tuple(selection.ids))
        down = [HaltOutcome(name, None, "live", None, True, 0, True, Answer(0)) for name in self.down]
        return Result(None, down)  # type: ignore[arg-type]


@pytest.fixture
def halted(monkeypatch: pytest.MonkeyPatch) -> Halted:
    return Halted(monkeypatch)


def carry_out(halts: LossHalts, *breaches: Breach, is_asked: bool = True) -> list[Alert]:
    """Halt, and wait until that is done."""
    return [*halts.carry_out(breaches, is_asked=is_asked), *halts.close()]


def a_breach(day: str = "2026-03-20") -> Breach:
    (breach,) = loss_limits.breaches(fleet(of_account=5), {"a": lost("-6")}, day, [])
    return breach


def test_a_breach_halts_once_a_day_and_whoever_resumes_is_left_alone(halted: Halted, tmp_path: Path) -> None:
    halts = LossHalts(tmp_path, lambda _subject, _kind: False)
    for _time in range(3):
        carry_out(halts, a_breach())
    assert halted.asked == [("a",)]
    carry_out(halts, a_breach("2026-03-21"))
    assert halted.asked == [("a",), ("a",)]


def test_after_a_halt_of_the_fleet_its_accounts_need_none(halted: Halted, tmp_path: Path) -> None:
    """One event, one halt: also for a `watch` that starts after it, and when a person has resumed."""
    halts = LossHalts(tmp_path, lambda _subject, _kind: False)
    both = loss_limits.breaches(fleet(5, 5), {"a": lost("-6"), "b": lost("-7")}, "2026-03-20", [])
    halted.down = ["a", "b"]
    assert carry_out(halts, *both)[0].kind == "fleet_loss"
    assert halts.carry_out(both, is_asked=True, halted=["a", "b"]) == []
    assert (halted.asked, carry_out(halts, *both)) == ([()], []), "resumed meanwhile"
    assert halts.halted == {breach.key for breach in both}
    alone = LossHalts(tmp_path, lambda _subject, _kind: False)
    assert alone.carry_out(both[1:], is_asked=True, halted=["b"]) == []
    alone.close()
    assert halted.asked == [(), ("a",)], "what runs is halted"


def test_a_look_from_before_the_end_of_the_fleets_halt_brings_no_other(
    halted: Halted, tmp_path: Path
) -> None:
    halts = LossHalts(tmp_path, lambda _subject, _kind: False)
    both = loss_limits.breaches(fleet(5, 5), {"a": lost("-6")}, "2026-03-20", [])
    halted.down = ["a"]
    alerts = halts.carry_out(both, is_asked=True)
    deadline = time.monotonic() + 60
    while not alerts and time.monotonic() < deadline:
        time.sleep(0.01)
        alerts = halts.carry_out(both, is_asked=True)
    assert [alert.kind for alert in alerts] == ["fleet_loss"]
    assert (halts.close(), halted.asked) == ([], [()])


def test_a_watch_that_starts_again_does_not_halt_again(halted: Halted, tmp_path: Path) -> None:
    halts = LossHalts(tmp_path, lambda subject, kind: (subject, kind) == ("a", "account_loss"))
    for _time in range(3):
        assert carry_out(halts, a_breach()) == []
    assert halted.asked == []


def test_nothing_is_halted_unless_it_is_asked_for(halted: Halted, tmp_path: Path) -> None:
    halts = LossHalts(tmp_path, lambda _subject, _kind: False)
    assert carry_out(halts, a_breach(), is_asked=False) == []
    assert halted.asked == []


def test_a_halt_that_fails_is_said_and_tried_again(
    halted: Halted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_halts, "AGAIN_S", 0.0)
    halts = LossHalts(tmp_path, lambda _subject, _kind: False)
    halted.error = EngineUnreachable("no engine answers")
    (alert,) = carry_out(halts, a_breach())
    assert (alert.tone, str(alert.text)) == ("bad", "the halt for the loss limit failed: no engine answers")
    halted.error = None
    (alert,) = carry_out(halts, a_breach())
    assert (alert.tone, halted.asked) == ("news", [("a",)])


def test_a_halt_that_fails_is_not_tried_again_at_once(halted: Halted, tmp_path: Path) -> None:
    halts = LossHalts(tmp_path, lambda _subject, _kind: False)
    halted.error = EngineUnreachable("no engine answers")
    assert len(carry_out(halts, a_breach())) == 1
    assert carry_out(halts, a_breach()) == [], "half a minute later"


@pytest.mark.parametrize(
    ("outcomes", "named", "tone"),
    [
        ({"a": {"reported": 0}}, None, "news"),
        ({"a": {"reported": None}}, "a", "news"),
        ({"a": {"reported": 2}}, "a", "news"),
        ({"a": {"reported": 0}, "b": {"is_down": False, "reported": 0}}, "b", "bad"),
    ],
    ids=["no order is left", "orders unknown", "orders left", "one is not down"],
)
def test_only_what_is_down_without_an_order_is_said_to_be_so(
    outcomes: dict[str, dict[str, Any]],
    named: str | None,
    tone: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = {"container": None, "mode": "live", "stopped": None, "is_down": True, "has_run": True}
    made = [HaltOutcome(name, **{**usual, **facts}, answer=None) for name, facts in outcomes.items()]
    monkeypatch.setattr(halting, "halt", lambda *_, **_more: Result(None, made))  # type: ignore[arg-type]
    halts = LossHalts(tmp_path, lambda _subject, _kind: False)
    (alert,) = carry_out(halts, a_breach())
    text = str(alert.text)
    if named is None:
        assert text == "halted for the loss limit, no order is left: a"
    else:
        assert text.endswith(f"look at the exchange, or run `manager halt` again: {named}")
    assert (alert.tone, bool(halts.halted)) == (tone, tone == "news")


def test_watching_goes_on_while_it_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = Event()

    def slow(*_: object, **_more: object) -> Result:
        assert may_end.wait(30)
        return Result(None, [])  # type: ignore[arg-type]

    monkeypatch.setattr(halting, "halt", slow)
    halts = LossHalts(tmp_path, lambda _subject, _kind: False)
    assert halts.carry_out([a_breach()], is_asked=True) == []
    halt = halts._running
    assert halts.carry_out([a_breach()], is_asked=True) == []
    assert halts.is_halting
    assert halts._running is halt, "one after another"
    may_end.set()
    (alert,) = halts.close()
    assert alert.tone == "news"
    assert not halts.is_halting
