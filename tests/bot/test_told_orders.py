"""Counter orders that are sent on a websocket's word: right where it is true, harmless where it is not."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.condition import Code
from gridbot.model.errors import ExchangeError, UnreachableError
from gridbot.model.types import OrderRequest, Side, ToldFill
from gridbot.store.store import Store
from gridbot.strategies.grid import Grid, counter_orders, plan
from gridbot.trading.cancel import cancel_own_orders
from gridbot.trading.told_orders import BELIEVED_FOR_S, STALE_S
from tests import cases
from tests.bot.kits.backpack import Backpack
from tests.bot.kits.kit import TICK_S, KilledError, Kit, Run, running
from tests.bot.worlds import PERP, order_of
from tests.fake_exchange.book import BookFill, BookOrder

D = Decimal
# 20 cells of 0.1, of which each side's entries rest: two more orders have room on each.
MOST = D("1.2")
FINE_LOT = D("0.01")


@pytest.fixture(autouse=True)
def _has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bot.kits.kit.MAX_POSITION", MOST)


class Calls:
    """What was asked of the exchange, by method and the last part of the path."""

    def __init__(self, kit: Kit) -> None:
        self.made, self._carry_out = list[str](), kit.api.fetch
        # Called with "before" and "after" around each call.
        self.tap: Callable[[str, str], None] = lambda _moment, _call: None
        kit.api.fetch = self._fetch

    def _fetch(self, url: tuple[str, dict[str, Any]], method: str = "GET", *rest: Any) -> Any:
        call = f"{method} {url[0].split('/')[-1]}"
        self.made.append(call)
        self.tap("before", call)
        answer = self._carry_out(url, method, *rest)
        self.tap("after", call)
        return answer

    @property
    def was_sent_first(self) -> bool:
        """Whether an order was sent before anything was asked."""
        return self.made[:1] == ["POST order"]


def resting(kit: Kit, price: int) -> BookOrder:
    [order] = [one for one in kit.book.own_open() if one.price == price]
    return order


def before_a_word(tmp_path: Path, *, is_true: bool) -> tuple[Backpack, Run, BookOrder, Calls]:
    """Return an exchange, a bot, an order to tell it of, filled if that is true, and all later calls."""
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    if is_true:
        kit.book.move(D(149))
    return kit, run, order, Calls(kit)


def word_of(order: BookOrder, filled: Decimal | None = None) -> ToldFill:
    assert order.client_id is not None
    assert order.price is not None
    side = Side.BUY if order.side == "Bid" else Side.SELL
    qty = order.qty
    return ToldFill(
        order.id, order.client_id, side, order.price, qty, order.filled if filled is None else filled
    )


def react(run: Run, *words: ToldFill) -> None:
    try:
        run.engine.react(words)
    except ExchangeError as err:
        run.failures.append(str(err))
    assert run.kit.book.violations == []
    assert abs(run.kit.book.position()) <= MOST


def slots(run: Run) -> dict[str, str]:
    return {order.slot: order.side for order in run.store.live_orders()}


def test_a_clear_word_is_answered_before_the_look(tmp_path: Path) -> None:
    kit = Backpack()
    run, filled = running(kit, tmp_path), resting(kit, 149)
    calls = Calls(kit)
    kit.book.move(D(149))
    react(run, word_of(filled))
    assert calls.made[:2] == ["POST order", "GET fills"]
    assert resting(kit, 150).side == "Ask"
    assert run.store.ledger.position == D("0.1"), "it is booked from the look that follows"
    # Its exit is filled in turn, and the cell's entry comes back.
    sold = resting(kit, 150)
    calls.made.clear()
    kit.book.move(D(150))
    react(run, word_of(sold))
    assert calls.was_sent_first
    assert resting(kit, 149).side == "Bid"
    assert (run.store.ledger.position, run.engine.awaits_proof) == (D(0), False)
    run.tick()
    assert (run.failures, run.engine.condition().code) == ([], Code.TRADING)
    run.end()


def _of_another(word: ToldFill) -> dict[str, ToldFill]:
    return {
        "another account's": replace(word, exchange_id="999"),
        "of another program": replace(word, client_id=word.client_id + 1),
        "other side": replace(word, side=Side.SELL),
        "other price": replace(word, price=D(148)),
        "other quantity": replace(word, qty=D("0.2")),
        "more than there is": replace(word, filled=D("0.2")),
        "part of a lot": replace(word, filled=D("0.05")),
        "nothing": replace(word, filled=D(0)),
        "less than nothing": replace(word, filled=D("-0.1")),
    }


@pytest.mark.parametrize("wrong", _of_another(ToldFill("1", 1, Side.BUY, D(149), D("0.1"), D("0.1"))))
def test_a_word_that_is_not_clearly_of_an_own_order_is_only_a_reason_to_look(
    tmp_path: Path, wrong: str
) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    calls = Calls(kit)
    react(run, _of_another(word_of(order, D("0.1")))[wrong])
    assert not any(call.startswith("POST") for call in calls.made)
    assert run.engine.awaits_proof is False
    run.end()


def test_what_is_booked_or_was_told_already_is_no_news(tmp_path: Path) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    kit.book.move(D(149))
    kit.fault = "late fills"
    react(run, word_of(order), word_of(order))
    exit_order = resting(kit, 150)
    calls = Calls(kit)
    react(run, word_of(order))
    # And one of the exit, while it is not known whether it should be there.
    react(run, word_of(exit_order, D("0.1")))
    assert not any(call.startswith("POST") for call in calls.made)
    live = run.store.live_orders()
    told = run.engine._told
    assert [told._order_of(word_of(one, D("0.1")), live) for one in (order, exit_order)] == [None, None]
    run.tick(20.0)
    assert run.store.ledger.position == D("0.1")
    react(run, word_of(order))
    assert [one for one in kit.book.own_open() if one.price == D(150)] == [exit_order]
    run.end()


@pytest.mark.parametrize("first", ["a part", "all"])
def test_parts_of_an_order_come_in_any_order(tmp_path: Path, first: str) -> None:
    kit = Backpack(lot=FINE_LOT)
    run, order = running(kit, tmp_path), resting(kit, 149)
    kit.book._fill(order, D(149), D("0.04"), maker=True)
    part = word_of(order)
    kit.book._fill(order, D(149), D("0.06"), maker=True)
    words = [part, word_of(order)] if first == "a part" else [word_of(order), part]
    calls = Calls(kit)
    react(run, *words)
    assert calls.was_sent_first
    for _ in range(3):
        run.tick()
    assert (resting(kit, 150).side, resting(kit, 150).qty) == ("Ask", D("0.1"))
    run.end()


def test_a_word_that_is_not_true_is_taken_back(tmp_path: Path) -> None:
    kit = Backpack()
    run = running(kit, tmp_path)
    before = slots(run)
    react(run, word_of(resting(kit, 149), D("0.1")))
    lie = resting(kit, 150)
    assert lie.side == "Ask"
    run.tick(STALE_S / 2)
    assert lie.open, "the list may be older than the word"
    run.tick(STALE_S)
    assert not lie.open
    condition = run.engine.condition()
    assert (condition.code, condition.params["cause"]) == (Code.LEDGER_DIFFERS, "socket")
    # Nothing is placed until it is known to be gone, not even where the price now calls for it.
    assert set(slots(run)) == {*before, "L10"}
    run.tick()
    assert (slots(run), run.engine.condition().code) == (before, Code.TRADING)
    # This process believes no word any more.
    calls = Calls(kit)
    react(run, word_of(resting(kit, 151), D("0.1")))
    assert not calls.was_sent_first
    kit.book.move(D(149))
    react(run, word_of(kit.book.orders[next(reversed(kit.book.orders))]))
    run.tick()
    assert resting(kit, 150).open
    assert run.failures == []
    run.end()


def test_a_counter_order_of_an_untrue_word_never_takes(tmp_path: Path) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    kit.book.price = D("150.9")
    calls = Calls(kit)
    react(run, *[word_of(order, D("0.1"))] * 5)
    assert calls.was_sent_first
    assert calls.made.count("POST order") == 1, "it is told for ever, and tried once"
    assert kit.book.fills == []
    assert [one.price for one in kit.book.own_open() if one.price == D(150)] == []
    # That it was refused counts for nothing, and where the word is true it is sent again, as any exit.
    assert not run.engine._refusals.is_active
    assert run.engine._placing.count_refused() == 0
    kit.book._fill(order, D(149), D("0.1"), maker=True)
    react(run, word_of(order))
    assert kit.book.position() == 0
    assert len(kit.book.fills) == 2
    run.end()


def test_a_fill_that_is_listed_late_is_waited_for(tmp_path: Path) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    kit.fault = "late fills"
    kit.book.move(D(149))
    react(run, word_of(order))
    counter = resting(kit, 150)
    for _ in range(2):
        run.tick()
        assert (counter.open, run.store.ledger.position) == (True, D(0))
    run.tick()
    assert (counter.open, run.store.ledger.position) == (True, D("0.1"))
    assert run.engine.awaits_proof is False
    assert run.engine._told.is_distrusted is False
    run.end()


@pytest.mark.parametrize("behind", [0.2, 1.5, 20.0])
def test_lists_that_are_behind_the_socket_cost_time_and_nothing_else(tmp_path: Path, behind: float) -> None:
    """By more than `STALE_S` they deny a word that is true, and what they list later is booked as ever."""
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    carry_out, since = kit.answer, kit.now
    before = {name: carry_out(name, "GET", {"limit": 100, "from": 0}) for name in kit.paths.values()}

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        is_old = method == "GET" and path in before and kit.now < since + behind
        return before[path] if is_old else carry_out(path, method, params)

    kit.answer = answer  # type: ignore[method-assign]
    kit.book.move(D(149))
    react(run, word_of(order))
    counter = resting(kit, 150)
    condition = None
    while kit.now < since + behind:
        run.tick(1.0)
        condition = condition or run.engine._told.condition
    assert (condition is None, counter.open) == (behind < STALE_S,) * 2
    assert run.engine._told.is_distrusted is (behind > STALE_S)
    run.tick(1.0)
    run.tick(1.0)
    assert run.store.ledger.position == D("0.1")
    assert resting(kit, 150).side == "Ask"
    assert (run.failures, run.engine.condition().code) == ([], Code.TRADING)
    run.end()


def test_the_record_is_not_searched_for_words_where_none_was_told(tmp_path: Path) -> None:
    kit, asked = Backpack(), list[int]()
    run = running(kit, tmp_path)
    carry_out = run.store.told_causes

    def told_causes() -> dict[int, tuple[int, Decimal]]:
        asked.append(1)
        return carry_out()

    run.store.told_causes = told_causes  # type: ignore[method-assign]
    for _ in range(3):
        run.tick()
    assert asked == []
    react(run, word_of(resting(kit, 149), D("0.1")))
    run.tick(3.0)
    assert asked == [1]
    run.end()


def test_a_counter_order_that_is_filled_before_its_fill_is_listed_is_booked_all_the_same(
    tmp_path: Path,
) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    carry_out = kit.fills

    def without_the_first() -> list[BookFill]:
        return [fill for fill in carry_out() if fill.order is not order]

    kit.fills = without_the_first  # type: ignore[method-assign]
    kit.book.move(D(149))
    react(run, word_of(order))
    kit.book.move(D(150))
    for _ in range(4):
        run.tick()
    kit.fills = carry_out  # type: ignore[method-assign]
    run.tick()
    run.end()
    assert run.engine._told.is_distrusted is False


def test_an_order_that_has_ended_with_less_than_was_told_denies_it_at_once(tmp_path: Path) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    react(run, word_of(order, D("0.1")))
    lie = resting(kit, 150)
    kit.book.cancel(order.id)
    run.tick(STALE_S / 10)
    assert not lie.open
    run.tick()
    run.end()


def test_a_word_that_nothing_ever_confirms_is_given_up(tmp_path: Path) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    react(run, word_of(order, D("0.1")))
    lie = resting(kit, 150)
    kit.spoilt["orders"] = lambda _answer: {}
    run.tick()
    assert lie.open
    run.tick(BELIEVED_FOR_S)
    run.tick()
    assert not lie.open
    del kit.spoilt["orders"]
    run.end()


@pytest.mark.parametrize("is_true", [True, False])
@pytest.mark.parametrize("fault", ["request lost", "answer lost"])
def test_a_counter_order_whose_outcome_is_unknown_is_there_once(
    tmp_path: Path, fault: str, is_true: bool
) -> None:
    kit, run, order, calls = before_a_word(tmp_path, is_true=is_true)

    def lose(moment: str, call: str) -> None:
        if call == "POST order" and moment == ("before" if fault == "request lost" else "after"):
            calls.tap = lambda _moment, _call: None
            raise kit.adapter._errors.RequestTimeout("timed out")

    calls.tap = lose
    with pytest.raises(UnreachableError):
        run.engine.react([word_of(order, D("0.1"))])
    for after in (0.5, 3.0, TICK_S, TICK_S, TICK_S):
        run.tick(after)
    at_level = [one.side for one in kit.book.own_open() if one.price == D(150)]
    assert at_level == (["Ask"] if is_true else [])
    run.end()


@pytest.mark.parametrize("is_true", [True, False])
@pytest.mark.parametrize("step", range(5))
def test_killed_between_any_two_steps_nothing_is_doubled_or_left(
    tmp_path: Path, step: int, is_true: bool
) -> None:
    """Before and after the order, before and after the look, and before what follows."""
    kit, run, order, calls = before_a_word(tmp_path, is_true=is_true)
    moments = 0

    def kill(_moment: str, _call: str) -> None:
        nonlocal moments
        moments += 1
        if moments == step + 1:
            raise KilledError

    calls.tap = kill
    try:
        react(run, word_of(order, D("0.1")))
    except KilledError:
        run.store.close()
    else:
        assert step == 4, "the look found it, and nothing was left to do"
        run.store.close()
    calls.tap = lambda _moment, _call: None
    run.start()
    for after in (0.1, 3.0, TICK_S, TICK_S, TICK_S):
        run.tick(after)
    at_level = [one.side for one in kit.book.own_open() if one.price == D(150)]
    assert at_level == (["Ask"] if is_true else [])
    assert run.failures == []
    run.end()


def test_a_stop_leaves_nothing_of_a_word(tmp_path: Path) -> None:
    kit = Backpack()
    run = running(kit, tmp_path)
    react(run, word_of(resting(kit, 149), D("0.1")))
    assert cancel_own_orders(run.store, kit.adapter, run.market, 10.0) == (0, True)
    assert kit.book.open_orders() == kit.others
    run.store.close()


def _pause(run: Run) -> None:
    run.engine.shared.pause_requested = True


def _stop(run: Run) -> None:
    run.engine._stopping = lambda: True


def _doubt(run: Run) -> None:
    run.engine._watch._is_unclear = True


def _refuse(run: Run) -> None:
    run.engine._refusals._retry_at = float("inf")


def _leave_unclear(run: Run) -> None:
    run.kit.spoilt["orders"] = lambda _answer: {}
    run.tick()


def _cancel(run: Run) -> None:
    [order] = [one for one in run.store.live_orders() if one.price == 149]
    run.engine._placing._cancelled.add(order.client_id)


@pytest.mark.parametrize("check", [_pause, _stop, _doubt, _refuse, _leave_unclear, _cancel])
def test_what_keeps_orders_back_keeps_those_back(tmp_path: Path, check: Callable[[Run], None]) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    check(run)
    calls = Calls(kit)
    react(run, word_of(order, D("0.1")))
    assert "POST order" not in calls.made


def test_without_room_for_both_truths_the_look_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bot.kits.kit.MAX_POSITION", D("0.5"))
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    kit.book.move(D(149))
    calls = Calls(kit)
    react(run, word_of(order))
    assert calls.made[:2] == ["GET fills", "POST order"]
    run.end()


def test_a_level_that_a_told_order_may_still_hold_stays_its_own(tmp_path: Path) -> None:
    """Of two fills at once the lower one's exit belongs at the level of the upper one."""
    kit = Backpack()
    run, upper, lower = running(kit, tmp_path), resting(kit, 149), resting(kit, 148)
    calls = Calls(kit)
    react(run, word_of(upper, D("0.1")), word_of(lower, D("0.1")))
    assert calls.made.count("POST order") == 1
    assert resting(kit, 149) is upper
    run.tick(3.0)
    run.end()


