"""Answer the questions of the web side. The list is closed, and every parameter is checked here as well: the
web side faces the network, and is not trusted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from manager import i18n
from manager.errors import ManagerError, UsageError
from manager.fleet import causes
from manager.i18n import Text
from manager.monitor.history import summary
from manager.monitor.history.reader import FleetHistory, InstanceHistory
from manager.monitor.stats.instance_stats import NO_REPORT, InstanceStats
from manager.monitor.top import confirm
from manager.monitor.watch import snoozing
from manager.util import kept_text, time_parse
from manager.web.engine_side import answers, bot_pages, config_changes, figures, machines, marks, realized
from manager.web.engine_side.backend import Backend
from manager.web.engine_side.figures import DAY_S
from manager.web.engine_side.observer import as_error
from manager.web.protocol import (
    ACTION_VERBS,
    CHANGES_NOTHING,
    EVENTS_WAIT_S,
    HALT,
    MAX_TIME,
    ActionVerb,
    Refusal,
    status_of,
)

Params = Mapping[str, Any]

EXITS_OF_DAYS = 30
LAST_EVENTS = 100
MAX_DAYS = 3650
MAX_TEXT = 200
BIGGEST = 2.0**53
POLL_S = 1.0
"""So soon a reader who waits hears that this process ends."""
CLOCKS_S = 5.0
"""How much the page's notion of our clock may be ahead of it."""
MOST_NAMED = 100
EVERYWHERE = "--hosts"
"""In the place of an instance: here and on all machines."""


def answer(backend: Backend, raw: bytes) -> dict[str, Any]:
    """Return the answer to one question, or a refusal. Never raises."""
    try:
        asked = json.loads(raw)
        verb, language, params = asked["verb"], asked["language"], asked["params"]
        function = VERBS[verb]
        if not isinstance(params, dict) or not i18n.is_known(str(language)):
            return _refusal(400)
    except (ValueError, KeyError, TypeError, RecursionError):
        return _refusal(400)
    with i18n.speaking(language):
        try:
            return {"answer": function(backend, params)}
        except Refusal as refusal:
            return _refusal(refusal.status, refusal.detail, refusal.retry_after)
        except ManagerError as error:
            return _refusal(status_of(error), error)
        except Exception as problem:  # noqa: BLE001 - a bug in one answer must not end the others
            return _refusal(500, as_error(problem))


def _refusal(status: int, detail: object = "", retry_after: int | None = None) -> dict[str, Any]:
    later = {} if retry_after is None else {"retry_after": retry_after}
    return {"refusal": {"status": status, "detail": str(detail), **later}}


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Refusal(422, name)
    return value


def _message(params: Params, name: str) -> Text | str:
    """Return a message that the web side has kept for readers of any language."""
    value = kept_text.unkept(params.get(name))
    if not isinstance(value, Text | str) or len(str(value)) > MAX_TEXT:
        raise Refusal(422, name)
    return value


def _number(params: Params, name: str, most: float) -> float:
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(422, name)
    if not -BIGGEST < value < BIGGEST:  # NaN is not, either
        raise Refusal(422, name)
    return min(max(0.0, value), most)


def _fleet(backend: Backend, _params: Params) -> Any:
    return backend.feed().state()[0]


def _instances(backend: Backend, _params: Params) -> Any:
    fleet, members, event = backend.state()
    return {"looked_at": fleet["looked_at"], "event": event, "instances": members}


def _instance(backend: Backend, params: Params) -> Any:
    row = backend.known_row(_text(params, "instance"))
    since = time.time() - EXITS_OF_DAYS * DAY_S
    history, fleet_history = figures.of_history(backend.session, row.id, since, is_seen=True)
    events = _history_object(history, fleet_history, since)["events"]
    kept_report = row.view.report
    of_instance = backend.figures.latest.instances.get(row.id, answers.NO_FIGURES)
    return {
        "instance": answers.instance(row, backend.snapshots.latest, of_instance),
        "report": None if row.report is NO_REPORT else answers.report_object(row.report),
        "report_is_previous": kept_report is not None and kept_report.is_previous,
        "last_words": causes.last_words(row.view),
        "changes": config_changes.of_instance(backend, row),
        "exits": [event for event in events if event["what"] == "exit"],
        "events": events[-LAST_EVENTS:],
    }


