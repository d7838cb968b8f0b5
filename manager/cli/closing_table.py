"""Print the table that ends an import: what each bot will get, and what reaches none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manager.i18n import Text, _, joined, labelled, mark
from manager.ops.migrate.closing import Closing, ClosingRow, Place
from manager.util import console
from manager.util.formatting import date_and_time
from manager.util.sanitize import replace_unprintable
from manager.util.text_table import Column

NOTHING = "-"
PLACES: Mapping[Place, str] = {
    "inside": mark("in its range"),
    "above": mark("above its range"),
    "below": mark("below its range"),
}
SOURCES: Mapping[str, str] = {"database": mark("old database"), "log": mark("old log")}
STATES: Mapping[str, str] = {
    "unset": mark("not set: {names}"),
    "in_old_env": mark("in the old .env (copy with --env): {names}"),
    "placeholder": mark("placeholder: {names}"),
}
UNUSED_VARIABLES = mark(
    "reach no bot: {names}; a bot gets the variables that its config names in exchange_config or environment,"
    " and those of `variables` in config/fleet.toml"
)

UNUSED_KEYS = mark(
    "reach no bot: {keys}; of exchange_config a bot gets the variables that it names as ${{NAME}}, of"
    " strategy_config the options of its strategy"
)


def say(closing: Closing) -> None:
    """Print the table, and below it the names in .env that reach no bot."""
    if not closing.rows:
        return
    console.say()
    console.say(console.table(COLUMNS, closing.rows))
    if closing.unused_variables:
        names = ", ".join(closing.unused_variables)
        console.say(labelled(".env", Text(UNUSED_VARIABLES, names=names)))


def objects(closing: Closing) -> list[dict[str, Any]]:
    """Return the rows as JSON."""
    return [
        {
            "id": row.id,
            "mode": row.mode,
            "credentials": dict(row.credentials),
            "variables": list(row.given),
            "unused_keys": list(row.unused),
            "range": {"lower": row.lower, "upper": row.upper},
            "last_price": row.price
            and {"price": str(row.price.value), "at": row.price.at, "of": row.price.source},
            "place": row.place,
        }
        for row in closing.rows
    ]


def _credentials(row: ClosingRow) -> str:
    if not row.credentials:
        return NOTHING
    parts = []
    for state, message in STATES.items():
        if names := [name for name, of in row.credentials.items() if of == state]:
            parts.append(str(Text(message, names=", ".join(names))))
    return joined(parts) or _("set")


def _range(row: ClosingRow) -> str:
    return NOTHING if row.lower is None and row.upper is None else f"{row.lower or '?'}–{row.upper or '?'}"


def _price(row: ClosingRow) -> str:
    if row.price is None:
        return _("unknown")
    source, price = Text(SOURCES[row.price.source]), format(row.price.value, "f")
    when = date_and_time(row.price.at)
    if row.place is None:
        return str(Text("{price} ({source}, {when})", price=price, source=source, when=when))
    place = Text(PLACES[row.place])
    return str(
        Text("{price} ({source}, {when}): {place}", price=price, source=source, when=when, place=place)
    )


def _names(names: tuple[str, ...]) -> str:
    return replace_unprintable(", ".join(names)) or NOTHING


COLUMNS = (
    Column[ClosingRow]("id", mark("ID"), lambda row: row.id),
    Column[ClosingRow]("mode", mark("MODE"), lambda row: _(row.mode)),
    Column[ClosingRow]("credentials", mark("KEYS"), _credentials),
    Column[ClosingRow]("range", mark("RANGE"), _range),
    Column[ClosingRow]("price", mark("LAST PRICE"), _price),
    Column[ClosingRow]("given", mark("VARIABLES"), lambda row: _names(row.given)),
    Column[ClosingRow]("unused", mark("REACHES NO BOT"), lambda row: _names(row.unused)),
)