def test_the_told_orders_own_slot_is_not_used_either() -> None:
    """Its cell holds more than one order may be of, and the next part of the exit belongs where it stands."""
    market, levels = replace(PERP, max_qty=D("0.1")), tuple(D(price) for price in range(140, 161))
    whole = Grid(levels, 10, D("0.1"), D(2))
    exit_order = order_of(OrderRequest("L6", Side.SELL, D(146), D("0.1"), 5), 1)
    cells, live, held = {5: D("0.3")}, [exit_order], D("0.3")
    after = {5: D("0.2")}
    assert "L6" in [want.slot for want in plan(whole, market, after, [], D(146), D("0.2")).place]
    assert counter_orders(whole, market, cells, live, held, exit_order, D("0.1")) == []


class Teller:
    """A socket that tells of fills twice, late, not at all, and of some that never were."""

    def __init__(self, run: Run, seed: int) -> None:
        self.run, self.random = run, random.Random(seed)
        self.words: list[ToldFill] = []
        self.lies = 0
        run.kit.book.on_fill = lambda order: self.words.append(word_of(order))

    def speak(self) -> list[ToldFill]:
        chance = self.random
        spoken = [word for word in self.words if chance.random() < 0.8]
        spoken += [word for word in spoken if chance.random() < 0.3]
        if chance.random() < 0.3:
            chance.shuffle(spoken)
        if chance.random() < 0.15:
            order = chance.choice(self.run.kit.book.own_open() or [self.run.kit.others[1]])
            if not order.foreign:
                spoken.append(word_of(order, order.qty))
                self.lies += 1
        self.words = [word for word in self.words if chance.random() < 0.1]
        return spoken