def _history(backend: Backend, params: Params) -> Any:
    instance = _text(params, "instance")
    since = time.time() - _number(params, "days", MAX_DAYS) * DAY_S
    history, fleet_history = figures.of_history(
        backend.session, instance, since, is_seen=backend.row(instance) is not None
    )
    marked = marks.of_instance(history, since, fleet_history.now)
    return {
        **_history_object(history, fleet_history, since),
        "realized": realized.curves_of(history),
        "marks": [marks.as_object(mark) for mark in marked],
    }


def _history_object(history: InstanceHistory, fleet_history: FleetHistory, since: float) -> dict[str, Any]:
    """Return an object of `history --json`, whose events are told in the reader's language."""
    answer = summary.as_object(history, fleet_history, since)
    told = zip(answer["events"], history.events, strict=True)
    return {
        **answer,
        "events": [{**event_object, "text": summary.event_text(event)} for event_object, event in told],
    }


def _curves(backend: Backend, params: Params) -> Any:
    backend.readers.note()
    over = _text(params, "over")
    if over not in figures.RANGES:
        raise Refusal(422, "over")
    return answers.curves(backend.figures.latest if over == "1d" else backend.ranges.over(over))


def _events(backend: Backend, params: Params) -> Any:
    """Return what is new behind `after`; waits for it a while."""
    feed = backend.feed()
    after = _text(params, "after") or feed.last_id
    deadline = time.monotonic() + _number(params, "wait", EVENTS_WAIT_S)
    while not (events := feed.after(after)) and time.monotonic() < deadline and not backend.is_ending:
        feed.wait(after, POLL_S)
    backend.note_reader()
    return {"events": [event._asdict() for event in events], "last_id": events[-1].id if events else after}


def _question(backend: Backend, params: Params) -> Any:
    row = backend.known_row(_text(params, "instance"))
    verb = _action_verb(params)
    return {
        "sentences": confirm.before(verb, row),
        "needs_id": _needs_id(backend, row, verb),
        "until": snoozing.next_morning(time.time()) if verb == "snooze" else None,
    }


def _act(backend: Backend, params: Params) -> Any:
    row = backend.known_row(_text(params, "instance"))
    verb, by = _action_verb(params), _message(params, "by")
    try:
        return _begun(backend, verb, row.id, [row.id], by, *_allowed(backend, params, row, verb))
    except Refusal as refusal:
        _note_refusal(backend, verb, [row.id], by, refusal.message or str(refusal.status))
        raise


def _allowed(backend: Backend, params: Params, row: InstanceStats, verb: ActionVerb) -> tuple[list[str], str]:
    """Return the options and the key of a command that may be begun. Raises Refusal."""
    options = _until(params) if verb == "snooze" else []
    if row.id.startswith("-"):  # a command line would take it for an option
        raise Refusal(403, Text("no instance {id}", id=row.id))
    if _needs_id(backend, row, verb) and params.get("confirm") != row.id:
        raise Refusal(409, Text("{id} trades real money: type its id to confirm", id=row.id))
    key = _text(params, "key") if params.get("key") else ""
    _require_told_once(backend, params, key)
    return options, key


def _refused(backend: Backend, params: Params) -> Any:
    """Note what the web side has refused: a sign-in that may not do it. `instance`: empty for the fleet."""
    instance = _text(params, "instance")
    concerned = [row.id for row in backend.snapshots.latest.rows if instance in {"", row.id}]
    verb = "command" if instance else HALT
    _note_refusal(backend, verb, concerned, _message(params, "by"), _message(params, "why"))
    return True


def _note_refusal(backend: Backend, verb: str, concerned: Sequence[str], by: Text | str, why: object) -> None:
    backend.actions.note_refusal(verb, concerned, backend.snapshots.latest.fleet, by, why)


def _require_told_once(backend: Backend, params: Params, key: str) -> None:
    """Refuse what is asked for again if a process before this one may have begun it."""
    if params.get("asked_at") is None or backend.actions.knows(key):
        return
    if _number(params, "asked_at", BIGGEST) < backend.actions.begun_at + CLOCKS_S:
        raise Refusal(
            409,
            Text("`manager serve` was started again meanwhile: whether it was carried out is not known here"),
        )


