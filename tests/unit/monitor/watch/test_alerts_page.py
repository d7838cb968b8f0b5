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
