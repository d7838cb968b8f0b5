"""Refuse live instances on exchanges whose answers the bundled bot does not know well enough. Pure.

What is known is a file of the bot, `docker/bot/gridbot/exchanges/verification.toml`, which the bot itself
reads before a live run. A refusal never concerns a container that exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path

from manager.config.fleet import Fleet
from manager.config.loaded import LoadedConfigs, LoadedFile
from manager.config.spec import InstanceSpec
from manager.errors import Problem
from manager.i18n import Text, mark
from manager.typed import Any
from manager.util import bundle

CONSENT = "GRIDBOT_ACCEPT_UNVERIFIED"
"""The variable that tells the bot what config/fleet.toml accepts."""

UNVERIFIED = (
    *(mark("the signature of requests"), mark("the sign of an execution's fee"), mark("orders")),
    *(mark("whose side an execution names"), mark("the market's rules"), mark("positions"), mark("fees")),
    *(mark("the sign of a funding payment"), mark("the unit of an execution's fee"), mark("codes of errors")),
    *(mark("what becomes of an order that is accepted and then refused"), mark("funding payments")),
    *(mark("what the websocket tells of a trade"), mark("what the websocket tells of an order")),
    *(mark("executions and their pages"), mark("prices")),
)
"""All that the bot's table calls unverified: who accepts it has to read it."""

Table = Mapping[str, Mapping[str, Mapping[str, Any]]]


def with_refusals(loaded: LoadedConfigs, fleet: Fleet, table: Table | None = None) -> LoadedConfigs:
    """Return the configs with a refusal for each live instance of an exchange that is not known well enough.

    `table`: the bot's, unless it is given. It is read only for a fleet with a live instance.
    """
    if not any(_is_concerned(file.own_spec, fleet) for file in loaded.files):
        return loaded
    known = read() if table is None else table
    accepted = accepted_line(loaded, fleet, known)
    return loaded._replace(files=tuple(_checked(file, fleet, known, accepted) for file in loaded.files))


def accepted_line(loaded: LoadedConfigs, fleet: Fleet, table: Table) -> str:
    """Return the line of config/fleet.toml that accepts what is unverified for all of the fleet's live bots.

    Each refusal names it whole: the lines that accept one exchange more would overwrite one another.
    """
    concerned = [spec for file in loaded.files if (spec := file.own_spec) and _is_concerned(spec, fleet)]
    lacking = {spec.exchange for spec in concerned if _needs_consent(spec, fleet, table)}
    return f"accept_unverified = {json.dumps([*fleet.accepted_exchanges, *sorted(lacking)])}"


def _needs_consent(spec: InstanceSpec, fleet: Fleet, table: Table) -> bool:
    known = table.get(spec.exchange, {}).get(_kind(spec))
    is_unverified = known is not None and known["kit"] and known["unverified"]
    return bool(is_unverified) and not fleet.accepts_unverified(spec.exchange)


def read() -> Table:
    """Return the bot's table."""
    import tomllib  # only for a fleet that trades live

    return tomllib.loads(file().read_text(encoding="utf-8"))


def file() -> Path:
    """Return the path of the bot's table."""
    return bundle.folder().joinpath("docker", "bot", "gridbot", "exchanges", "verification.toml")


def consent(spec: InstanceSpec, fleet: Fleet) -> dict[str, str]:
    """Return the variable that tells this instance's bot what is accepted, if anything is."""
    is_given = _is_concerned(spec, fleet) and fleet.accepts_unverified(spec.exchange)
    return {CONSENT: spec.exchange} if is_given else {}


def _is_concerned(spec: InstanceSpec | None, fleet: Fleet) -> bool:
    return fleet.is_bundled_bot and spec is not None and spec.mode == "live"


def _checked(file: LoadedFile, fleet: Fleet, table: Table, accepted: str) -> LoadedFile:
    spec = file.own_spec
    if spec is None or not _is_concerned(spec, fleet):
        return file
    return file._replace(refusals=(*file.refusals, *_refusals(spec, fleet, table, accepted)))


def _refusals(spec: InstanceSpec, fleet: Fleet, table: Table, accepted: str) -> Iterator[Problem]:
    kind = _kind(spec)
    known = table.get(spec.exchange, {}).get(kind)
    if known is None or not known["kit"]:
        yield Problem.at(
            spec.config_file,
            "metadata.exchange",
            "{exchange} {kind} cannot be traded live: its conformance kit is not green; set mode to paper",
            exchange=spec.exchange,
            kind=kind,
        )
    elif _needs_consent(spec, fleet, table):
        yield Problem.at(
            spec.config_file,
            "metadata.exchange",
            "{exchange} {kind} is traded live only if you accept what is unverified ({what}); then write in "
            "config/fleet.toml, above its first [table]: {line}",
            exchange=spec.exchange,
            kind=kind,
            what=reduce(_and, map(Text, known["unverified"])),
            line=accepted,
        )


def _and(before: Text, one: Text) -> Text:
    return Text("{before}, {one}", before=before, one=one)


def _kind(spec: InstanceSpec) -> str:
    """Return the kind of market as the bot takes it, which does not look at the symbol."""
    words = list(spec.command)
    if "--market-type" in words[:-1]:
        return words[words.index("--market-type") + 1]
    return "perp" if spec.strategy == "perp_grid" else "spot"
