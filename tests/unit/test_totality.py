"""Every word of a closed list has its entry in every table: a new kind without a word is found here, and
not by a KeyError.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import pytest

import manager
from gridbot.model.condition import DEGRADED, Code
from manager import errors, i18n, typed
from manager.fleet import condition_messages, display, doing, preflight_messages, supervisor_messages
from manager.fleet.snapshot import Drift
from manager.fleet.status import IN_OTHER_CONTAINER, State
from manager.i18n import Text
from manager.monitor.stats import instance_stats
from manager.monitor.watch import alert_state, kinds, messages

ROOT = Path(__file__).resolve().parents[2]
PARTIAL: Mapping[str, frozenset[str]] = {
    "manager.cli.commands.import_.DONE": frozenset({"warn", "leave", "refuse"}),  # which do nothing
    "manager.monitor.top.table.SEVERITY_STYLES": frozenset({"bad"}),  # whose whole row is red
    "manager.monitor.watch.kinds.BACK": frozenset(get_args(kinds.InstanceKind)),
}
"""Tables that lack some words on purpose."""


def modules() -> Iterator[ModuleType]:
    """Yield every module of the package."""
    for module in pkgutil.walk_packages(manager.__path__, "manager."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def tables() -> dict[str, tuple[Any, Any]]:
    """Return name → (table, its words) of every module's constants that are annotated as mappings from a
    closed list.
    """
    by_name = {}
    for module in modules():
        for name, written in vars(module).get("__annotations__", {}).items():
            hint = eval(written, vars(module)) if isinstance(written, str) else written
            words = get_args(hint)[0] if get_args(hint) else None
            if get_origin(hint) in {dict, Mapping} and get_origin(words) in {Literal, typed.Literal}:
                by_name[f"{module.__name__}.{name}"] = (getattr(module, name), words)
    return by_name


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
        "manager.cli.commands.history.WORDS",
        "manager.cli.commands.import_.PLANNED",
        "manager.cli.commands.restore.WORDS",
        "manager.cli.commands.upgrade.RESULTS",
        "manager.cli.commands.doctor.LEVELS",
        "manager.fleet.display.COLOURS",
        "manager.monitor.watch.kinds.KIND_WORDS",
        "manager.ops.planning.plan.CAUSES",
        *PARTIAL,
    }


def test_lists_of_words_are_whole() -> None:
    assert set(display.STATE_WORDS) >= {*get_args(State), *get_args(Drift), "paper", "live"}
    assert sorted(instance_stats.STATES_BY_URGENCY) == sorted(get_args(State))


@pytest.mark.parametrize("kind", get_args(kinds.Kind))
def test_two_alerts_of_any_kind_make_a_message(kind: Any) -> None:
    alerts = [
        alert_state.Alert(subject, kind, "bad", Text("{id} is unwell", id=subject)) for subject in ("a", "b")
    ]
    assert messages.message("desk", alerts).title.startswith("botfleet desk: 2 ")


def test_each_condition_of_the_bundled_bot_is_an_activity_with_its_sentence() -> None:
    assert set(doing.BY_CODE) == set(Code)
    assert {*doing.BY_CODE.values(), "unknown"} == set(get_args(doing.Doing))
    assert {code for code, _variant in condition_messages.SENTENCES} == {*Code} - {Code.TRADING}
    for code in DEGRADED:
        assert doing.DOING_SEVERITY[doing.BY_CODE[code]] in {"bad", "warn"}


def test_a_condition_with_variants_has_one_sentence_each_and_any_other_has_one() -> None:
    variants: dict[str, list[str]] = {}
    for code, variant in condition_messages.SENTENCES:
        variants.setdefault(code, []).append(variant)
    assert {code for code, names in variants.items() if names != [""]} == set(condition_messages.VARIANT)


def test_each_variant_that_the_bundled_bot_reports_has_its_sentence() -> None:
    """The bot names them as lower-case strings: `cause=` of an error, `by` and `side` of a condition."""
    known = {variant for _code, variant in condition_messages.SENTENCES}
    named = re.compile(r"""(?:\bcause=|"(?:by|side|cause)": )"([a-z_]+)\"""")
    sources = (ROOT / "docker/bot/gridbot").rglob("*.py")
    reported = {name for path in sources for name in named.findall(path.read_text(encoding="utf-8"))}
    assert reported
    assert reported <= known


def test_what_bots_and_supervisors_say_by_code_is_told_in_chinese() -> None:
    """A sentence of parameters alone is the same in every language."""
    preflight = [sentence for pair in preflight_messages.SENTENCES.values() for sentence in pair if sentence]
    sentences = [*condition_messages.SENTENCES.values(), *supervisor_messages.SENTENCES.values(), *preflight]
    assert len(sentences) > 80
    with i18n.speaking("zh-TW"):
        told = {text: i18n._(text) for text in sentences}
    same = [re.sub(r"\{[^}]*\}", "", text) for text, chinese in told.items() if text == chinese]
    assert [text for text in same if re.search("[A-Za-z]", text)] == []


def test_a_state_is_more_than_its_table_of_severities() -> None:
    assert IN_OTHER_CONTAINER in display.STATE_WORDS
    assert set(doing.URGENCY) == set(doing.STATE_SEVERITY.values()) | set(doing.DOING_SEVERITY.values())


def test_each_error_has_an_exit_code_of_the_list() -> None:
    listed = [code for name, code in vars(errors).items() if name.isupper() and isinstance(code, int)]
    assert sorted(listed) == list(range(8)), "each means one thing"
    codes = {*listed} - {errors.OK}
    kinds = [errors.ManagerError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind.exit_code for kind in kinds} == codes - {errors.BUG}
