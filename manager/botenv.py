"""Which variables a bot gets, and whether two bots would trade from one purse. Pure, and the only place that sees values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from manager.environment import Unset, expand, is_secret, matching, references
from manager.errors import Problem
from manager.fleet import Fleet
from manager.spec import InstanceSpec


def common(fleet: Fleet, variables: Mapping[str, str], time_zone: str) -> dict[str, str]:
    """What every bot of the fleet is given: name → value."""
    return {"TZ": time_zone, **matching(fleet.variables, variables)}


def values(spec: InstanceSpec, for_all: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The content of the instance's env file: name → value. In paper mode no credential is in it.

    `for_all`: what `common` gives.
    """
    given = dict(for_all)
    for variable in spec.variables:
        value = variables.get(variable.name, "") or variable.default
        if value is not None:
            given[variable.name] = value
    for name, text in spec.literals.items():
        try:
            given[name] = expand(text, variables)
        except Unset:
            continue
    if spec.mode == "live":
        return given
    withheld = {variable.name for variable in spec.variables if variable.secret}
    return {name: value for name, value in given.items() if name not in withheld and not is_secret(name)}


def problems(specs: Iterable[InstanceSpec], fleet: Fleet, variables: Mapping[str, str]) -> list[Problem]:
    """What keeps live instances from starting: unset variables, one purse for two."""
    live = [spec for spec in specs if spec.mode == "live"]
    missing = [
        Problem.at(
            spec.config_file,
            "exchange_config",
            "{name} is not set, live mode needs it: write {name}=… into .env",
            name=name,
        )
        for spec in live
        for name in _unset(spec, variables)
    ]
    return missing + ([] if fleet.allow_shared_credentials else list(_one_purse(live, variables)))


def warnings(specs: Iterable[InstanceSpec], variables: Mapping[str, str]) -> list[Problem]:
    """One line for all variables that paper mode does without."""
    names = sorted({name for spec in specs if spec.mode != "live" for name in _unset(spec, variables)})
    if not names:
        return []
    return [Problem.at(".env", "", "not set, and not needed in paper mode: {names}", names=", ".join(names))]


def _unset(spec: InstanceSpec, variables: Mapping[str, str]) -> Iterator[str]:
    named = [(variable.name, variable.default) for variable in spec.variables]
    named += [reference for text in spec.literals.values() for reference in references(text)]
    for name, default in dict(named).items():
        if not variables.get(name) and default is None:
            yield name


def _one_purse(live: list[InstanceSpec], variables: Mapping[str, str]) -> Iterator[Problem]:
    """Two live bots with the same credentials on one symbol cancel each other's orders."""
    seen: list[tuple[InstanceSpec, frozenset[str]]] = []
    for spec in live:
        credentials = frozenset(_credentials(spec, variables))
        first = next(
            (
                other
                for other, theirs in seen
                if _is_one_market(spec, other) and _is_one_purse(credentials, theirs)
            ),
            None,
        )
        seen.append((spec, credentials))
        if first is not None:
            yield Problem.at(
                spec.config_file,
                "exchange_config",
                "trades {symbol} with the same credentials as {other}; give it others, or set"
                " allow_shared_credentials = true in config/fleet.toml",
                symbol=spec.symbol,
                other=first.config_file,
            )


def _is_one_market(spec: InstanceSpec, other: InstanceSpec) -> bool:
    return (spec.exchange.lower(), spec.symbol.lower()) == (other.exchange.lower(), other.symbol.lower())


def _is_one_purse(these: frozenset[str], those: frozenset[str]) -> bool:
    """Whether one set holds the other: a bot may be given more than its key and secret, and two accounts a common word."""
    return bool(these and those) and (these <= those or those <= these)


def _credentials(spec: InstanceSpec, variables: Mapping[str, str]) -> Iterator[str]:
    """The values, not the names, of the credentials that an instance is given."""
    for variable in spec.variables:
        value = variables.get(variable.name, "") or variable.default
        if variable.secret and value:
            yield value
    for name, text in spec.literals.items():
        if is_secret(name):
            try:
                yield expand(text, variables)
            except Unset:
                continue