FAULTS = (None, "partial fills", "late fills", "answer lost")
ALL_FAULTS = (*FAULTS, "duplicates", "out of order", "request lost", "rejected")


@pytest.mark.parametrize("fault", ALL_FAULTS if cases.is_long else FAULTS)
def test_account_and_ledger_agree_beside_a_socket_that_lies(tmp_path: Path, fault: str | None) -> None:
    """And a bot that is killed now and then, while it sends an order on a word and at other times."""
    for seed in range(25 if cases.is_long else 1):
        kit = Backpack(seed, lot=FINE_LOT if fault == "partial fills" else D("0.1"))
        kit.fault = fault
        kit.book.partial_fills = 0.7 if fault == "partial fills" else 0.0
        kit.killed = 0.03
        folder = tmp_path / str(seed)
        run = Run(kit, folder)
        teller, calls, sent = Teller(run, seed), Calls(kit), 0
        price = D(150)
        for _ in range(80):
            price += D(kit.random.choice([-100, -50, 0, 50, 100])) / 100
            price = min(max(price, D(142)), D(158))
            kit.book.move(price)
            try:
                # Else the first lie would be the last word.
                run.engine._told.is_distrusted = False
                calls.made.clear()
                react(run, *teller.speak())
                sent += calls.was_sent_first
                run.tick(kit.random.choice([0.5, 1.0, TICK_S]))
            except KilledError:
                run.store.close()
                run.start()
        assert min(sent, teller.lies, len(kit.book.fills)) > 0, (sent, teller.lies)
        kit.killed = 0.0
        run.tick(BELIEVED_FOR_S)
        run.end()


def test_a_record_that_an_older_bot_goes_on_with_has_only_a_note_more(tmp_path: Path) -> None:
    kit = Backpack()
    run, order = running(kit, tmp_path), resting(kit, 149)
    react(run, word_of(order, D("0.1")))
    [(client_id, cause)] = run.store.told_causes().items()
    assert cause == (order.client_id, D("0.1"))
    assert client_id == resting(kit, 150).client_id
    assert isinstance(run.store, Store)
    assert run.store.accepted() == set()
    run.tick(3.0)
    run.end()
