"""Close what stopped bots hold: look at each, and when a person has agreed, let a program of its image do it.

The program (docker/README.md) runs in a one-off container, as the question for open orders does. It has the
record; here it is only decided who may be closed at all, and the answers are checked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from manager.config.account_names import configured_as
from manager.engine import labels
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import FAILED, OK, EngineError, ManagerError
from manager.fleet import (
    bot_report,
    closed_report,
    closing_messages,
    env_file,
    event_spool,
    supervisor_state,
    tombstone,
)
from manager.fleet.bot_report import Position
from manager.fleet.instance import market_of
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.checks import start_checks
from manager.ops.exchange import account_parts, oneoff, settled_records
from manager.typed import NamedTuple
from manager.util.interrupts import Ending, Interruption
from manager.util.sanitize import replace_unprintable
from manager.util.threads import TaskGroup

LOOK_WITHIN_S, CLOSE_WITHIN_S = 100, 240
"""After these the supervisor kills the program, which itself gives up earlier: it waits for what became of an
order whose answer was lost.
"""
AT_ONCE = 8
"""Each program loads an exchange's client: 80 MB, and half a second of a core."""
KILLED_FROM = 124
"""Exit codes from here on are a time limit's or a signal's: the program did not end by itself."""
SIDES = ("buy", "sell")
INTERRUPTED = Text("interrupted")
IN_THE_MIDDLE = Text("interrupted in the middle: what was closed is unknown")


class ClosePreview(NamedTuple):
    """Hold what closing would do: trade `quantity` on `side`, at `price` or better.

    `position`: what record and account agree on. `account`: a name by which a person knows it.
    """

    position: Position
    side: str
    quantity: Decimal
    price: Decimal
    market_price: Decimal
    quote: str
    account: str


class CloseResult(NamedTuple):
    """Hold what was closed. `position`: what is left, as the exchange says; None if unknown.

    `is_done`: nothing is left that an order could be of. `why` not, if so.
    """

    position: Position | None
    closed: Decimal
    average_price: Decimal | None
    is_done: bool
    why: str | Text


class Closing(NamedTuple):
    """Hold one instance's part. `why`: what keeps it from being closed.

    `is_unsure`: the program ended without an answer after it may have sent orders.
    """

    instance: str
    container: Container | None
    mode: str
    exchange: str = "?"
    symbol: str = "?"
    look: ClosePreview | None = None
    result: CloseResult | None = None
    why: Text | None = None
    is_unsure: bool = False

    @property
    def is_wanted(self) -> bool:
        """Return whether there is something to close, and nothing that keeps it from being closed."""
        return self.why is None and self.result is None and self.look is not None and bool(self.look.quantity)

    @property
    def position(self) -> Position | None:
        """Return what it holds now, as the exchange has just said; None if unknown."""
        if self.result is not None:
            return self.result.position
        return self.look.position if self.look else None

    @property
    def exit_code(self) -> int:
        """Return 0 only if nothing is held that could be closed."""
        is_well = self.why is None and not self.is_wanted and (self.result is None or self.result.is_done)
        return OK if is_well else FAILED


class NoAnswer(NamedTuple):
    """Hold why a program has given no answer. `has_refused`: it has ended by itself, and done nothing."""

    why: Text
    has_refused: bool = True


OnClosing = Callable[[Closing], object]


def look(
    snapshot: FleetSnapshot, chosen: Sequence[str], engine: Engine, share: Decimal, on_look: OnClosing
) -> list[Closing]:
    """Return what closing each instance would do, or what keeps it from being closed. Sends no order."""
    fleet = snapshot.project.fleet
    closings = [_candidate(snapshot, instance) for instance in chosen]
    live = [closing.instance for closing in closings if closing.why is None and closing.mode == "live"]
    older = start_checks.older_copies(snapshot, live) if live else {}
    closings = [closing._replace(why=older.get(closing.instance, closing.why)) for closing in closings]
    to_ask = [closing for closing in closings if closing.why is None and closing.mode == "live"]
    if to_ask:
        with suppress(EngineError):  # what a killed manager has left is no obstacle
            oneoff.sweep(fleet, engine)

    containers = [closing.container for closing in to_ask if closing.container is not None]
    why_not = settled_records.settle(snapshot, containers, engine, LOOK_WITHIN_S, AT_ONCE)

    def ask(closing: Closing) -> Closing:
        answer = _run(closing, snapshot, engine, ["look", format(share, "f")], LOOK_WITHIN_S, why_not)
        if isinstance(answer, NoAnswer):
            return closing._replace(why=answer.why)
        seen = parsed_look(answer)
        state_dir = fleet.instance_state_dir(closing.instance)
        # A manager that was killed while a program closed has not kept what it closed.
        if seen and seen.position.amount != _kept_position(state_dir):
            closed_report.keep(state_dir, seen.position.amount, _figures(answer))
        if seen is None:
            return closing._replace(why=_unusable())
        return closing._replace(look=seen._replace(account=_account_name(seen.account, closing, snapshot)))

    asked = {
        closing.instance: closing
        for closing in TaskGroup([partial(ask, closing) for closing in to_ask], AT_ONCE)
    }
    closings = [asked.get(closing.instance, closing) for closing in closings]
    for closing in closings:
        on_look(closing)
    return closings


