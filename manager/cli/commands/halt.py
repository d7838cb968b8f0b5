"""`halt`, the kill switch: stops everything at once, and proves that nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.engine import labels
from manager.errors import BAD_CONFIG, EngineUnreachable, ManagerError, worst_exit_code
from manager.fleet import instances_json_refresh, lock, supervisor_state
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import no_instance
from manager.fleet.session import Session, show_problems
from manager.i18n import Text, _, mark
from manager.ops import desired_state
from manager.util import console

if TYPE_CHECKING:
    from manager.config.fleet import Fleet
    from manager.engine.containers import Container
    from manager.ops.halt import Ended, Fate
    from manager.ops.open_orders import Answer


HOW = {
    "stopped": mark("stopped"),
    "killed": mark("killed"),
    "was down": mark("was down"),
    "still runs": mark("STILL RUNS"),
}
"""Words of programs, and what a person reads."""


def halt(session: Session) -> int:
    """Stops every instance at once, whatever else is locked or cannot be read, and verifies it."""
    fleet = session.project_to_halt().fleet
    try:
        with lock.held(fleet.lock_file, "halt", force=True) as held:
            return _halt(session, held)
    except EngineUnreachable:
        _say_what_may_trade(fleet)
        raise


def _halt(session: Session, held: lock.Held) -> int:
    from manager.ops import halt as halting  # threads, and what asks an exchange

    snapshot, engine, fleet = session.observe(), session.engine(), session.project().fleet
    chosen = _chosen(session, snapshot)
    ran = {each for each in chosen if snapshot.plan_input.is_up(each)}
    unsaved = _remember(snapshot, chosen, ran)

    def look_again(before: FleetSnapshot) -> FleetSnapshot:
        held.settle()
        return session.look_again(before)

    def tell(line: str) -> None:
        if not session.as_json:
            console.say(line)

    halted = halting.bring_down(snapshot, chosen, look_again, engine, lambda end: tell(_end_line(end, fleet)))
    answers = halting.ask(
        halted, chosen, engine, lambda container, answer: tell(_answer_line(container, answer))
    )
    # who held the lock may have started more, and written its own memory over ours
    unsaved = _remember(halted.snapshot, chosen, ran | halted.came_up) or unsaved
    instances_json_refresh.write(halted.snapshot)
    fates = sorted(halting.fates(halted, chosen, answers), key=lambda each: each.instance)
    return _conclude(session, halted.snapshot, fates, unsaved)


def _chosen(session: Session, snapshot: FleetSnapshot) -> list[str]:
    """The instances meant: those named, else all that a config, a container or a stray is of. Not another folder's, which run on."""
    others = {each.instance for each in snapshot.observed.containers.values() if snapshot.elsewhere(each)}
    known = sorted({*snapshot.views, *(each.instance for each in snapshot.observed.strays)} - others)
    named = snapshot.project.select(session.args.ids, session.args.config)
    for each in named or ():
        if each in others:
            snapshot.require_ours()
        if each not in known:
            raise no_instance(each, known)
    return known if named is None else named


def _remember(snapshot: FleetSnapshot, chosen: list[str], ran: set[str]) -> ManagerError | None:
    """Before the deed, so that a manager killed in between leaves a list. A bot is stopped whether or not it can be written."""
    down = [each for each in chosen if each not in ran]
    try:
        desired_state.remember(snapshot, snapshot.project.memory.with_halted(ran, down))
    except ManagerError as error:
        return error
    return None


def _conclude(
    session: Session, snapshot: FleetSnapshot, fates: list[Fate], unsaved: ManagerError | None
) -> int:
    if session.as_json:
        console.say_json([_object(each) for each in fates])
    elif fates:
        console.say(_table(fates))
    for each in fates:
        _say_what_is_wrong(each, snapshot)
    codes = [each.exit_code for each in fates]
    for problem in snapshot.foreign():
        console.error(problem)
        codes.append(BAD_CONFIG)
    show_problems(snapshot.project)
    if unsaved is not None:
        console.error(unsaved)
        codes.append(unsaved.exit_code)
    return worst_exit_code(codes)


def _say_what_is_wrong(fate: Fate, snapshot: FleetSnapshot) -> None:
    """What a person must do now, each on its line."""
    if fate.ended is not None and fate.ended.error is not None:
        console.error(Text("cannot stop {id}: {why}", id=fate.instance, why=fate.ended.error))
    if not fate.is_down:
        said = supervisor_state.read(snapshot.project.fleet.instance_state_dir(fate.instance))
        name = fate.container.name if fate.container else (said.container[:12] if said else "?")
        console.error(
            Text(
                "{id} STILL RUNS, as far as can be told in container {container}: `docker kill {container}`,"
                " and look at the exchange",
                id=fate.instance, container=name,
            )
        )  # fmt: skip
    if fate.ended is not None and fate.ended.was_killed:
        console.error(Text("{id} did not end in time and was killed", id=fate.instance))
    if fate.mode == "live" and fate.left != 0:
        console.error(_left_text(fate, snapshot))


