"""Every word of a closed list has its entry in every table: a new kind without a word is found here, and
not by a KeyError.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import manager
from manager.fleet import display
from manager.fleet.snapshot import Drift
from manager.fleet.status import State
from manager.i18n import Text
from manager.monitor.stats import instance_stats
from manager.monitor.watch import alert_rules, alert_state, messages

PARTIAL: Mapping[str, frozenset[str]] = {
    "manager.cli.commands.import_.DONE": frozenset({"leave", "refuse"}),  # which do nothing
    "manager.monitor.top.table.SEVERITY_STYLES": frozenset({"bad"}),  # whose whole row is red
    "manager.monitor.watch.alert_state.BACK": frozenset(get_args(alert_rules.InstanceKind)),
}
"""Tables that lack some words on purpose."""


def modules() -> Iterator[ModuleType]:
    """Yield every module of the package."""
    for found in pkgutil.walk_packages(manager.__path__, "manager."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def tables() -> dict[str, tuple[Any, Any]]:
    """Return name → (table, its words) of every module's constants that are annotated as mappings from a
    closed list.
    """
    found = {}
    for module in modules():
        for name, hint in get_type_hints(module).items():
            words = get_args(hint)[0] if get_args(hint) else None
            if get_origin(hint) in {dict, Mapping} and get_origin(words) is Literal:
                found[f"{module.__name__}.{name}"] = (getattr(module, name), words)
    return found


TABLES = tables()


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_every_word(name: str) -> None:
    table, words = TABLES[name]
    assert set(table) == set(get_args(words)) - PARTIAL.get(name, frozenset())


def test_the_tables_are_found() -> None:
    assert set(TABLES) >= {
        "manager.cli.report.DONE",
        "manager.cli.report.PLANNED",
        "manager.cli.commands.halt.HOW",
        "manager.cli.commands.import_.PLANNED",
        "manager.cli.commands.restore.WORDS",
        "manager.cli.commands.upgrade.RESULTS",
        "manager.cli.commands.doctor.LEVELS",
        "manager.fleet.display.COLOURS",
        "manager.monitor.watch.messages.KIND_WORDS",
        "manager.ops.rollout_plan.CAUSES",
        *PARTIAL,
    }


def test_lists_of_words_are_whole() -> None:
    assert set(display.STATE_WORDS) >= {*get_args(State), *get_args(Drift), "paper", "live"}
    assert sorted(instance_stats.STATES_BY_URGENCY) == sorted(get_args(State))


@pytest.mark.parametrize("kind", get_args(alert_rules.Kind))
def test_two_alerts_of_any_kind_make_a_message(kind: Any) -> None:
    alerts = [
        alert_state.Alert(subject, kind, "bad", Text("{id} is unwell", id=subject)) for subject in ("a", "b")
    ]
    assert messages.message("desk", alerts).title.startswith("botfleet desk: 2 ")
