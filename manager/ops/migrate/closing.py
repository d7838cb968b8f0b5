"""Determine what an import's closing table says: of each instance, what its bot will get, and what not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal

from manager.config import credential_values, reach
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.variables import is_secret, merge_environment, references
from manager.ops.migrate import last_price
from manager.ops.migrate.inspect import ImportFacts, OldConfig
from manager.ops.migrate.last_price import LastPrice
from manager.ops.migrate.plan import ImportOptions
from manager.typed import NamedTuple

Place = Literal["inside", "above", "below"]


class ClosingRow(NamedTuple):
    """Say of one instance what its bot gets.

    `credentials`: variable → `set`, `unset`, `placeholder`, or `in_old_env` where only the old `.env` has it,
    for all that its config names without a default. `given`: the names of all variables that the bot
    receives. `unused`: keys of its config that reach no bot. `lower`, `upper`: its range, as its bot is told.
    """

    id: str
    mode: str
    credentials: Mapping[str, str]
    given: tuple[str, ...]
    unused: tuple[str, ...]
    lower: str | None
    upper: str | None
    price: LastPrice | None

    @property
    def place(self) -> Place | None:
        """Return where the last price is in the range; None where one of the two is not known."""
        try:
            if self.price is None or self.lower is None or self.upper is None:
                return None
            if self.price.value < Decimal(self.lower):
                return "below"
            return "above" if self.price.value > Decimal(self.upper) else "inside"
        except InvalidOperation:
            return None


class Closing(NamedTuple):
    """Hold the table's rows, and the names in .env that no bot gets."""

    rows: tuple[ClosingRow, ...] = ()
    unused_variables: tuple[str, ...] = ()


def look(facts: ImportFacts, fleet: Fleet, options: ImportOptions) -> Closing:
    """Read what the table needs of the old databases and logs. Changes nothing."""
    variables = variables_here(facts, options)
    left = {} if options.env else facts.variables.old
    selected = [config for config in facts.configs if not options.ids or config.id in options.ids]
    rows = [
        _row(config, spec, facts, fleet, variables, left)
        for config in selected
        if (spec := config.loaded.spec) is not None and _is_new(config, options)
    ]
    if not rows:
        return Closing()
    specs = [config.loaded.spec for config in facts.configs if config.loaded.spec]
    names = {name for name, value in {**facts.variables.old, **facts.variables.own}.items() if value}
    return Closing(tuple(rows), reach.variables_unused(names, specs, fleet))


def variables_here(facts: ImportFacts, options: ImportOptions) -> dict[str, str]:
    """Return the variables that the fleet has after the import."""
    own = {name: value for name, value in facts.variables.own.items() if value}
    return merge_environment({**(facts.variables.old if options.env else {}), **own}, os.environ)


def _is_new(config: OldConfig, options: ImportOptions) -> bool:
    return config.place == "free" and (not config.is_unused_sample or config.id in options.ids)


def _row(
    config: OldConfig,
    spec: InstanceSpec,
    facts: ImportFacts,
    fleet: Fleet,
    variables: Mapping[str, str],
    left: Mapping[str, str],
) -> ClosingRow:
    warned = {problem.path for problem in config.loaded.warnings}
    unused = reach.keys_unused(config.loaded.described or {})
    is_file = config.database is not None and not config.database.fault
    return ClosingRow(
        spec.id,
        spec.mode,
        dict(_credentials(spec, variables, left)),
        reach.variables_given(spec, fleet, variables),
        tuple(dict.fromkeys([*unused, *sorted(path for path in warned if path not in unused)])),
        argument(spec.command, "--grid-lower"),
        argument(spec.command, "--grid-upper"),
        last_price.find(
            config.database.path if config.database and is_file else None, facts.folder / spec.log_dir
        ),
    )


def _credentials(
    spec: InstanceSpec, variables: Mapping[str, str], left: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield each variable and its state. `left`: the values of the old `.env` that are not copied."""
    names = [variable.name for variable in spec.variables if variable.secret or variable.default is None]
    texts = spec.literals.values()
    names += [name for text in texts for name, _default in references(text) if is_secret(name)]
    for name in dict.fromkeys(names):
        value = variables.get(name) or left.get(name, "")
        if not value:
            yield name, "unset"
        elif credential_values.is_placeholder(value, name):
            yield name, "placeholder"
        else:
            yield name, "set" if variables.get(name) else "in_old_env"


def argument(command: tuple[str, ...], option: str) -> str | None:
    """Return an option's value among a bot's arguments, `--option VALUE` or `--option=VALUE`."""
    for index, word in enumerate(command):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and index + 1 < len(command):
            return command[index + 1]
    return None