def close(
    snapshot: FleetSnapshot,
    closings: Sequence[Closing],
    engine: Engine,
    command: str,
    on_done: OnClosing,
    ending: Ending,
) -> list[Closing]:
    """Close those that are wanted, at the bounds that their looks have named, and note it in the history.

    One market's bots take turns: each compares the account's position with its own. After Ctrl-C or SIGTERM
    none is begun any more; a second signal ends it at once.
    """
    fleet = snapshot.project.fleet
    turns: dict[tuple[str, str], list[Closing]] = defaultdict(list)
    for closing in closings:
        if closing.is_wanted:
            turns[closing.exchange, closing.symbol].append(closing)

    def close_in_turn(group: Sequence[Closing]) -> None:
        for closing in group:
            if ending.number:
                closed[closing.instance] = closing._replace(why=INTERRUPTED)
                continue
            begun.append(closing)
            result = _close(closing, snapshot, engine)
            event_spool.note(fleet, [_event(command, result)])
            closed[closing.instance] = result
            on_done(result)

    tasks = [partial(close_in_turn, group) for group in turns.values()]
    closed: dict[str, Closing] = {}
    begun: list[Closing] = []
    with ending.begun():
        try:
            for _group in TaskGroup(tasks, AT_ONCE):
                pass
        except Interruption as interruption:
            left = [closing for closing in begun if closing.instance not in closed]
            interruption.left = [closing.instance for closing in left]
            cut_off = [closing._replace(why=IN_THE_MIDDLE) for closing in left]
            event_spool.note(fleet, [_event(command, closing) for closing in cut_off])
            raise
    return [closed.get(closing.instance, closing) for closing in closings]


def _candidate(snapshot: FleetSnapshot, instance: str) -> Closing:
    """Return the instance, with what keeps it from being asked at all."""
    container = snapshot.observed.containers.get(instance)
    view = snapshot.views.get(instance)
    mode = (container.mode if container else view.mode if view else None) or ""
    closing = Closing(
        instance,
        container,
        mode,
        *market_of(container, view),
    )
    if mode != "live":
        return closing
    if stone := tombstone.find_with_record(snapshot.project.fleet, instance):
        return closing._replace(why=stone.why)  # its record is old, and another machine trades on the account
    state_dir = snapshot.project.fleet.instance_state_dir(instance)
    if not snapshot.plan_input.is_stopped_by_wish(instance) or supervisor_state.has_bot(state_dir):
        return closing._replace(
            why=Text("it is neither halted nor stopped: run `manager halt {id}`", id=instance)
        )
    if container is None:
        return closing._replace(why=Text("it has no container to close it from"))
    if not container.labels.get(labels.CLOSE_POSITION):
        return closing._replace(
            why=Text(
                "its image has no program for this (docker/README.md: {label})", label=labels.CLOSE_POSITION
            )
        )
    return closing


def _close(closing: Closing, snapshot: FleetSnapshot, engine: Engine) -> Closing:
    assert closing.look is not None
    terms = ["close", closing.look.side, format(closing.look.quantity, "f"), format(closing.look.price, "f")]
    state_dir = snapshot.project.fleet.instance_state_dir(closing.instance)
    closed_report.keep(
        state_dir, None, {}
    )  # until the program has answered: this process may be killed meanwhile
    answer = _run(closing, snapshot, engine, terms, CLOSE_WITHIN_S)
    if isinstance(answer, NoAnswer):
        return closing._replace(why=answer.why, look=None, is_unsure=not answer.has_refused)
    result = parsed_done(answer)
    if result and result.position is not None:
        closed_report.keep(state_dir, result.position.amount, _figures(answer), is_settled=result.is_done)
    if result is None:
        return closing._replace(why=_unusable(), look=None, is_unsure=True)
    return closing._replace(result=result)


