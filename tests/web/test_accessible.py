"""The page by the rules of axe: contrast, names, roles, on both widths and in both themes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bot.browser import Browser
from tests.fleet import ROOT
from tests.web.served import Served, a_bot, serving, write_history
from tests.web.test_page import LIVE, opened

AXE = ROOT / ".venv" / "test-tools" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium and chromedriver"),
    pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: scripts/test-tools.sh gets it by npm"),
]
FAULTS = """
const done = arguments[arguments.length - 1];
axe.run(document).then(
  (result) => done(result.violations.map((violation) => `${violation.id}: ${violation.nodes[0].html}`)),
  (error) => done([String(error)]),
);
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    refused: dict[str, Any] = {"code": "orders_refused", "params": {"cause": "unauthorized"}}
    rows = [
        a_bot("bp_sol_01", pnl="10.5", position="0.2", price="150", **LIVE),
        a_bot("bp_sol_02", pnl="-3", price="200", **refused, **LIVE),
        a_bot("bp_btc_01", mode="paper", pnl="1000", quote="USDC", base="BTC"),
        a_bot("bp_bad_01", "failed", mode="paper", pnl="-1", quote="USDC"),
        a_bot("bp_old_01", "stopped", mode="paper", code=None),
    ]
    with serving(tmp_path_factory.mktemp("accessible"), rows) as running:
        write_history(running.backend.session, {"bp_sol_01": ["0", "5", "3", "9"]})
        yield running


def faults(page: Browser) -> list[str]:
    time.sleep(0.5)  # what fades has then its colour
    page.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    return list(page.driver.execute_async_script(FAULTS))


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        (400, True),
        (1280, False),  # each width and each theme once
        *(
            pytest.param(*size, marks=pytest.mark.long_form)
            for size in ((400, False), (768, False), (768, True), (1280, True))
        ),
    ],
)
def test_no_rule_is_broken(browser: Browser, served: Served, width: int, dark: bool) -> None:
    page = opened(browser, served, width, dark=dark)
    assert faults(page) == []
    page.run("(document.querySelector('[data-id=bp_sol_01] .c-name').click(), 1)")
    page.wait(lambda: page.count("dialog .actions") == 1)
    page.run("(document.querySelector('dialog [data-key=log]').click(), 1)")
    assert faults(page) == []
    page.run("(document.querySelector('dialog [data-key^=\"act stop\"]').click(), 1)")
    page.wait(lambda: page.count(".question input") == 1)
    assert faults(page) == []


def test_a_planted_fault_is_found(browser: Browser, served: Served) -> None:
    page = opened(browser, served, 1280, dark=False)
    page.run("(document.querySelector('input[type=search]').removeAttribute('aria-label'), 1)")
    page.run("(document.querySelector('input[type=search]').removeAttribute('placeholder'), 1)")
    assert [fault.partition(":")[0] for fault in faults(page)] == ["label"]


@pytest.mark.parametrize("language", ["en", "zh-TW"])
@pytest.mark.parametrize(("width", "dark"), [(400, True), (400, False), (1280, True)])
def test_the_apis_document_fits_and_breaks_no_rule(
    browser: Browser, served: Served, width: int, dark: bool, language: str
) -> None:
    script = f"localStorage.setItem('botfleet-language', '{language}')"
    browser.open_as_new(served.links[-1], width, script, dark=dark)
    browser.wait(lambda: browser.count(".bot[data-id]") == len(served.rows))
    browser.complaints()
    browser.open(f"{served.url}/docs", width, dark=dark)
    browser.wait(lambda: browser.count("details") > 40)
    assert browser.run("document.documentElement.lang") == language
    assert faults(browser) == []
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert faults(browser) == []
    wider = "[document.documentElement, ...document.querySelectorAll('section, details, table')]"
    assert browser.run(f"{wider}.filter((each) => each.scrollWidth > each.clientWidth + 1).length") == 0
    assert browser.complaints() == []
