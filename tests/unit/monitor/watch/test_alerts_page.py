"""Hold the page about alerts to the rules: each alert by the word that a message uses, each threshold by its
name and default.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from manager import i18n
from manager.config.fleet import Alerts, DiskRules
from manager.i18n import _
from manager.monitor.watch.kinds import KIND_WORDS, Kind

DOCS = Path(__file__).resolve().parents[4] / "docs" / "operating"
PAGES = {"en": DOCS / "alerts.md", "zh_TW": DOCS / "alerts.zh-TW.md"}
LOSSES = ("account_loss", "fleet_loss")
"""One row of the page tells both."""
THRESHOLD = re.compile(r"`(?:\[disk\] )?(\w+)` ([\d,]+|off|關閉)")


def rows(page: Path) -> list[tuple[str, str]]:
    """The first and the last cell of each row of the table of alerts."""
    table = page.read_text(encoding="utf-8").split("\n| --- ", 1)[-1]
    cells = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [(row[0].strip(), row[-1].strip()) for row in cells]


EACH_STATE = "monitor/watch/test_alert_rules.py::test_each_state_and_what_is_wrong_with_it"
BY_STATE = (
    *("down", "failed", "completed", "unhealthy", "oom", "exchange_away", "out_of_range", "orders_refused"),
    *("ledger_differs", "stopped_out", "restart_loop", "cancel", "logs"),
)
FULL = "monitor/watch/test_alert_rules.py::test_a_disk_that_runs_full_and_recovers_only_well_above_the_limit"
HAPPENS: dict[str, str] = {
    **dict.fromkeys(BY_STATE, EACH_STATE),
    "restarting": "monitor/watch/test_alert_rules.py::test_restarts_within_the_window_are_a_crash_loop",
    "no_progress": "monitor/watch/test_alert_rules.py::test_a_healthy_bot_that_does_not_trade",
    "account_loss": "monitor/watch/test_loss_limits.py::test_a_loss_of_another_day_is_another_case",
    "fleet_loss": "monitor/watch/test_loss_limits.py"
    "::test_only_live_trading_counts_and_gains_make_up_for_losses",
    "limits": "monitor/watch/test_loss_limits.py"
    "::test_a_currency_that_no_limit_counts_is_said_before_anything_is_lost",
    "growth": "monitor/watch/test_disk_guard.py::test_growth_is_a_condition_also_after_a_restart_of_watch",
    "disk": FULL,
    "inodes": FULL,
    "engine": "monitor/watch/test_alert_state.py::test_nothing_is_concluded_while_the_engine_is_away",
    "configs": "monitor/watch/test_alert_rules.py"
    "::test_a_config_that_cannot_be_loaded_is_told_while_its_bot_runs",
    "egress": "monitor/watch/test_alert_rules.py"
    "::test_what_keeps_the_engine_or_the_firewall_from_work_is_another_case_each",
    "twin": "ops/test_generations.py::test_a_twin_is_shown",
    "lost": "ops/test_moves_interrupted.py::test_watch_tells_of_what_is_not_where_it_went",
    "move": "ops/test_moves_interrupted.py::test_an_interrupted_move_is_told_wherever_one_looks",
    "shared_account": "ops/test_shared_accounts.py::test_watch_asks_again_before_it_tells",
}
"""Of each kind of alert a test that makes the rule yield it."""


def test_each_kind_of_alert_is_made_to_happen() -> None:
    assert set(HAPPENS) == {kind for kinds in get_args(Kind) for kind in get_args(kinds) or (kinds,)}
    for kind, test in HAPPENS.items():
        file, name = test.split("::")
        assert f"def {name}(" in (Path(__file__).parents[2] / file).read_text(), kind


@pytest.mark.parametrize("language", PAGES)
def test_the_page_has_a_row_for_each_kind_of_alert(language: str) -> None:
    heads = [word for head, _when in rows(PAGES[language]) for word in re.split(r", |、", head)]
    kinds = {kind for kinds in get_args(Kind) for kind in get_args(kinds) or (kinds,)}
    with i18n.speaking(language):
        words = {kind: _(KIND_WORDS[kind]) for kind in kinds if kind not in LOSSES}
    missing = [kind for kind, word in words.items() if word not in heads]
    assert missing == []


@pytest.mark.parametrize("language", PAGES)
def test_the_page_names_each_threshold_with_its_default(language: str) -> None:
    defaults = {**Alerts()._asdict(), **DiskRules()._asdict()}
    named = {name: text for _head, last in rows(PAGES[language]) for name, text in THRESHOLD.findall(last)}
    thresholds = {
        name
        for name, value in Alerts()._asdict().items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
    page = PAGES[language].read_text(encoding="utf-8")
    assert [name for name in sorted(thresholds) if f"`{name}`" not in page] == []
    for name, text in named.items():
        shown = 0 if text in {"off", "關閉"} else int(text.replace(",", ""))
        assert defaults[name] == shown, name
