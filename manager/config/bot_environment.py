"""Which variables a bot gets, and whether two bots would trade from one purse. Pure, and the only place that sees values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.variables import Unset, expand, is_secret, matching, references
from manager.errors import Problem


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
    return {name: value for name, value in given.items() if not _is_credential(name, spec)}


def _is_credential(name: str, spec: InstanceSpec) -> bool:
    """Whether what the instance is given under this name opens an account: by its own name, or by what its text names."""
    return _is_secret_of(name, spec) or any(_secret_references(name, spec))


def _secret_references(name: str, spec: InstanceSpec) -> Iterator[str]:
    return (each for each, _default in references(spec.literals.get(name, "")) if _is_secret_of(each, spec))


def _is_secret_of(name: str, spec: InstanceSpec) -> bool:
    return is_secret(name) or any(each.secret and each.name == name for each in spec.variables)


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
    return missing + ([] if fleet.allow_shared_credentials else list(_one_purse(live, fleet, variables)))


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


def _one_purse(live: list[InstanceSpec], fleet: Fleet, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Two live bots with the same credentials on one symbol cancel each other's orders. Names each of them at least once."""
    for_all = matching(fleet.variables, variables)
    seen: list[tuple[InstanceSpec, frozenset[str]]] = []
    named: set[str] = set()
    for spec in live:
        credentials = frozenset(_credentials(spec, values(spec, for_all, variables), variables))
        for other, theirs in seen:
            if not (
                _is_one_market(spec, other.exchange, other.symbol) and _is_one_purse(credentials, theirs)
            ):
                continue
            if {spec.config_file, other.config_file} <= named:
                continue
            named |= {spec.config_file, other.config_file}
            yield Problem.at(
                spec.config_file,
                "exchange_config",
                "trades {symbol} with the same credentials as {other}; give it others, or set"
                " allow_shared_credentials = true in config/fleet.toml",
                symbol=spec.symbol,
                other=other.config_file,
            )
        seen.append((spec, credentials))


class Trading(NamedTuple):
    """A container that trades live now. `values`: its env file's; None where it cannot be read."""

    instance: str
    container: str
    exchange: str
    symbol: str
    values: Mapping[str, str] | None


def beside(
    specs: Iterable[InstanceSpec], trading: Iterable[Trading], fleet: Fleet, variables: Mapping[str, str]
) -> Iterator[Problem]:
    """What keeps live instances from starting beside containers that trade already, whatever the configs say of these."""
    if fleet.allow_shared_credentials:
        return
    for_all, others = matching(fleet.variables, variables), list(trading)
    for spec in specs:
        if spec.mode != "live":
            continue
        given = values(spec, for_all, variables)
        credentials = frozenset(_credentials(spec, given, variables))
        for other in others:
            if (
                other.instance != spec.id
                and _is_one_market(spec, other.exchange, other.symbol)
                and _may_be_one_purse(credentials, frozenset(given.values()), other.values)
            ):
                yield taken(spec.config_file, spec.symbol, other)


def taken(config_file: str, symbol: str, other: Trading) -> Problem:
    """Another container has the purse that this config's instance would trade with."""
    return Problem.at(
        config_file,
        "exchange_config",
        "the container {container} already trades {symbol} live, as far as can be told with the same"
        " credentials: `manager down {id}` first, or set allow_shared_credentials = true in config/fleet.toml",
        container=other.container, symbol=symbol, id=other.instance,
    )  # fmt: skip


def beside_as_it_was(
    exchange: str, symbol: str, values: Mapping[str, str] | None, trading: Iterable[Trading], fleet: Fleet
) -> Trading | None:
    """Who trades this market live now, as far as can be told from the purse that these values open."""
    if fleet.allow_shared_credentials:
        return None
    for other in trading:
        is_one_market = (exchange.lower(), symbol.lower()) == (other.exchange.lower(), other.symbol.lower())
        if is_one_market and (
            values is None
            or other.values is None
            or _may_be_one_purse(_secrets(values), frozenset(values.values()), other.values)
        ):
            return other
    return None


def _is_one_market(spec: InstanceSpec, exchange: str, symbol: str) -> bool:
    return (spec.exchange.lower(), spec.symbol.lower()) == (exchange.lower(), symbol.lower())


def _is_one_purse(these: frozenset[str], those: frozenset[str]) -> bool:
    """Whether one set holds the other: a bot may be given more than its key and secret, and two accounts a common word."""
    return bool(these and those) and (these <= those or those <= these)


def _may_be_one_purse(
    credentials: frozenset[str], given: frozenset[str], theirs: Mapping[str, str] | None
) -> bool:
    """The same of a container, of whose values only the names tell which are credentials."""
    if theirs is None:
        return True
    secret = _secrets(theirs)
    return bool(credentials) and (credentials <= {*theirs.values()} or (bool(secret) and secret <= given))


def _secrets(values: Mapping[str, str]) -> frozenset[str]:
    """The values whose names say that they are credentials."""
    return frozenset(value for name, value in values.items() if value and is_secret(name))


def _credentials(spec: InstanceSpec, given: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[str]:
    """The values, not the names, of the credentials among what a live instance is given.

    Of a text that is put together from credentials, those: the same key is the same in whatever text it stands.
    """
    for name, value in given.items():
        parts = [part for each in _secret_references(name, spec) if (part := variables.get(each, ""))]
        if parts:
            yield from parts
        elif value and _is_credential(name, spec):
            yield value
