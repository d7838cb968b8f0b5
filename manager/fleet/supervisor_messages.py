"""Translate supervisors' reasons by code (docker/README.md); their image has no translations."""

from __future__ import annotations

from collections.abc import Mapping

from manager.i18n import Text, mark
from manager.typed import Any
from manager.util.sanitize import replace_unprintable

SENTENCES: Mapping[str, str] = {
    # how a run of the bot ended
    "exit_code": mark("exit code {code}"),
    "signal": "{signal}",
    "out_of_memory": mark("{signal} (out of memory)"),
    "killed": mark("had to be killed"),
    "container_ended": mark("ended with its container"),
    "unhealthy": mark("unhealthy: {count} probes failed ({cause})"),
    # what follows from it
    "auto_restart_off": mark("{cause} (auto_restart is off)"),
    "restarts_exhausted": mark("{cause} (given up after {count} restarts in a row)"),
    "never_completes": mark("{cause}, but this bot is meant never to end"),
    "no_duration": mark("{cause}, but this bot has no duration after which it may end"),
    "before_duration": mark("{cause} after {seconds} s, before its duration of {duration} s"),
    "no_report": mark("{cause} (no report)"),
    # why a bot could not be started
    "cannot_start": mark("cannot start the bot: {error} ({path})"),
    "file_unreadable": mark("cannot read {path}: {error}"),
    "file_not_json": mark("cannot read {path}: it is not JSON"),
    "file_not_json_at": mark("cannot read {path}: it is not JSON at line {line}"),
    "file_not_object": mark("cannot read {path}: it is not a JSON object"),
    "variable_name_invalid": mark("cannot use {path}: {name!r} is no variable name"),
    "variable_value_invalid": mark(
        "cannot use {path}: {name!r} must be a string that an environment can hold"
    ),
    "web_port_missing": mark("WEB_PORT is not set"),
    "web_port_invalid": mark("WEB_PORT: must be 1-65535, not {value!r}"),
    # why the orders are not cancelled yet
    "cannot_start_cancel": mark("cannot start the cancel program: {error} ({path})"),
    "no_result": mark("it has not reported how many orders are left"),
    "orders_left": mark("{count} orders are left"),
    # what a probe of /health met
    "no_answer": mark("no answer within {seconds} s"),
    "no_http": mark("no HTTP answer"),
    "connection_closed": mark("connection closed without an answer"),
    "connection_failed": "{error}",
    "http_status": "{status} {detail}",
    "degraded": mark("degraded: {condition}"),
    # why the bot is not started yet
    "waiting_turn": mark("waiting its turn"),
    # why there is nothing to run
    "halted": mark("halted"),
    "instance_missing": mark(
        "BOTFLEET_INSTANCE is not set: this image is started by the manager or its compose.yaml"
    ),
    "setting_not_choice": mark("{name}: must be one of {choices}, not {value!r}"),
    "setting_not_number": mark("{name}: must be a number from {low} to {high}, not {value!r}"),
    "setting_not_positive": mark("{name}: must be a number above 0, to {high}, not {value!r}"),
    "setting_not_whole": mark("{name}: must be a whole number from {low} to {high}, not {value!r}"),
    "setting_not_exit_codes": mark(
        "{name}: must be exit codes from 0 to 255, comma-separated, not {value!r}"
    ),
    "setting_not_path": mark("{name}: must be a path such as /health, not {value!r}"),
    "locked": mark("{path} is held by another supervisor: no second bot is started here"),
    "locked_by": mark(
        "{path} is held by another supervisor, of container {container}: no second bot is started here"
    ),
    "cannot_lock": mark("cannot lock {path}: {error}"),
}
"""Every code of the supervisor with its sentence. `cause` is itself a reason."""

SINGULAR: Mapping[str, str] = {
    "restarts_exhausted": mark("{cause} (given up after 1 restart in a row)"),
    "orders_left": mark("1 order is left"),
}
"""The sentences of codes whose `count` is 1."""

CONDITIONS: Mapping[str, str] = {
    "out_of_range": mark("the price has left its range"),
    "exchange_away": mark("the exchange is away"),
    "orders_refused": mark("the exchange refuses every order"),
    "ledger_differs": mark("what the account holds and what its trades make differ"),
}
"""What a bot's condition says without its parameters, which a supervisor's reason does not have."""

DEEPEST = 4
"""Limit for nested reasons: a bot can write into the file, too."""
LONGEST = 1000
WHOLE_FROM = 10.0
"""Seconds from which fractions are not shown."""


def message(reason: Any, sentence: str | None) -> Text | None:
    """Return a supervisor's reason by its code, else its English sentence; None if it gives none.

    An unknown code leaves the sentence as it is. Nothing is used before it is checked.
    """
    text = _by_code(reason)
    if text is not None or not sentence:
        return text
    from manager.fleet.supervisor_sentences import parsed  # only for supervisors that write no codes

    return parsed(sentence)


def _by_code(reason: Any, depth: int = 0) -> Text | None:
    """Return the sentence of a reason in the file; None if it is invalid."""
    if not isinstance(reason, dict) or depth > DEEPEST:
        return None
    code, params = reason.get("code"), reason.get("params") or {}
    if not isinstance(code, str) or code not in SENTENCES or not isinstance(params, dict):
        return None
    shown = {str(name): _shown(value, depth) for name, value in params.items()}
    template = SENTENCES[code]
    if params.get("count") == 1:
        template = SINGULAR.get(code, template)
    elif code == "degraded" and (condition := condition_in_general(str(params.get("condition")))):
        shown["condition"] = condition
    elif code == "http_status" and not params.get("detail"):
        template = "{status}"
    try:
        template.format(**shown)
    except (LookupError, ValueError):  # a parameter is missing
        return None
    return Text(template, **shown)


def condition_in_general(code: str) -> Text | None:
    """Return what a condition's code says by itself; None if that is nothing, or the code is unknown."""
    return Text(CONDITIONS[code]) if code in CONDITIONS else None


NETWORK_ERRORS: Mapping[str, str] = {
    "connection refused": mark("Connection refused"),
    "connection reset by peer": mark("the connection was reset"),
    "broken pipe": mark("the connection was closed"),
    "connection timed out": mark("the connection timed out"),
    "cannot assign requested address": mark("no local port is free for a connection"),
}
"""What the system says of a probe that has failed."""


def _shown(value: Any, depth: int) -> object:
    """Return a parameter as it is shown."""
    if isinstance(value, dict):
        return _by_code(value, depth + 1) or "?"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= WHOLE_FROM else f"{value:g}"
    if isinstance(value, int):
        return value
    text = str(value)
    return Text(NETWORK_ERRORS[text]) if text in NETWORK_ERRORS else replace_unprintable(text[:LONGEST])
