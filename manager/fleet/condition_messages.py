"""Translate the conditions that bots report by code (docker/README.md) into sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from manager.fleet.supervisor_messages import condition_in_general
from manager.fleet.supervisor_state import Condition
from manager.i18n import Text, mark, quoted
from manager.util.formatting import elapsed

SENTENCES: Mapping[tuple[str, str], str] = {
    ("paused", ""): mark("paused on request"),
    ("out_of_range", "above"): mark("price {price} is above {bound}"),
    ("out_of_range", "below"): mark("price {price} is below {bound}"),
    ("exchange_away", "unreachable"): mark("the exchange does not answer"),
    ("exchange_away", "maintenance"): mark("the exchange is under maintenance"),
    ("exchange_away", "rate_limited"): mark("the exchange rejects requests for now: there were too many"),
    ("exchange_away", "banned"): mark("the exchange has banned this address for a time"),
    ("exchange_away", "unclear"): mark("the exchange answers what makes no sense ({error})"),
    ("orders_refused", "insufficient_funds"): mark(
        "the exchange refuses every order: the funds do not suffice"
    ),
    ("orders_refused", "unauthorized"): mark("the exchange refuses every order: the keys may not trade"),
    ("orders_refused", "below_minimum"): mark("the exchange refuses every order: they are below its minimum"),
    ("orders_refused", "other"): mark("the exchange refuses every order: {error}"),
    ("ledger_differs", ""): mark("the account holds {account}, but its trades make {ledger}"),
    ("ledger_differs", "unreadable"): mark("what the account holds cannot be read: {error}"),
    ("ledger_differs", "unknown_orders"): mark(
        "what {count} of its orders have filled is unknown: nothing is placed at their levels"
    ),
    ("ledger_differs", "socket"): mark(
        "the websocket reported a fill that the exchange does not list ({error});"
        " the order that was sent for it is being cancelled"
    ),
    ("stopped_out", "stop_loss"): mark("stop loss {limit} reached: {value}"),
    ("stopped_out", "take_profit"): mark("take profit {limit} reached: {value}"),
    ("stopped_out", "lower_bound"): mark("price {value} is below the lower bound {limit}"),
    ("stopped_out", "upper_bound"): mark("price {value} is above the upper bound {limit}"),
    ("finished", "duration"): mark("its duration of {limit} s is over"),
    ("finished", "replay"): mark("the replay is over"),
    ("finished", "recording"): mark("the recording is over"),
    ("finished", "page"): mark("ended from its page"),
}
"""(code, variant) → sentence. Any other condition is shown in the bot's own words."""

CLOSED_FOR: Mapping[str, str] = {
    "stop_loss": mark("its stop loss"),
    "take_profit": mark("its take profit"),
    "lower_bound": mark("its lower bound"),
    "upper_bound": mark("its upper bound"),
}
"""What a position is to be closed for, as the parameter `closing` of what prevents it says."""

VARIANT: Mapping[str, str] = {
    "out_of_range": "side",
    "exchange_away": "cause",
    "orders_refused": "cause",
    "ledger_differs": "cause",
    "stopped_out": "by",
    "finished": "by",
}
"""The parameter that selects one of a code's sentences."""


def message(condition: Condition, reason: str | None, now: float) -> Text | None:
    """Return what the bot is doing, by its code, or in its own words; None if that adds nothing to the
    code.
    """
    variant = condition.params.get(VARIANT.get(condition.code, ""), "")
    template = SENTENCES.get((condition.code, str(variant)))
    params = {name: _shown(value) for name, value in condition.params.items()}
    try:
        text = Text(template, **params) if template and template.format(**params) else None
    except (LookupError, ValueError, AttributeError):  # a parameter is missing
        text = None
    if text is None:
        text = quoted(reason) if reason else condition_in_general(condition.code)
    return _more(text, condition, now) if text else None


def since(condition: Condition) -> float | None:
    """Return since when it has been so, if anybody says."""
    return _number(condition.params.get("since")) or condition.since


def _more(text: Text, condition: Condition, now: float) -> Text:
    """Append how long this has lasted, and how many orders are open at the exchange."""
    params = condition.params
    text = _with_closing(text, params.get("closing"))
    if condition.code in {"exchange_away", "orders_refused"} and (begun := since(condition)):
        text = Text("{what}, for {time}", what=text, time=elapsed(now - begun))
    if condition.code == "exchange_away" and (count := _number(params.get("open_orders"))):
        text = Text("{what}; {count} orders rest there", what=text, count=round(count))
    if condition.code == "exchange_away" and (at := _number(params.get("retry_at"))) and at > now:
        text = Text("{what}; it is asked again in {time}", what=text, time=elapsed(at - now))
    if condition.code == "out_of_range" and _number(params.get("moves_left")) == 0:
        text = Text("{what}; it may not move its range again yet", what=text)
    return text


def _with_closing(text: Text, limit: object) -> Text:
    """Put before `text` that a position which is to be closed is not, because its loss may grow."""
    name = CLOSED_FOR.get(str(limit))
    if name is None:
        return text
    return Text("{limit} is reached and ITS POSITION IS NOT CLOSED: {what}", limit=Text(name), what=text)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _shown(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else "?" if value is None else value