def _left_text(fate: Fate, snapshot: FleetSnapshot) -> Text:
    where = _market(fate, snapshot)
    if fate.left is None:
        why = fate.answer.why if fate.answer else Text("it has no container to ask from, and did not report")
        return Text(
            "{id}: whether orders are left is unknown ({why}): look at {exchange}, {symbol}",
            id=fate.instance, why=why, **where,
        )  # fmt: skip
    orders = ", ".join(fate.answer.orders) if fate.answer else ""
    return Text(
        "{id}: {count} ORDERS ARE STILL OPEN at {exchange}, {symbol}: cancel them there {orders}",
        id=fate.instance, count=fate.left, orders=f"({orders})" if orders else "", **where,
    )  # fmt: skip


def _market(fate: Fate, snapshot: FleetSnapshot) -> dict[str, str]:
    own = fate.container.labels if fate.container else {}
    view = snapshot.views.get(fate.instance)
    return {
        "exchange": own.get(labels.EXCHANGE) or (view and view.exchange) or "?",
        "symbol": own.get(labels.SYMBOL) or (view and view.symbol) or "?",
    }


def _how(fate: Fate) -> str:
    if not fate.is_down:
        return "still runs"
    if fate.ended is None:
        return "was down"
    return "killed" if fate.ended.was_killed else "stopped"


def _table(fates: list[Fate]) -> str:
    heads = [
        "ID",
        _("CONTAINER"),
        _("MODE"),
        _("HOW"),
        _("SECONDS"),
        _("REPORTED LEFT"),
        _("LEFT AT EXCHANGE"),
        _("OF OTHERS"),
    ]
    return console.table(heads, [_row(each) for each in fates])


def _row(fate: Fate) -> list[object]:
    asked = fate.answer
    return [
        fate.instance,
        fate.container.name if fate.container else "",
        _(fate.mode) if fate.mode else "",
        _(HOW[_how(fate)]),
        "" if fate.ended is None else f"{fate.ended.seconds:.1f}",
        "" if fate.reported is None else fate.reported,
        "" if asked is None else _("unknown") if asked.left is None else asked.left,
        "" if asked is None or asked.left is None else asked.others,
    ]


def _object(fate: Fate) -> dict[str, Any]:
    ended, asked = fate.ended, fate.answer
    return {
        "id": fate.instance,
        "container": fate.container.name if fate.container else None,
        "mode": fate.mode or None,
        "down": fate.is_down,
        "how": _how(fate),
        "killed": ended is not None and ended.was_killed,
        "seconds": round(ended.seconds, 3) if ended else None,
        "error": str(ended.error) if ended and ended.error else None,
        "open_orders_reported": fate.reported,
        "asked": asked is not None,
        "open_orders_at_exchange": asked.left if asked else None,
        "orders_of_others": asked.others if asked and asked.left is not None else None,
        "orders": list(asked.orders) if asked else [],
        "why": str(asked.why) if asked and asked.why else None,
    }


def _end_line(end: Ended, fleet: Fleet) -> str:
    """`bp_sol_01: stopped (4.7 s), 0 open orders left`; a container that is not the instance's own is named."""
    found = end.container
    name = found.instance if found.name == fleet.container_name(found.instance) else found.name
    verb = _("failed") if end.error else _("killed") if end.was_killed else _("stopped")
    text = f"{name}: {verb} ({end.seconds:.1f} s)"
    left = supervisor_state.open_orders_left(fleet.instance_state_dir(found.instance))
    return text if left is None else f"{text}, {Text('{count} open orders left', count=left)}"


def _answer_line(container: Container, answer: Answer) -> str:
    exchange = container.labels.get(labels.EXCHANGE, "?")
    if answer.left is None:
        return str(Text("{id}: {exchange} was asked: unknown", id=container.instance, exchange=exchange))
    return str(
        Text(
            "{id}: {exchange} was asked: {count} open orders left",
            id=container.instance,
            exchange=exchange,
            count=answer.left,
        )
    )


def _say_what_may_trade(fleet: Fleet) -> None:
    """Without an engine nothing can be stopped; which bots live can still be told from the locks they hold."""
    try:
        folders = sorted(each for each in fleet.state_dir.iterdir() if each.is_dir())
    except OSError:
        return
    alive = [each.name for each in folders if supervisor_state.is_held(each)]
    if alive:
        console.error(Text("these bots still run and may trade: {ids}", ids=", ".join(alive)))
