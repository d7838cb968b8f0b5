"""Warn of live bots whose exchange's orders are signed by a library that the bundled image does not have.

Whether the image has it after all is seen only in it: `manager doctor --live` asks the bot, which tries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from manager.config import bot_environment
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.errors import Problem

LIGHTER_LIBRARY = "LIGHTER_SIGNER_LIBRARY"
"""The variable by which lighter's bot knows the path of its library."""


def unnamed(specs: Iterable[InstanceSpec], fleet: Fleet, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a warning for each live instance on lighter whose bot is not told where its library is."""
    for spec in _live_on("lighter", specs, fleet):
        if any(LIGHTER_LIBRARY in (variable.name, variable.read_as) for variable in spec.variables):
            continue  # the config names it: where it is not set, that is said already
        for_all = bot_environment.shared_variables(fleet, variables, "")
        if not bot_environment.env_file_values(spec, fleet, for_all, variables).get(LIGHTER_LIBRARY):
            yield Problem.at(
                spec.config_file,
                "exchange_config.signer_library",
                "live trading on lighter needs its signing library, and the bot is not given {name}: unless"
                ' its image sets it, its start will be refused; write "{key}": "{reference}" there, and'
                " {name}=… in .env; docs/exchanges.md (Signing libraries) says how the library gets into the"
                " image",
                name=LIGHTER_LIBRARY,
                key="signer_library",
                reference=f"${{{LIGHTER_LIBRARY}}}",
            )


def outside_of_config(specs: Iterable[InstanceSpec], fleet: Fleet) -> Iterator[Problem]:
    """Yield a note for each live instance on apex, whose library nothing in its config names."""
    for spec in _live_on("apex", specs, fleet):
        yield Problem.at(
            spec.config_file,
            "metadata.exchange",
            "live trading on apex needs the signing library apexomni, which the bot's image does not have by"
            " itself (docs/exchanges.md, Signing libraries); `manager doctor --live` tells whether yours"
            " does",
        )


def _live_on(exchange: str, specs: Iterable[InstanceSpec], fleet: Fleet) -> Iterator[InstanceSpec]:
    if fleet.is_bundled_bot:
        yield from (spec for spec in specs if spec.mode == "live" and spec.exchange == exchange)
