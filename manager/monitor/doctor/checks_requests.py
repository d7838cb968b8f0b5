"""Check that the exchanges allow what the bots ask for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from manager.i18n import Text
from manager.monitor.doctor.facts import RequestLoad, RequestRefusal
from manager.monitor.doctor.findings import Finding, fail, ok, warn
from manager.ops.requests.request_budget import WARN_AT


def check_all(loads: Iterable[RequestLoad]) -> Iterator[Finding]:
    """Judge each limit by the part of it that is used when all configured bots run."""
    for load in loads:
        remedy = Text(
            "raise the interval of its bots, or correct the limit in config/fleet.toml under"
            " [requests.{exchange}]",
            exchange=load.exchange,
        )
        if load.used > 1:
            yield fail("requests", load.text, remedy)
        elif load.used >= WARN_AT:
            yield warn("requests", load.text, remedy)
        else:
            yield ok("requests", load.text)


def refusals(refused: Iterable[RequestRefusal]) -> Iterator[Finding]:
    """Name the bots that are refused now, and who sends most from their address."""
    for refusal in refused:
        params = {"exchange": refusal.exchange or "?", "ids": ", ".join(refusal.instances)}
        text = Text("{exchange} refuses requests of {ids}: there were too many", **params)
        if refusal.why is not None:
            text = Text("{what}; {why}", what=text, why=refusal.why)
        for sent in refusal.sent:
            text = Text("{first} {then}", first=text, then=sent)
        remedy = Text(
            "stop who sends most, or give it an address of its own (see docs/operating/requests.md); "
            "`manager stats` has what each has sent since its start"
        )
        yield warn("requests", text, remedy)
