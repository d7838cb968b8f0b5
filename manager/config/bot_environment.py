"""Determine which variables a bot receives, and whether two bots would trade on one account. Pure.

No other module of config/ handles the values of credentials.
"""

from collections.abc import Iterable, Iterator, Mapping

from manager.config import credential_values, key_forms, markets, verification
from manager.config.account_names import aliases, given_as
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.variables import (
    UnsetVariable,
    expand,
    is_secret,
    looks_secret,
    references,
    select_variables,
)
from manager.errors import Problem
from manager.i18n import Text
from manager.typed import NamedTuple


def shared_variables(fleet: Fleet, variables: Mapping[str, str], time_zone: str) -> dict[str, str]:
    """Return the variables that every bot of the fleet receives: name → value."""
    return {"TZ": time_zone, **_passed_on(fleet, variables)}


def _passed_on(fleet: Fleet, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the fleet passes on, without those of its alerts."""
    selected = select_variables(fleet.variables, variables)
    return {name: value for name, value in selected.items() if name not in fleet.alert_variables}


def env_file_values(
    spec: InstanceSpec, fleet: Fleet, for_all: Mapping[str, str], variables: Mapping[str, str]
) -> dict[str, str]:
    """Return the content of the instance's env file, name → value. Paper mode excludes all secrets.

    `for_all`: the result of `shared_variables`.
    """
    given = {**for_all, **verification.consent(spec, fleet)}
    for variable in spec.variables:
        value = variables.get(variable.name, "") or variable.default
        if value is not None:
            given[variable.name] = value
    for variable in spec.variables:
        if variable.read_as and given.get(variable.name):
            value = given[variable.name]
            name = given_as(variable.read_as, spec.exchange, value)
            for other in aliases(name, spec.exchange):
                given.pop(other, None)
            given[name] = value
    for name, text in spec.literals.items():
        try:
            given[name] = expand(text, variables)
        except UnsetVariable:
            continue
    if spec.mode == "live":
        return given
    return {name: value for name, value in given.items() if not _is_withheld(name, value, spec, fleet)}


def _is_withheld(name: str, value: str, spec: InstanceSpec, fleet: Fleet) -> bool:
    """Return whether no bot on paper receives this variable, because it is a secret or looks like one."""
    own = [name, *(reference for reference, _default in references(spec.literals.get(name, "")))]
    return (
        _is_credential(name, spec)
        or any(fleet.is_declared_secret(variable) for variable in own)
        or any(looks_secret(variable, value) for variable in own)
    )


def _is_credential(name: str, spec: InstanceSpec) -> bool:
    """Return whether this variable grants access to an account, by its own name or by one it references."""
    return _is_secret_of(name, spec) or any(_secret_references(name, spec))


def _secret_references(name: str, spec: InstanceSpec) -> Iterator[str]:
    return (
        reference
        for reference, _default in references(spec.literals.get(name, ""))
        if _is_secret_of(reference, spec)
    )


def _is_secret_of(name: str, spec: InstanceSpec) -> bool:
    return is_secret(name) or any(
        variable.secret and name in {variable.name, variable.read_as} for variable in spec.variables
    )


def credential_problems(
    specs: Iterable[InstanceSpec], fleet: Fleet, variables: Mapping[str, str]
) -> list[Problem]:
    """Return what prevents live instances from starting: unset or unusable credentials, shared accounts."""
    live = [spec for spec in specs if spec.mode == "live"]
    missing = [
        Problem.at(
            spec.config_file,
            "exchange_config",
            "{name} is not set, but live mode requires it; write {name}=… in .env",
            name=name,
        )
        for spec in live
        for name in _unset(spec, variables)
    ]
    unusable = [
        Problem(spec.config_file, "exchange_config", fault)
        for spec in live
        for fault in _credential_faults(spec, fleet, variables)
    ]
    return [*missing, *unusable] + (
        [] if fleet.allow_shared_credentials else list(_shared_accounts(live, fleet, variables))
    )


def _credential_faults(spec: InstanceSpec, fleet: Fleet, variables: Mapping[str, str]) -> Iterator[Text]:
    """Yield why a credential cannot be one. Its value is never part of the message."""
    given = env_file_values(spec, fleet, _passed_on(fleet, variables), variables)
    renamed = {variable.read_as for variable in spec.variables if variable.read_as != variable.name}
    named = dict(_named_credentials(spec, given, variables))
    for name, value in ((name, named[name]) for name in named if name not in renamed):
        if credential_values.is_placeholder(value, name):
            yield Text(
                "{name} has a template's placeholder instead of a value; write {name}=… in .env", name=name
            )
        elif unusual := credential_values.unusual_in(value, name):
            yield Text(
                "the value of {name} contains {what}, which no credential does: check {name}=… in .env",
                name=name,
                what=Text(unusual),
            )


def wrong_forms(
    specs: Iterable[InstanceSpec], fleet: Fleet, variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield the credentials with which the bundled bot could sign nothing; it ends at once with one."""
    for spec in specs if fleet.is_bundled_bot else ():
        if spec.mode == "live":
            given = env_file_values(spec, fleet, _passed_on(fleet, variables), variables)
            for fault in key_forms.faults(spec, given):
                yield Problem(spec.config_file, "exchange_config", fault)


def unset_variable_warnings(specs: Iterable[InstanceSpec], variables: Mapping[str, str]) -> list[Problem]:
    """Return one warning for all unset variables, which paper mode does not need."""
    names = sorted({name for spec in specs if spec.mode != "live" for name in _unset(spec, variables)})
    if not names:
        return []
    return [
        Problem.at(".env", "", "not set, and not required in paper mode: {names}", names=", ".join(names))
    ]


def named_variables(spec: InstanceSpec, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what an instance's config names, and is set: variable and value. On paper, nothing secret."""
    names = {variable.name for variable in spec.variables}
    names |= {name for text in spec.literals.values() for name, _default in references(text)}
    return {
        name: value
        for name in sorted(names)
        if (value := variables.get(name, "")) and (spec.mode == "live" or not looks_secret(name, value))
    }


def _unset(spec: InstanceSpec, variables: Mapping[str, str]) -> Iterator[str]:
    named = [(variable.name, variable.default) for variable in spec.variables]
    named += [reference for text in spec.literals.values() for reference in references(text)]
    yield from (name for name, default in dict(named).items() if default is None and not variables.get(name))


def _shared_accounts(
    live: list[InstanceSpec], fleet: Fleet, variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Report pairs of live bots with the same credentials on one symbol, which cancel each other's orders.

    Each bot is named at least once, but not every pair is.
    """
    if len(live) < 2:
        return
    for_all = _passed_on(fleet, variables)
    seen: list[tuple[InstanceSpec, frozenset[str]]] = []
    reported: set[str] = set()
    for spec in live:
        credentials = frozenset(
            _credentials(spec, env_file_values(spec, fleet, for_all, variables), variables)
        )
        for other, other_credentials in seen:
            if not (_is_same_market(spec, other) and _is_same_account(credentials, other_credentials)):
                continue
            if {spec.config_file, other.config_file} <= reported:
                continue
            reported |= {spec.config_file, other.config_file}
            yield Problem.at(
                spec.config_file,
                "exchange_config",
                "trades {symbol} with the same credentials as {other}; use different ones, or set "
                "allow_shared_credentials = true in config/fleet.toml",
                symbol=spec.symbol,
                other=other.config_file,
            )
        seen.append((spec, credentials))


def accounts(
    specs: Iterable[InstanceSpec], fleet: Fleet, variables: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Return the live instances by account: those on one exchange whose credentials are the same."""
    for_all = _passed_on(fleet, variables)
    groups: list[tuple[str, frozenset[str], list[str]]] = []
    for spec in specs:
        if spec.mode != "live":
            continue
        credentials = frozenset(
            _credentials(spec, env_file_values(spec, fleet, for_all, variables), variables)
        )
        for exchange, theirs, members in groups:
            if exchange == spec.exchange.lower() and _is_same_account(credentials, theirs):
                members.append(spec.id)
                break
        else:
            groups.append((spec.exchange.lower(), credentials, [spec.id]))
    return [tuple(members) for _exchange, _credentials, members in groups]


class Account(NamedTuple):
    """Hold a market, and the account that a live instance trades on there.

    `credentials`: their values. `given`: the values of all its variables. Both None if they cannot be read.
    `kind`: spot or perp, as the bot trades it; empty where it is not known.
    """

    exchange: str
    symbol: str
    credentials: frozenset[str] | None
    given: frozenset[str] | None
    kind: str = ""


def account_of(spec: InstanceSpec, fleet: Fleet, variables: Mapping[str, str]) -> Account:
    """Return what a live instance would trade on, by its config."""
    given = env_file_values(spec, fleet, _passed_on(fleet, variables), variables)
    credentials = frozenset(_credentials(spec, given, variables))
    return Account(spec.exchange, spec.symbol, credentials, _as_given(given.values()), _kind_of(spec))


def account_in(other: "LiveContainer") -> Account:
    """Return what a container trades on, by its env file: only the names tell what is a credential."""
    if other.values is None:
        return Account(other.exchange, other.symbol, None, None, other.kind)
    given = _as_given(value for value in other.values.values() if value)
    return Account(other.exchange, other.symbol, _secrets(other.values), given, other.kind)


def is_same(mine: Account, theirs: Account) -> bool:
    """Return whether both trade one market, apparently on one account. What cannot be read may be the same.

    `theirs` is a container's, or its fingerprints with `mine` as fingerprints too.
    """
    if mine.exchange.lower() != theirs.exchange.lower() or not markets.is_same(
        mine.exchange, mine.symbol, mine.kind, theirs.symbol, theirs.kind
    ):
        return False
    if None in (mine.credentials, mine.given, theirs.credentials, theirs.given):
        return True
    assert mine.credentials is not None and mine.given is not None  # noqa: PT018 - told to mypy
    assert theirs.credentials is not None and theirs.given is not None  # noqa: PT018
    return bool(mine.credentials) and (
        mine.credentials <= theirs.given or (bool(theirs.credentials) and theirs.credentials <= mine.given)
    )


class LiveContainer(NamedTuple):
    """Hold a container that trades live now. `values`: its env file's; None where it cannot be read."""

    instance: str
    container: str
    exchange: str
    symbol: str
    values: Mapping[str, str] | None
    kind: str = ""


def conflicts_with_running(
    specs: Iterable[InstanceSpec],
    trading: Iterable[LiveContainer],
    fleet: Fleet,
    variables: Mapping[str, str],
) -> Iterator[Problem]:
    """Yield a problem for each live instance whose account a running container uses.

    The containers count as they run, whatever the configs say now.
    """
    if fleet.allow_shared_credentials:
        return
    others = [(other, account_in(other)) for other in trading]
    for spec in specs:
        if spec.mode != "live":
            continue
        mine = account_of(spec, fleet, variables)
        for other, theirs in others:
            if other.instance != spec.id and is_same(mine, theirs):
                yield account_in_use(spec.config_file, spec.symbol, other)


def account_in_use(config_file: str, symbol: str, other: LiveContainer) -> Problem:
    """Return the problem that another container uses the account of this config's instance."""
    return Problem.at(
        config_file,
        "exchange_config",
        "container {container} already trades {symbol} live, apparently with the same credentials; run "
        "`manager down {id}` first, or set allow_shared_credentials = true in config/fleet.toml",
        container=other.container,
        symbol=symbol,
        id=other.instance,
    )


def find_shared_account(
    exchange: str,
    symbol: str,
    values: Mapping[str, str] | None,
    trading: Iterable[LiveContainer],
    fleet: Fleet,
    kind: str = "",
) -> LiveContainer | None:
    """Return a container that trades this market live, apparently on the account of these values.

    `values`: the env file's; None where it cannot be read, which counts as the same account.
    """
    if fleet.allow_shared_credentials:
        return None
    mine = account_in(LiveContainer("", "", exchange, symbol, values, kind))
    return next((other for other in trading if is_same(mine, account_in(other))), None)


def _kind_of(spec: InstanceSpec) -> str:
    return markets.kind_traded(spec.market_type, spec.strategy)


def _is_same_market(spec: InstanceSpec, other: InstanceSpec) -> bool:
    return spec.exchange.lower() == other.exchange.lower() and markets.is_same(
        spec.exchange, spec.symbol, _kind_of(spec), other.symbol, _kind_of(other)
    )


def _is_same_account(these: frozenset[str], those: frozenset[str]) -> bool:
    """Return whether one set contains the other.

    Not equality: a bot may receive more than its key and secret. Not overlap: two accounts may share a
    passphrase.
    """
    return bool(these and those) and (these <= those or those <= these)


def _secrets(values: Mapping[str, str]) -> frozenset[str]:
    """Return the values whose names mark them as credentials."""
    secrets = (value for name, value in values.items() if value and is_secret(name))
    return frozenset(map(credential_values.as_compared, secrets))


def _as_given(values: Iterable[str]) -> frozenset[str]:
    """Return the values, and as they are compared: a machine with an earlier version has only the first."""
    listed = tuple(values)
    return frozenset((*listed, *map(credential_values.as_compared, listed)))


def _credentials(spec: InstanceSpec, given: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of the credentials that a live instance receives, as they are compared."""
    return (
        credential_values.as_compared(value) for _name, value in _named_credentials(spec, given, variables)
    )


def _named_credentials(
    spec: InstanceSpec, given: Mapping[str, str], variables: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the credentials that a live instance receives: variable and value.

    For a text composed of credentials, yield these instead: a key is the same key in whatever text it
    appears.
    """
    for name, value in given.items():
        parts = [
            (reference, part)
            for reference in _secret_references(name, spec)
            if (part := variables.get(reference, ""))
        ]
        if parts:
            yield from parts
        elif value and _is_credential(name, spec):
            yield name, value