def _action_verb(params: Params) -> ActionVerb:
    verb = next((known for known in ACTION_VERBS if known == params.get("verb")), None)
    if verb is None:
        raise Refusal(422, "verb")
    return verb


def _until(params: Params) -> list[str]:
    """Return the option of the time until which alerts are left; none for the command's own default."""
    until = params.get("until") or ""
    if not until:
        return []
    try:
        if not isinstance(until, str) or len(until) > MAX_TIME:
            raise ValueError(until)
        snoozing.require_near(time_parse.parse_later(until), time.time())
    except UsageError as error:
        raise Refusal(422, error) from error
    except ValueError as error:
        raise Refusal(
            422,
            Text(
                "must be a duration (30m, 8h, 2d), a time of day (08:00), or a local date and time to come,"
                " not “{value}”",
                value=str(until)[:MAX_TIME],
            ),
        ) from error
    return ["--until", until]


def _halt(backend: Backend, params: Params) -> Any:
    return _begun(
        backend, HALT, "", [row.id for row in backend.snapshots.latest.rows], _message(params, "by")
    )


def _hosts(backend: Backend, _params: Params) -> Any:
    backend.readers.note()
    return machines.as_object(backend.machines.latest)


def _halt_hosts(backend: Backend, params: Params) -> Any:
    concerned = [row.id for row in backend.snapshots.latest.rows]
    return _begun(backend, HALT, EVERYWHERE, concerned, _message(params, "by"))


def _begun(
    backend: Backend,
    verb: str,
    instance: str,
    concerned: list[str],
    by: Text | str,
    options: Sequence[str] = (),
    key: str = "",
) -> Any:
    backend.readers.note()
    fleet = backend.snapshots.latest.fleet
    try:
        begun = backend.actions.begin(verb, instance, concerned, fleet, by, options, key)
    except OSError as error:
        why = error.strerror or error
        raise Refusal(500, Text("cannot run {verb} {id}: {why}", verb=verb, id=instance, why=why)) from error
    return begun._asdict()


def _needs_id(backend: Backend, row: InstanceStats, verb: ActionVerb) -> bool:
    """Return whether the id has to be typed: it trades real money, or it is unknown now whether it does."""
    return verb not in CHANGES_NOTHING and (row.is_live or not backend.is_fresh())


def _actions(backend: Backend, _params: Params) -> Any:
    return [action._asdict() for action in backend.actions.all()]


def _action(backend: Backend, params: Params) -> Any:
    action = backend.actions.find(int(_number(params, "number", BIGGEST)))
    if action is None:
        raise Refusal(404)
    return action._asdict()


def _logs(backend: Backend, params: Params) -> Any:
    """Return the log lines behind `after`, of the named instances, of all without any."""
    named = params.get("instances")
    if not isinstance(named, list) or len(named) > MOST_NAMED:
        raise Refusal(422, "instances")
    wanted = [backend.known_row(_text({"instance": name}, "instance")).id for name in named]
    return backend.tails.after(wanted, len(backend.snapshots.latest.rows), _text(params, "after"))._asdict()


def _bot_page(backend: Backend, params: Params) -> Any:
    return bot_pages.connect(backend, _text(params, "instance"))


def _metrics(backend: Backend, params: Params) -> Any:
    backend.readers.note()  # where this process does not watch, the page's looks go on between scrapes
    content, media_type = backend.exposition.text(_text(params, "accept"))
    return {"content": content, "media_type": media_type}


def _redeem(backend: Backend, params: Params) -> Any:
    return backend.redeem(_text(params, "link"))


VERBS: Mapping[str, Callable[[Backend, Params], Any]] = {
    "fleet": _fleet,
    "instances": _instances,
    "instance": _instance,
    "history": _history,
    "curves": _curves,
    "events": _events,
    "question": _question,
    "act": _act,
    "halt": _halt,
    "refused": _refused,
    "hosts": _hosts,
    "halt_hosts": _halt_hosts,
    "actions": _actions,
    "action": _action,
    "logs": _logs,
    "bot_page": _bot_page,
    "metrics": _metrics,
    "redeem": _redeem,
}
