"""Every string of every answer is HTML: whatever a bot, config or command says, the page shows it as text."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.web.engine_side import verbs
from tests.bot.browser import Browser
from tests.web.served import Door, Served, a_bot, serving, write_history
from tests.web.test_page import HOSTILE, opened, press

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium and chromedriver"),
]
KEPT = frozenset({"id", "instance", "event", "last_id", "severity", "what", "verb", "after", "redeem"})
"""What the page asks by, and what is one of a few words."""
UNTOUCHED = frozenset({"bot_page", "metrics", "redeem"})


@pytest.fixture
def served(tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    figures: dict[str, Any] = {"quote": "USDC", "base": "SOL", "price": "150", "lower": "140", "upper": "180"}
    drifted = a_bot("bp_sol_01", pnl="10.5", position="0.2", **figures)
    rows = [
        drifted._replace(view=drifted.view._replace(drift=("image",))),
        a_bot("bp_sol_02", "failed", code="stopped_out", pnl="-3", position="-5", **figures),
        a_bot("bp_btc_01", mode="paper", pnl="1", quote="USDC", base="BTC"),
    ]
    monkeypatch.setattr(verbs, "VERBS", {name: wrapped(name, verb) for name, verb in verbs.VERBS.items()})
    with serving(tmp_path, rows, door=door) as running:
        write_history(running.backend.session, {"bp_sol_01": ["0", "5", "3"], "bp_sol_02": ["0", "-3"]})
        yield running


def wrapped(name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
    def answer(*given: Any) -> Any:
        reply = verb(*given)
        if name in UNTOUCHED:
            return reply
        if name == "events":
            return {
                **reply,
                "events": [{**event, "data": hostile(event["data"])} for event in reply["events"]],
            }
        return hostile(reply)

    return answer


def hostile(value: Any, key: str = "") -> Any:
    """The same with HTML behind every string that is no number and that nothing is asked by."""
    if isinstance(value, dict):
        return {name: hostile(item, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(item, key) for item in value]
    if not isinstance(value, str) or key in KEPT or is_number(value):
        return value
    return value + HOSTILE


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def assert_inert(page: Browser) -> None:
    assert page.count("img") + page.count("body script") == 0
    assert "pwned" not in page.driver.title.replace(HOSTILE, "")
    assert page.complaints() == []


def test_no_string_of_any_answer_becomes_html(browser: Browser, served: Served) -> None:
    page = opened(browser, served)
    page.wait(lambda: HOSTILE in page.text(".bots") and page.count(".chart .event-mark") >= 1)
    for part in ("header", ".needs", ".boxes", ".chart", ".bots"):
        assert HOSTILE in page.text(part), part
    page.run("document.querySelector('.chart .event-mark').click()")
    page.wait(lambda: HOSTILE in page.text(".chart .said"))
    assert_inert(page)
    page.run("document.querySelector('[data-id=bp_sol_01] .c-name').click()")
    page.wait(lambda: page.count("dialog .changes li") == 1)
    assert HOSTILE in page.text("dialog .changes")
    assert HOSTILE in page.text("dialog .events")
    press(page, "Restart…", "dialog")
    page.wait(lambda: HOSTILE in page.text("dialog .question"))
    assert_inert(page)
    press(page, "Close", "dialog")
    press(page, "Select all", ".bulk")
    press(page, "Stop…", ".bulk")
    page.wait(lambda: HOSTILE in page.text("dialog .asked"))
    assert_inert(page)
    press(page, "Close", "dialog")
    page.run("document.querySelector('[data-id=bp_btc_01] .c-name').click()")
    page.wait(lambda: page.count("dialog .actions") == 1)
    press(page, "Stop…", "dialog")
    page.wait(lambda: page.count(".question input") == 1 or page.count(".question [data-key=go]") == 1)
    press(page, "Stop bp_btc_01", "dialog")
    page.wait(lambda: HOSTILE in page.text("dialog .output") and "exit code" in page.text("dialog .verdict"))
    assert_inert(page)