def _run(
    closing: Closing,
    snapshot: FleetSnapshot,
    engine: Engine,
    words: Sequence[str],
    within_s: int,
    why_not: Mapping[str, Text] = account_parts.NOTHING_SAID,
) -> Mapping[str, Any] | NoAnswer:
    """Return the program's answer, or why there is none."""
    assert closing.container is not None
    others = account_parts.of_others(snapshot, closing.container, why_not)
    if isinstance(others, Text):
        return NoAnswer(others)
    variables = {} if others is None else {account_parts.VARIABLE: format(others, "f")}
    fleet = snapshot.project.fleet
    if stone := tombstone.find_with_record(fleet, closing.instance):  # it was moved while a person was asked
        return NoAnswer(stone.why)
    program = " ".join([closing.container.labels[labels.CLOSE_POSITION], *words])
    try:
        ended = oneoff.run(closing.container, fleet, engine, program, "close", within_s, variables)
    except ManagerError as error:
        return NoAnswer(Text("{why}", why=error), has_refused=False)
    if ended.code != 0:
        no_words = Text("the program exited with code {code}", code=ended.code)
        why = closing_messages.reason(ended.answer) or ended.in_its_words(no_words)
        return NoAnswer(why, has_refused=ended.code < KILLED_FROM)
    try:
        answer = json.loads(ended.answer)
    except (ValueError, RecursionError):
        return NoAnswer(_unusable(), has_refused=False)
    return answer if isinstance(answer, dict) else NoAnswer(_unusable(), has_refused=False)


def _account_name(account: str, closing: Closing, snapshot: FleetSnapshot) -> str:
    """Name the account as its config does: the bot reads a second one's key under the exchange's name."""
    spec = snapshot.project.specs.get(closing.instance)
    if spec is None:
        return account
    given = env_file.read(snapshot.project.fleet.secrets_dir(spec.id) / env_file.ENV_FILE) or {}
    renamed = [(variable.name, variable.read_as) for variable in spec.variables if variable.read_as]
    name, blank, rest = account.partition(" ")
    return f"{configured_as(name, spec.exchange, renamed, given)}{blank}{rest}"


def _kept_position(state_dir: Path) -> Decimal | None:
    kept_report = bot_report.read_kept(state_dir)
    return kept_report.report.position if kept_report else None


def _figures(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the program says of its record beside the position; optional."""
    figures = answer.get("report")
    return figures if isinstance(figures, dict) else {}


def _unusable() -> Text:
    return Text("its answer cannot be parsed")


def parsed_look(answer: Mapping[str, Any]) -> ClosePreview | None:
    """Return the answer to `look`; None if a value is missing or is none. It comes from the bot's image."""
    position = bot_report.position_at_exchange(answer)
    quantity, price, market_price = (
        bot_report.amount(answer.get(key)) for key in ("quantity", "price", "market_price")
    )
    side = answer.get("side")
    if position is None or quantity is None or price is None or market_price is None or side not in SIDES:
        return None
    if not 0 <= quantity <= position.amount.copy_abs() or price <= 0:
        return None
    if not quantity:
        position = position._replace(is_dust=bool(position.amount))
    quote, account = (replace_unprintable(str(answer.get(key) or ""))[:40] for key in ("quote", "account"))
    return ClosePreview(position, side, quantity, price, market_price, quote, account)


def parsed_done(answer: Mapping[str, Any]) -> CloseResult | None:
    """Return the answer to `close`; None if a value is missing or is none."""
    closed, is_done = bot_report.amount(answer.get("closed")), answer.get("done")
    position = bot_report.position_at_exchange(answer)
    if closed is None or closed < 0 or not isinstance(is_done, bool) or (is_done and position is None):
        return None
    if is_done and position is not None:
        position = position._replace(is_dust=bool(position.amount))
    why = closing_messages.sentence(answer) or replace_unprintable(str(answer.get("why") or ""))[:300]
    return CloseResult(position, closed, bot_report.amount(answer.get("average_price")), is_done, why)


def _event(command: str, closing: Closing) -> event_spool.SpooledEvent:
    """Return what the history keeps: how much was closed, and what is left."""
    result = closing.result
    left = "?" if result is None or result.position is None else result.position.plain
    at = f" @ {result.average_price:f}" if result and result.average_price is not None else ""
    action = Text("close, {left} left", left=left)
    if result is not None:
        action = Text("close {quantity}, {left} left", quantity=f"{result.closed:f}{at}", left=left)
    why = (result.why if result else None) or closing.why
    return event_spool.happened(command, closing.instance, action, why, is_done=closing.exit_code == OK)
