"""The page in a real browser: quiet, honest about its age, and inert to what bots and configs say."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Keys

from manager.errors import EngineUnreachable
from manager.fleet import snoozes
from manager.fleet.state_file import InstanceState
from manager.monitor.watch import snoozing
from manager.util import formatting
from manager.web import access
from manager.web.engine_side import actions
from manager.web.web_side import api, api_session, sign_in
from tests.bot.browser import Browser
from tests.builders import a_spec
from tests.web.served import Door, Served, a_bot, serving, write_history

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium and chromedriver"),
]
LIVE: dict[str, Any] = {"quote": "USDC", "base": "SOL", "lower": "140", "upper": "180", "open_orders": 19}
HOSTILE_ID = "<img src=x onerror=document.title='pwned'>"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"


@pytest.fixture
def served(tmp_path: Path, door: Door) -> Iterator[Served]:
    rows = [
        a_bot("bp_sol_01", pnl="10.5", position="0.2", price="150", **LIVE),
        a_bot(
            "bp_sol_02",
            code="orders_refused",
            params={"cause": "unauthorized"},
            pnl="-3",
            price="200",
            **LIVE,
        ),
        a_bot("bp_btc_01", mode="paper", pnl="1000", quote="USDC", base="BTC"),
        a_bot("bp_old_01", "stopped", mode="paper", code=None),
    ]
    with serving(tmp_path, rows, door=door) as running:
        write_history(running.backend.session, {"bp_sol_01": ["0", "5", "3", "9"]})
        yield running


@pytest.fixture
def page(browser: Browser, served: Served) -> Browser:
    return opened(browser, served)


def opened(browser: Browser, served: Served, width: int = 1280, *, dark: bool = False) -> Browser:
    """The page after its sign-in, in English."""
    script = "localStorage.setItem('botfleet-language', 'en')"
    browser.open_as_new(served.links[-1], width, script, dark=dark)
    browser.wait(lambda: browser.count(".bot[data-id]") == len(served.rows))
    browser.wait(lambda: "of 4 trade" in browser.text(".boxes") or len(served.rows) != 4)
    return browser


def ids(page: Browser) -> list[str]:
    return list(
        page.run("[...document.querySelectorAll('.bot[data-id]')].map((element) => element.dataset.id)")
    )


def press(page: Browser, text: str, within: str = "body") -> None:
    assert page.run(
        "[...document.querySelectorAll(`${arguments[1]} button`)]"
        ".filter((button) => button.textContent.startsWith(arguments[0]))"
        ".map((button) => button.click()).length",
        text,
        within,
    )


def test_the_worst_comes_first_and_the_title_says_it(page: Browser) -> None:
    assert ids(page) == ["bp_sol_02", "bp_sol_01", "bp_btc_01", "bp_old_01"]
    assert page.text(".needs li strong") == "bp_sol_02"
    assert "the exchange refuses every order: the keys may not trade" in page.text(".needs")
    assert page.count(".needs li") == 1
    page.wait(lambda: page.driver.title.startswith("⚠ 1 · "))
    assert "1 needs a person" in page.text("header")
    assert page.count(".range.out") == 1
    assert page.text("[data-id=bp_sol_01] .c-position small") == "+30.00 USDC", "0.2 SOL at 150"
    assert page.complaints() == []


def test_the_chart_says_which_money_it_is_of(page: Browser) -> None:
    page.wait(lambda: page.count(".chart .chip") >= 1)
    page.wait(lambda: page.count(".chart [data-key^=curve][aria-pressed=true]") == 1)


def shows(page: Browser, instance: str) -> bool:
    """Open the bot's own view, once more where Chromium gave up a request as a container came or went."""
    if not page.count("dialog[open]") or page.count("dialog[open] > p.bad"):
        page.run(f"document.querySelector('[data-id={instance}] .c-name').click()")
    return page.text("dialog[open] h2") == instance and page.count("dialog[open] dd") > 0


@pytest.mark.long_form
def test_what_is_of_an_old_price_is_grey_in_its_row_and_in_its_own_view(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    figures = {"pnl": "10.5", "position": "0.2", "price": "150", "price_at": time.time() - 300, **LIVE}
    away = a_bot("bp_sol_01", code="exchange_away", params={"cause": "unreachable"}, **figures)
    with serving(
        tmp_path, [away, a_bot("bp_sol_02", pnl="1", position="0", price="150", **LIVE)], door=door
    ) as served:
        page = opened(browser, served)
        quiet = "getComputedStyle(document.querySelector('.label')).color"
        grey = (
            "[...document.querySelectorAll(arguments[0])]"
            ".filter((each) => getComputedStyle(each).color === arguments[1]).length"
        )
        colour = page.run(quiet)
        assert page.count("[data-id=bp_sol_01] .c.old") == 3
        assert page.run(grey, "[data-id=bp_sol_01] :is(.c-pnl .amount, .c-position.old)", colour) == 2
        assert page.count("[data-id=bp_sol_02] .c.old") == 0
        for instance, is_old in (("bp_sol_01", True), ("bp_sol_02", False)):
            page.wait(partial(shows, page, instance))
            assert bool(page.run(grey, "dialog dd", colour)) is is_old
            assert page.count("dialog dd:not(.old)"), "what is of its config is not old"
            press(page, "Close", "dialog")
            page.wait(lambda: page.count("dialog[open]") == 0)


def test_real_and_paper_money_are_not_added(page: Browser) -> None:
    boxes = page.text(".boxes")
    assert "+7.50 USDC" in boxes
    assert "+1 000.00 USDC" in boxes.replace("\u202f", " ")
    assert "1007" not in re.sub(r"\s", "", boxes)


@pytest.mark.parametrize(
    ("language", "width", "dark"),
    [
        ("en", 400, False),
        ("zh-TW", 320, False),  # a small phone, or 1280 px at 400 %
        ("en", 1280, True),
        ("zh-TW", 400, True),
        ("zh-TW", 1280, False),  # each pair of the three once
        *(
            pytest.param(*view, marks=pytest.mark.long_form)
            for view in (("en", 400, True), ("en", 1280, False), ("zh-TW", 400, False), ("zh-TW", 1280, True))
        ),
    ],
)
def test_it_fits_both_widths_in_both_themes_and_languages(
    browser: Browser, served: Served, width: int, dark: bool, language: str
) -> None:
    page = opened(browser, served, width, dark=dark)
    if language == "zh-TW":
        page.run("document.querySelector('[data-key=language]').click()")
        page.wait(lambda: page.run("document.documentElement.lang") == "zh-TW")
        page.wait(lambda: "需要人處理" in page.text(".needs h2"))
    assert page.run("document.documentElement.scrollWidth") <= width
    row = page.text(".bot[data-id=bp_sol_01]").split()
    assert "19" in row  # its orders, on a phone too
    wide = page.run(
        "[...document.querySelectorAll('main *')]"
        ".filter((element) => element.getBoundingClientRect().right > innerWidth + 1)"
        ".map((element) => element.outerHTML.slice(0, 80))"
    )
    assert wide == []
    shades = page.run(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (sum(map(int, shades[0][4:-1].split(","))) < 200) == dark
    assert page.complaints() == []


def test_no_number_goes_on_in_the_next_line(browser: Browser, tmp_path: Path, door: Door) -> None:
    """+1 234 567.8 with a 9 below it is read as another sum."""
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="1234567.89", price="150", **LIVE)], door=door) as served:
        page = opened(browser, served, 400)
        lines = "[...document.querySelectorAll('.sum')].map((element) => element.getClientRects().length)"
        for width in (400, 320):
            page.open(served.url, width)
            page.wait(lambda: page.count(".bot .sum") == 2)
            assert set(page.run(lines)) == {1}
            assert page.run("document.documentElement.scrollWidth") <= width


def test_on_paper_a_card_says_whose_it_is(page: Browser) -> None:
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert "bp_sol_02" in page.text(".needs")
        assert "LIVE" in page.text(".needs")
        assert "Stop…" not in page.text(".needs")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_what_changes_is_shown_without_loading_again(page: Browser, served: Served) -> None:
    page.run("window.stays = true")
    served.rows[0] = a_bot("bp_sol_01", pnl="77.7", position="0.2", price="150", **LIVE)
    served.rows.pop()
    served.look()
    page.wait(lambda: "+77.70" in page.text("[data-id=bp_sol_01]"))
    assert page.count("[data-id=bp_old_01]") == 0
    assert page.run("window.stays") is True


def test_filters_and_order(page: Browser) -> None:
    press(page, "live 2")
    assert ids(page) == ["bp_sol_02", "bp_sol_01"]
    press(page, "paper 2")
    assert ids(page) == ["bp_btc_01", "bp_old_01"]
    press(page, "all 4")
    page.run("(document.querySelector('input[type=search]').value = 'old', 1)")
    page.run("document.querySelector('input[type=search]').dispatchEvent(new Event('input'))")
    assert ids(page) == ["bp_old_01"]


def test_a_bots_own_view_works_also_for_a_dead_one(page: Browser, served: Served) -> None:
    served.rows[0] = a_bot("bp_sol_01", "failed", pnl="10.5", **LIVE)
    served.look()
    page.wait(lambda: "failed" in page.text("[data-id=bp_sol_01]"))
    page.run("document.querySelector('[data-id=bp_sol_01] .c-name').click()")
    page.wait(lambda: "exit code 1" in page.text("dialog"))
    assert "+9.00 USDC" in page.text("dialog")
    # a chart of uPlot, or a table where it is not there
    page.wait(lambda: page.count("dialog .figures") + page.count("dialog .uplot canvas") == 1)
    press(page, "Close")
    page.wait(lambda: not page.run("document.querySelector('dialog').open"))
    assert page.complaints() == []


def test_an_engine_that_is_away_is_said_with_the_age_of_what_is_shown(page: Browser, served: Served) -> None:
    served.error = EngineUnreachable("the Docker Engine does not answer")
    served.look()
    page.wait(lambda: "the Docker Engine does not answer · what follows is" in page.text("#banners"))
    assert "the fleet cannot be observed" in page.text("header")
    assert len(ids(page)) == 4
    page.wait(lambda: page.run("document.body.classList.contains('stale')"), 30)
    assert page.driver.title.startswith("? · ")
    served.error = None
    served.look()
    page.wait(
        lambda: page.text("#banners") == "" and not page.run("document.body.classList.contains('stale')")
    )


def test_a_server_that_is_gone_is_said(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="1", **LIVE)]) as served:
        page = opened(browser, served)
    page.wait(lambda: "`manager serve` does not answer" in page.text("#banners"))
    assert page.run("document.body.classList.contains('stale')")
    assert "whether action is needed is not known now" in page.text("header")
    assert page.count("header .pill.well") == 0
    assert ids(page) == ["bp_sol_01"]


def test_a_server_that_is_gone_before_it_told_anything_is_said(browser: Browser, tmp_path: Path) -> None:
    """It dies between the page's first answers and its stream of events."""
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="1", **LIVE)]) as served:
        browser.open(f"{served.url}/page/icon.svg", 1280)
        served.lost.add("/api/v1/events")
        page = opened(browser, served)
        page.wait(lambda: "`manager serve` does not answer" in page.text("#banners"))


def test_a_session_that_ends_leaves_nothing_on_the_page(page: Browser, served: Served) -> None:
    press(page, "Sign out")
    page.wait(lambda: "Not signed in" in page.text("main"))
    assert "bp_sol_01" not in page.run("document.documentElement.outerHTML")
    page.run("(document.querySelector('.sign-in input').value = arguments[0], 1)", served.links[-1])
    page.run("document.querySelector('.sign-in button').click()")
    page.wait(lambda: page.count(".bot[data-id]") == 4)


def test_a_session_that_expires_while_the_page_is_open_is_said(page: Browser, served: Served) -> None:
    served.app_state.session_store._sessions.clear()
    page.wait(lambda: "the session is over" in page.text("main"))
    assert "bp_sol_01" not in page.run("document.documentElement.outerHTML")


def test_a_session_that_is_over_is_said_whichever_request_is_told_first(
    page: Browser, served: Served
) -> None:
    """And stays said when the other requests are told, and in the other language."""
    page.wait(lambda: "30 d" in page.text(".chart-place"))
    served.lost.add("/api/v1/events")
    served.app_state.session_store._sessions.clear()
    # in vain where another request was told before
    page.run("[...document.querySelectorAll('.chart-place button')].forEach((button) => button.click())")
    page.wait(lambda: "the session is over" in page.text("main"))
    served.lost.clear()
    page.wait(lambda: any("/events" in problem and "401" in problem for problem in page.complaints()))
    assert "the session is over" in page.text("main")
    press(page, "中文")
    page.wait(lambda: "登入已失效" in page.text("main"))


def test_html_in_what_a_bot_or_a_config_says_is_inert(browser: Browser, tmp_path: Path, door: Door) -> None:
    row = a_bot(HOSTILE_ID, "failed", code="new_code", pnl="1", quote=HOSTILE, base=HOSTILE, reason=HOSTILE)
    live = a_bot("bp_sol_01", code="other", reason=HOSTILE, pnl="1", **LIVE)
    container = row.view.container
    assert container is not None
    hostile = container._replace(labels={**container.labels, "org.botfleet.symbol": HOSTILE})
    with serving(
        tmp_path, [row._replace(view=row.view._replace(container=hostile)), live], door=door
    ) as served:
        write_history(served.backend.session, {row.id: ["0", "1"]})
        page = opened(browser, served)
        page.run("document.querySelector('.bot .c-name').click()")
        page.wait(lambda: page.count("dialog dl") == 1)
        assert HOSTILE in page.text(".bots")
        assert HOSTILE in page.text("dialog")
        assert page.count("img") + page.count("body script") == 0
        assert "pwned" not in page.driver.title
        assert page.complaints() == []


def test_the_policy_stops_a_script_that_came_in_nevertheless(page: Browser) -> None:
    page.driver.execute_script(
        "try { document.body.innerHTML = '<b>x</b>'; } catch (error) { window.refused = error.name; }"
    )
    assert page.run("window.refused") == "TypeError"
    assert page.count("b") == 0
    assert "TrustedHTML" in "".join(page.complaints()), "what the browser refuses is seen by every test"


def commands(served: Served) -> list[str]:
    return [action.command for action in served.backend.actions.all()]


def hold(page: Browser, seconds: float) -> None:
    button = page.driver.find_element("css selector", "#halt button")
    ActionChains(page.driver).click_and_hold(button).pause(seconds).release().perform()


def test_a_short_press_halts_nothing_and_says_what_it_would_do(page: Browser, served: Served) -> None:
    hold(page, 0.5)
    page.wait(lambda: "Halt the whole fleet" in page.text("dialog"))
    assert "2 live and 2 on paper" in page.text("dialog")
    assert "0.2 SOL" in page.text("dialog")
    time.sleep(1.5)
    assert commands(served) == []


def test_held_it_halts_and_shows_the_verdict(page: Browser, served: Served) -> None:
    hold(page, 1.9)
    page.wait(lambda: commands(served) == ["manager halt"])
    page.wait(lambda: "it ended with exit code 5" in page.text("dialog .verdict"))
    assert "$ manager halt" in page.text("dialog pre")
    assert commands(served) == ["manager halt"]


HALTED = (
    "bp_sol_01: stopped (4.7 s), 0 open orders left",
    "ID\tCONTAINER\tHOW\tLEFT AT EXCHANGE\tPOSITION LEFT",
    "bp_sol_01\tdesk-bp_sol_01\tstopped\t0\t0.2 SOL",
    "bp_sol_02\tdesk-bp_sol_02\tkilled\tunknown\t",
    "error: bp_sol_02 did not stop in time and was killed",
)


class Halted:
    """A halt that has ended, as the page starts it."""

    title, exit_code = "manager halt", 1

    def __init__(self, *_words: object, **_options: object) -> None:
        self._lines = list(HALTED)

    def new_lines(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines


@pytest.mark.parametrize(("width", "is_card"), [(400, True), (1280, False)])
def test_what_a_halt_has_left_can_be_read_row_by_row(
    browser: Browser, served: Served, monkeypatch: pytest.MonkeyPatch, width: int, is_card: bool
) -> None:
    """On a phone the columns of a terminal's table were wrapped into each other."""
    monkeypatch.setattr(actions, "Running", Halted)
    page = opened(browser, served, width)
    press(page, "HALT", "#halt")
    page.wait(lambda: page.count("dialog .halt") == 1)
    ActionChains(page.driver).click_and_hold(page.driver.find_element("css selector", "dialog .halt")).pause(
        1.9
    ).release().perform()
    page.wait(lambda: "it ended with exit code 1" in page.text("dialog .verdict"))
    rows = page.run("[...document.querySelectorAll('dialog tbody tr')].map((element) => element.innerText)")
    assert [re.split(r"\s+", row)[0] for row in rows] == ["bp_sol_01", "bp_sol_02"]
    head = page.run("getComputedStyle(document.querySelector('dialog td'), '::before').content")
    assert ("CONTAINER" in head) is is_card
    fits = (
        "((element) => element.scrollWidth <= element.clientWidth)(document.querySelector('dialog .output'))"
    )
    assert page.run(fits)
    assert page.text("dialog .output pre:last-child") == HALTED[-1]


def test_a_press_that_leaves_the_button_halts_nothing(page: Browser, served: Served) -> None:
    button = page.driver.find_element("css selector", "#halt button")
    away = page.driver.find_element("css selector", "h1")
    ActionChains(page.driver).click_and_hold(button).pause(0.4).move_to_element(away).pause(
        2
    ).release().perform()
    assert commands(served) == []


def test_the_halt_button_survives_every_redrawing_while_it_is_held(page: Browser, served: Served) -> None:
    page.run("(window.button = document.querySelector('#halt button'), 1)")
    served.look()
    served.look()
    time.sleep(1)
    assert page.run("window.button.isConnected") is True


def test_real_money_is_stopped_only_with_the_id_typed(page: Browser, served: Served) -> None:
    page.run("document.querySelector('[data-id=bp_sol_01] .c-name').click()")
    page.wait(lambda: page.count("dialog .actions") == 1)
    press(page, "Stop…", "dialog")
    page.wait(lambda: "It trades real money" in page.text(".question"))
    typed = page.driver.find_element("css selector", ".question input")
    go = page.driver.find_element("css selector", ".question [data-key=go]")
    typed.send_keys("bp_sol_0")
    assert not go.is_enabled()
    typed.send_keys("1")
    assert go.is_enabled()
    assert commands(served) == []
    typed.send_keys(Keys.ENTER)
    page.wait(lambda: commands(served) == ["manager stop bp_sol_01"])
    page.wait(lambda: "it ended with exit code 5" in page.text("dialog .verdict"))


def test_a_position_that_was_left_behind_is_closed_once_nothing_trades_it(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    held: dict[str, Any] = {"code": "stopped_out", "position": "-5", "price": "200", "pnl": "1", **LIVE}
    left, stopped = a_bot("bp_sol_01", "completed", **held), a_bot("bp_sol_02", "stopped", **held)
    stopped = stopped._replace(view=stopped.view._replace(saved=InstanceState(wish="stopped")))
    with serving(tmp_path, [left, stopped], door=door) as served:
        page = opened(browser, served)
        assert "Stop…" in page.text(".need .chips")
        assert "Close position…" not in page.text(".need .chips")
        page.run("document.querySelector('[data-id=bp_sol_02] .c-name').click()")
        page.wait(lambda: "Close position…" in page.text("dialog .actions"))
        press(page, "Close position…", "dialog")
        page.wait(lambda: "Close the position of bp_sol_02?" in page.text(".question"))
        page.driver.find_element("css selector", ".question input").send_keys("bp_sol_02", Keys.ENTER)
        page.wait(lambda: commands(served) == ["manager close bp_sol_02"])
        page.wait(lambda: "it ended with exit code 5" in page.text("dialog .verdict"))


def test_a_bot_is_left_until_a_time_and_no_longer_needs_a_person(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    row = a_bot("bp_sol_01", code="orders_refused", params={"cause": "unauthorized"}, pnl="1", **LIVE)
    with serving(
        tmp_path, [row, a_bot("bp_sol_02", pnl="1", position="-2", price="150", **LIVE)], door=door
    ) as served:
        page = opened(browser, served)
        page.wait(lambda: page.driver.title.startswith("⚠ 1 · "))
        press(page, "Snooze…", ".needs")
        page.wait(lambda: "Snooze the alerts of bp_sol_01?" in page.text(".question"))
        assert page.count(".question input") == 0
        page.run("(document.querySelector('.question select').value = '8h', 1)")
        page.run("document.querySelector('.question [data-key=go]').click()")
        page.wait(lambda: commands(served) == ["manager alert snooze bp_sol_01 --until 8h"])
        page.wait(lambda: "it ended with exit code 5" in page.text("dialog .verdict"))
        until = time.time() + 8 * 3600
        snoozing.snooze(served.fleet, row.view, until)  # as the command would, with an engine
        served.look()
        page.wait(lambda: page.run("document.querySelector('.needs').hidden"))
        assert "snoozed until" in page.text("[data-id=bp_sol_01] .c-note")
        assert "1 left for later" in page.text("header")
        assert not page.driver.title.startswith("⚠")
        press(page, "Close", "dialog")
        page.run("document.querySelector('[data-id=bp_sol_01] .c-name').click()")
        page.wait(lambda: "End the snooze…" in page.text("dialog .actions"))
        assert "Snooze" not in page.text("dialog .actions")
        served.rows[0] = a_bot("bp_sol_01", "failed", code=None)
        served.look()
        page.wait(lambda: page.driver.title.startswith("⚠ 1 · "))  # something else: told as always
        assert page.complaints() == []


def test_the_exchange_is_asked_for_a_live_bot_only(page: Browser, served: Served) -> None:
    page.run("document.querySelector('[data-id=bp_btc_01] .c-name').click()")
    page.wait(lambda: "Restart…" in page.text("dialog .actions"))
    assert "Ask the exchange" not in page.text("dialog .actions")
    press(page, "Close", "dialog")
    page.run("document.querySelector('[data-id=bp_sol_01] .c-name').click()")
    page.wait(lambda: "Ask the exchange…" in page.text("dialog .actions"))
    press(page, "Ask the exchange…", "dialog")
    page.wait(lambda: "Ask the exchange what bp_sol_01 has there?" in page.text(".question"))
    assert page.count(".question input") == 0
    page.run("document.querySelector('.question [data-key=go]').click()")
    page.wait(lambda: commands(served) == ["manager orders bp_sol_01"])


def test_positions_are_worth_something_only_where_a_price_is_known(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    rows = [
        a_bot("bp_sol_01", position="2", price="150", pnl="1", **LIVE),
        a_bot("bp_sol_02", position="-1", price="150", pnl="1", **LIVE),
        a_bot("bp_doge_01", position="-500", pnl="1", quote="USDC", base="DOGE"),
    ]
    with serving(tmp_path, rows, door=door) as served:
        boxes = opened(browser, served).text(".boxes")
    assert "+150.00 USDC net" in boxes
    assert "long 300.00 · short 150.00" in boxes
    assert "not in a sum, no price is known: DOGE" in boxes
    assert "−500 DOGE" in boxes


def test_every_figure_of_an_old_price_is_grey(browser: Browser, tmp_path: Path, door: Door) -> None:
    old = {**LIVE, "pnl": "12.5", "position": "1.5", "price": "150", "price_at": time.time() - 900}
    rows = [
        a_bot("bp_sol_01", code="exchange_away", params={"cause": "timeout"}, **old),
        a_bot("bp_sol_02", pnl="10.5", position="0.2", price="150", **LIVE),
    ]
    with serving(tmp_path, rows, door=door) as served:
        write_history(served.backend.session, {row.id: ["0", "5", "9"] for row in rows})
        page = opened(browser, served)
        page.wait(lambda: "USDC" in page.text("[data-id=bp_sol_01] .c-today"))
        colors = {
            (row.id, name): page.run(
                "getComputedStyle(document.querySelector(arguments[0])).color",
                f"[data-id={row.id}] .{name} .amount",
            )
            for row in rows
            for name in ("c-today", "c-pnl")
        }
        grey = colors["bp_sol_01", "c-pnl"]
        assert colors["bp_sol_01", "c-today"] == grey
        assert grey not in {colors["bp_sol_02", "c-today"], colors["bp_sol_02", "c-pnl"]}


def test_ages_are_in_the_readers_language(browser: Browser, tmp_path: Path, door: Door) -> None:
    row = a_bot("bp_sol_01", pnl="1", last_fill=time.time() - 1500, **LIVE)
    with serving(tmp_path, [row], door=door) as served:
        page = opened(browser, served)
        assert "25 min" in page.text("[data-id=bp_sol_01] .c-fill")
        page.run("document.querySelector('[data-key=language]').click()")
        page.wait(lambda: "25 分" in page.text("[data-id=bp_sol_01] .c-fill"))


def test_chinese_has_its_own_marks_and_one_minus_everywhere(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    """What the manager wrote had a hyphen and `15m`, and what the page wrote had blanks beside full width."""
    old = {**LIVE, "pnl": "-3", "position": "-0.4", "price": "150"}
    rows = [
        a_bot("bp_sol_01", "failed", **old),
        a_bot("bp_sol_02", code="exchange_away", price_at=time.time() - 930, **old),
        a_bot("bp_sol_03", last_fill=time.time() - 11_100, **old),
    ]
    with serving(tmp_path, rows, door=door) as served:
        page = opened(browser, served)
        page.run("document.querySelector('[data-key=language]').click()")
        page.wait(lambda: "15 分鐘前" in page.text("[data-id=bp_sol_02] .c-note"))
        assert "最後已知的倉位：−0.4 SOL" in page.text(".needs")
        fill = "document.querySelector('[data-id=bp_sol_03] .c-fill time')"
        assert page.run(f"{fill}.getClientRects().length === 1 && {fill}.offsetHeight < 30"), "in one line"
        press(page, "停機", "#halt")
        page.wait(lambda: page.count("dialog[open] .halt") == 1)
        assert "實盤倉位保持不動：−1.2 SOL" in page.text("dialog")
        press(page, "關閉", "dialog")
        page.run("document.querySelector('[data-id=bp_sol_01] .c-name').click()")
        page.wait(lambda: page.count("dialog[open] dd") > 0)
        press(page, "停止", "dialog .actions")
        page.wait(lambda: "倉位：−0.4 SOL" in page.text("dialog .question"))
        texts = page.text("body") + page.text("dialog")
        assert re.findall(r"[\u4e00-\u9fff]: |[：，。；] |[秒鐘分時天] 前|(?<![\w.])-\d", texts) == []


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("read", "you may look only"),
        pytest.param("halt", "you may look and halt", marks=pytest.mark.long_form),
    ],
)
def test_who_may_not_act_has_no_buttons_for_it(
    browser: Browser,
    tmp_path: Path,
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
    role: access.Role,
    text: str,
) -> None:
    """Who looks held HALT and was refused."""
    monkeypatch.setattr(api_session, "LINKS_ROLE", role)
    code: dict[str, Any] = {"code": "orders_refused", "params": {"cause": "unauthorized"}}
    rows = [a_bot("bp_sol_01", pnl="1", **code, **LIVE), a_bot("bp_sol_02", pnl="1", **LIVE)]
    with serving(tmp_path, rows, door=door) as served:
        page = opened(browser, served)
        assert text in page.text("header")
        assert page.count("#halt button") == (role == "halt")
        page.run("document.querySelector('[data-key=\"bulk all\"]').click()")
        page.wait(lambda: "2 selected" in page.text(".bulk"))
        page.run("document.querySelector('[data-id=bp_sol_01] .c-name').click()")
        page.wait(lambda: page.count("dialog[open] dd") > 0)
        acting = ':is([data-key^=act], [data-key="own page"], [data-key="bulk stop"])'
        assert page.count(acting) == 0
        monkeypatch.undo()  # the next one to sign in here may do everything
        page.run("(document.querySelector('[data-key=leave]').click(), 1)")
        page.wait(lambda: "Not signed in" in page.text("main"))
        page.open(served.links[-1], 1280)
        page.wait(lambda: page.count(f"{acting}, #halt button") == 1 + 4)
        assert text not in page.text("header")


@pytest.mark.long_form
def test_no_width_needs_scrolling_sideways(browser: Browser, tmp_path: Path, door: Door) -> None:
    """Between a tablet's and a desk's, the columns were wider than the window."""
    figures = {**LIVE, "pnl": "-1234.56", "position": "-12.345", "price": "150"}
    rows = [
        a_bot("bp_perp_sol_usdc_grid_with_a_long_name_01", last_fill=time.time() - 50_000, **figures),
        a_bot("bp_sol_02", code="orders_refused", params={"cause": "unauthorized"}, **figures),
    ]
    spec = a_spec()._replace(tags=("of_" * 30,), exchange="x" * 80, symbol="A" * 80)
    rows[1] = rows[1]._replace(view=rows[1].view._replace(spec=spec))
    with serving(tmp_path, rows, door=door) as served:
        page = opened(browser, served)
        wider = "[document.documentElement, ...document.querySelectorAll('.bot')]"
        wider += ".filter((element) => element.scrollWidth > element.clientWidth + 1).length"
        for width in (320, 400, 600, 768, 899, 900, 960, 1099, 1100, 1150, 1199, 1200, 1280):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            page.wait(partial(page.run, "innerWidth === arguments[0]", width))
            assert page.run(wider) == 0, width
            heads = page.run("document.querySelector('.heads').offsetHeight")
            assert heads < 60, f"{heads} at {width}: a column without room has its name letter by letter"


AMOUNTS = {
    # what a number of JavaScript's, with its 15 digits, makes of them is another amount
    "999999999.99": ["+999 999 999.99", "999999999.99", "999999999.99"],
    "-123456789012345678.12345678": [
        "−123 456 789 012 345 678.12",
        "−123456789012345678.12345678",
        "-123456789012345678.12",
    ],
    "1e21": [f"+1{' 000' * 7}.00", f"1{'0' * 21}", f"1{'0' * 21}"],
    "103456.25": ["+103 456.25", "103456.25", "103456.25"],
    "0.000123456789": ["+0.0001", "0.00012346", "0.0001234568"],
    "-0.00000000012": ["0.00", "−0.00000000012", "-0.00000000012"],
    "0.99999": ["+1.0000", "0.99999", "0.99999"],
    "-0": ["0.00", "0", "0"],
    "NaN": ["–", "–", "–"],
}


def test_an_amount_has_the_digits_that_it_came_with(browser: Browser, tmp_path: Path, door: Door) -> None:
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="1", **LIVE)], door=door) as served:
        page = opened(browser, served)
        written = page.run(
            "import('/page/format.js').then(({money, amount, price}) =>"
            " arguments[0].map((text) => [money(text), amount(text), price(text)]))",
            list(AMOUNTS),
        )
    assert [[text.replace("\u202f", " ") for text in texts] for texts in written] == list(AMOUNTS.values())


def test_what_a_position_is_worth_is_exact(browser: Browser, tmp_path: Path, door: Door) -> None:
    held = {**LIVE, "position": "-123456789012.00000001"}
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="1", price="1000.01", **held)], door=door) as served:
        page = opened(browser, served)
        products = page.run(
            "import('/page/format.js').then(({product}) => arguments[0].map((pair) => product(...pair)))",
            [["3", "1.5"], ["-0.1", "0.2"], ["-1e3", "-2"], ["0", "5"], [None, "5"], ["1", "NaN"]],
        )
        worth = page.run("document.querySelector('.c-position small:last-child .sum').title")
    assert products == ["4.5", "-0.02", "2000", "0", "", ""]
    assert worth.replace("\u202f", "") == "−123458023579890.12"  # a JS number has 15 digits


def test_a_number_is_never_broken_and_one_without_room_is_shortened(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    """Its other half, in the next line, is read as another number."""
    huge = {**LIVE, "position": "123456789012345678.12345678"}
    rows = [
        a_bot("bp_sol_01", pnl="-1234567890.12", **huge),
        a_bot("bp_sol_02", pnl="123456789.12", **{**LIVE, "position": "1234567.12345678"}),
    ]
    with serving(tmp_path, rows, door=door) as served:
        page = opened(browser, served, 400)
        broken = page.run(
            "[...document.querySelectorAll('.sum')].filter((sum) => sum.getClientRects().length > 1"
            " || sum.getBoundingClientRect().right > sum.closest('.box, .bot').getBoundingClientRect().right)"
            ".map((sum) => sum.textContent)"
        )
        assert broken == []
        assert page.count(".sum") > 4
        assert page.run("document.documentElement.scrollWidth") <= 400
        cell = "document.querySelector('[data-id=bp_sol_01] {} .sum').{}"
        assert page.run(cell.format(".c-pnl", "textContent")) == "−1.23457B"
        assert page.run(cell.format(".c-pnl", "title")).replace("\u202f", " ") == "−1 234 567 890.12"
        assert page.run(cell.format(".c-position", "title")) == huge["position"]


def test_ages_have_the_steps_of_the_commands(browser: Browser, tmp_path: Path, door: Door) -> None:
    seconds = [-1, 0, 59, 60, 3599, 3600, 11_100, 48 * 3600 - 1, 48 * 3600, 10**6]
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="1", **LIVE)], door=door) as served:
        page = opened(browser, served)
        both = "Promise.all([import('/page/format.js'), import('/page/age.js')])"
        written = page.run(
            f"{both}.then(([{{age}}, {{ageIn}}]) => arguments[0].map((s) => [age(s), ageIn(s)]))", seconds
        )
    in_columns = [formatting.age(second) for second in seconds]
    assert [text.replace(" ", "").replace("min", "m") for text, _ in written] == in_columns
    assert all(text == of_the_bots_page for text, of_the_bots_page in written)


def test_another_language_is_that_of_what_was_told_before_too(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    """States and reasons remained in the one before, until they changed."""
    row = a_bot("bp_sol_02", "failed", code="stopped_out", pnl="-3", **{**LIVE, "position": "-5"})
    with serving(tmp_path, [row], door=door) as served:
        page = opened(browser, served)
        assert "last known position" in page.text(".needs")
        page.run("document.querySelector('[data-key=language]').click()")
        page.wait(lambda: "最後已知的倉位" in page.text(".needs"))
        assert "失敗" in page.text(".bot[data-id=bp_sol_02]")


def test_the_fleets_curve_goes_as_far_back_as_chosen(page: Browser, served: Served) -> None:
    page.wait(lambda: page.count(".chart .mark-place") == 1)
    for key, text in {"30d": "30 d", "all": "all", "1d": "24 h"}.items():
        page.run(f"document.querySelector('[data-key=\"range {key}\"]').click()")
        page.wait(lambda text=text: page.text(".chart [aria-pressed=true]") == text)  # type: ignore[misc]
        page.wait(lambda: page.count(".chart .now") == 1)
        assert "+9.00" in page.text(".chart .now")
    assert page.complaints() == []


@pytest.mark.skipif(not api.library_file("uplot.js"), reason="needs uPlot: `make page` gets it")
def test_the_scale_of_large_amounts_is_not_cut(browser: Browser, tmp_path: Path, door: Door) -> None:
    """And what rounds to nothing is neither a gain nor a loss."""
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="0.00001", **LIVE)], door=door) as served:
        write_history(served.backend.session, {"bp_sol_01": ["0", "-1234567"]})
        page = opened(browser, served, 400)
        assert page.text("[data-id=bp_sol_01] .c-pnl .flat") == "0.00 USDC"
        press(page, "中文")
        page.wait(lambda: page.count(".chart .uplot canvas") == 1 and "損益" in page.text(".chart .u-legend"))
        mark = "getComputedStyle(document.querySelector('.chart .u-legend th'), '::after').content"
        assert page.run(mark) == '"："'
        wanted = "window.probe.measureText('−1 000 000.00'.replaceAll(' ', '\u202f')).width + 5"
        page.run("(window.probe = document.createElement('canvas').getContext('2d'), 1)")
        page.run("(window.probe.font = '12px system-ui, sans-serif', 1)")
        assert page.run("document.querySelectorAll('.chart .u-axis')[1].offsetWidth") >= page.run(wanted)


@pytest.mark.skipif(not api.library_file("uplot.js"), reason="needs uPlot: `make page` gets it")
def test_a_chart_has_scales_and_says_the_value_under_the_pointer(page: Browser) -> None:
    page.wait(lambda: page.count(".chart .uplot canvas") == 1)
    moves = itertools.count()

    def shown_at(beside: int) -> str:
        """What it says under the pointer, so far beside the middle; it may just have been drawn again."""
        over = page.driver.find_element("css selector", ".chart .u-over")
        ActionChains(page.driver).move_to_element_with_offset(over, beside + next(moves) % 2, 0).perform()
        return page.text(".chart .u-legend")

    page.wait(lambda: "+3.00" in shown_at(200))
    page.wait(lambda: "–" in shown_at(0))  # nobody looked then
    before = page.run("document.querySelector('.chart canvas').toDataURL()")
    page.run("document.querySelector('[data-key=rises]').click()")
    page.wait(lambda: page.run("document.querySelector('.chart canvas').toDataURL()") != before)
    assert page.complaints() == []


def test_without_the_library_the_figures_are_a_table(
    browser: Browser, tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "library_file", lambda _name: b"")
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="10.5", **LIVE)], door=door) as served:
        write_history(served.backend.session, {"bp_sol_01": ["0", "5", "3", "9"]})
        page = opened(browser, served)
        page.wait(lambda: page.count(".chart .figures tbody tr") > 10)
        assert "`make page` gets it" in page.text(".chart .why")
        values = page.run(
            "[...document.querySelectorAll('.chart .figures td:last-child')].map((cell) => cell.innerText)"
        )
        assert {"+9.00", "–"} <= set(values)  # a gap is a gap here, too
        assert page.complaints() == []


def test_paper_is_asked_once(page: Browser, served: Served) -> None:
    page.run("document.querySelector('[data-id=bp_btc_01] .c-name').click()")
    page.wait(lambda: page.count("dialog .actions") == 1)
    press(page, "Restart…", "dialog")
    page.wait(lambda: "It trades on paper" in page.text(".question"))
    assert page.count(".question input") == 0
    press(page, "Cancel")
    assert commands(served) == []
    press(page, "Restart…", "dialog")
    page.wait(lambda: page.count(".question [data-key=go]") == 1)
    press(page, "Restart bp_btc_01")
    page.wait(lambda: commands(served) == ["manager restart bp_btc_01"])


def test_a_bot_shows_what_an_upgrade_would_change_and_marks_what_happened(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    row = a_bot("bp_sol_01", position="0.2", price="150", pnl="10.5", **LIVE)
    gone = a_bot("bp_sol_02", code="stopped_out", position="-500", price="200", pnl="1", **LIVE)
    rows = [row._replace(view=row.view._replace(drift=("image",))), gone]
    with serving(tmp_path, rows, door=door) as served:
        write_history(served.backend.session, {"bp_sol_01": ["0", "5", "3", "9"]})
        page = opened(browser, served)
        assert "without a bot: −500 SOL (bp_sol_02)" in page.text(".boxes")
        assert "long 0.2 · short 500" in page.text(".boxes")
        page.wait(lambda: "bp_sol_01: exit code 1" in page.text(".happened"))
        page.wait(lambda: "all runs, stopped bots too: +9.00 USDC" in page.text(".boxes"))
        page.wait(lambda: "deepest fall in 24 h: −2.00 USDC" in page.text(".boxes"))
        page.wait(lambda: page.count(".chart .event-mark") == 1)
        page.run("document.querySelector('.chart .event-mark').click()")
        page.wait(lambda: "bp_sol_01: exit code 1" in page.text(".chart .said"))
        page.run("document.querySelector('[data-id=bp_sol_01] .c-name').click()")
        page.wait(lambda: page.count("dialog .changes li") == 1)
        assert page.text("dialog .changes li") == "new image"
        assert page.count("dialog .event-mark") == 1
        press(page, "7 d")
        page.wait(lambda: page.text("dialog [aria-pressed=true]") == "7 d")
        press(page, "Upgrade…", "dialog")
        page.wait(lambda: "if it does not stay healthy, it is rolled back" in page.text(".question"))
        assert page.complaints() == []


@pytest.mark.parametrize("width", [900, 1280])
def test_all_that_need_a_person_are_seen_at_once(
    browser: Browser, tmp_path: Path, door: Door, width: int
) -> None:
    """Beside the chart, one and a half of four were seen, and the rest by moving the list."""
    rows = [a_bot(f"bp_sol_{number:02}", code="orders_refused", **LIVE) for number in range(6)]
    with serving(tmp_path, rows, door=door) as served:
        page = opened(browser, served, width)
        heights = page.run(
            "((list) => [list.scrollHeight, list.clientHeight])(document.querySelector('.needs ul'))"
        )
    assert heights[0] == heights[1]


def test_a_card_of_what_needs_a_person_leads_to_the_question(page: Browser, served: Served) -> None:
    page.run("(document.querySelector('.needs [data-key^=\"act stop\"]').click(), 1)")
    page.wait(lambda: "It trades real money" in page.text(".question"))
    assert commands(served) == []


def select(page: Browser, *bots: str) -> None:
    for bot in bots:
        page.run("(document.querySelector(arguments[0]).click(), 1)", f"[data-id={bot}] input[type=checkbox]")


def test_several_bots_are_asked_about_at_once_and_done_one_after_the_other(
    page: Browser, served: Served
) -> None:
    select(page, "bp_sol_01", "bp_btc_01", "bp_old_01")
    press(page, "paper 2")  # nobody acts on what he does not see
    page.wait(lambda: "2 selected" in page.text(".bulk"))
    press(page, "all 4")
    page.wait(lambda: "3 selected" in page.text(".bulk"))
    press(page, "Stop…", ".bulk")
    page.wait(lambda: page.count(".asked > li") == 3)
    assert page.count(".asked input") == 1
    go = page.driver.find_element("css selector", ".question button")
    typed = page.driver.find_element("css selector", ".asked input")
    typed.send_keys("bp_sol_0")
    assert not go.is_enabled()
    typed.send_keys("1")
    go.click()
    page.wait(lambda: page.text("dialog").count("it ended with exit code 5") == 3)
    assert sorted(commands(served)) == [
        "manager stop bp_btc_01",
        "manager stop bp_old_01",
        "manager stop bp_sol_01",
    ]


def test_several_bots_are_asked_only_for_what_a_button_of_their_own_would_do(page: Browser) -> None:
    """bp_btc_01 trades on paper, where no exchange can be asked, and nothing is wrong with it."""
    select(page, "bp_btc_01")
    page.wait(lambda: page.count("[data-key='bulk stop']") == 1)
    assert page.count("[data-key='bulk orders'], [data-key='bulk snooze'], [data-key='bulk upgrade']") == 0
    select(page, "bp_sol_01")
    page.wait(lambda: page.count("[data-key='bulk orders']") == 1)
    press(page, "Ask the exchange…", ".bulk")
    page.wait(lambda: page.count(".asked > li") == 1)
    assert "bp_sol_01" in page.text(".asked")
    assert page.complaints() == []


def test_a_log_is_followed_searched_and_tells_of_fills(
    page: Browser, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        {"id": "bp_sol_01", "line": "hello", "level": None, "fill": None},
        {"id": "bp_btc_01", "line": HOSTILE, "level": "error", "fill": None},
        {
            "id": "bp_sol_01",
            "line": "filled BUY 0.5 @ 161.05",
            "level": "info",
            "fill": {"side": "buy", "quantity": "0.5", "price": "161.05"},
        },
    ]
    code = "import sys, time\nfor line in sys.argv[1:]: print(line, flush=True)\ntime.sleep(60)"
    words = [json.dumps(line) for line in lines]
    monkeypatch.setattr(
        served.backend.tails,
        "_start",
        lambda _wanted: subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE),
    )
    press(page, "Log of all")
    page.wait(lambda: page.count(".log li") == 3)
    assert "bought 0.5 @ 161.05" in page.text(".log .fill-buy")
    assert HOSTILE in page.text(".log .error")
    press(page, "fills")
    assert page.count(".log li") == 1
    page.run("(document.querySelector('.log-view input').value = 'nothing like it', 1)")
    page.run("document.querySelector('.log-view input').dispatchEvent(new Event('input'))")
    assert page.count(".log li") == 0
    press(page, "Close")
    page.wait(lambda: not page.run("document.querySelector('dialog').open"))
    assert page.complaints() == []
    served.backend.tails.close()


def test_bots_are_filtered_by_exchange_and_state(page: Browser) -> None:
    choose = (
        "((select, value) => { select.value = value; select.dispatchEvent(new Event('change')); return 1; })"
        "(document.querySelector(`select[aria-label=${arguments[0]}]`), arguments[1])"
    )
    page.run(choose, "State", "stopped")
    assert ids(page) == ["bp_old_01"]
    page.run(choose, "State", "")
    assert len(ids(page)) == 4
    assert page.run("document.querySelector('select[aria-label=exchange]').hidden") is True


def test_the_strip_says_when_the_last_alert_was_delivered(page: Browser, served: Served) -> None:
    assert "no alert delivered yet" in page.text("header")
    served.delivered_at = time.time() - 300
    served.look()
    page.wait(lambda: "last alert delivered 5 min ago" in page.text("header"))


def test_nothing_is_loaded_from_elsewhere(page: Browser, served: Served) -> None:
    names = page.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert names
    assert {name.partition("/page/")[0].partition("/texts/")[0].partition("/api/")[0] for name in names} == {
        served.url
    }


def test_requests_that_get_lost_are_asked_again(browser: Browser, served: Served) -> None:
    """A container that comes or goes makes browsers give up requests, also those to loopback."""
    page = opened(browser, served)
    lost = """
        const real = window.fetch;
        window.lost = 0;
        window.fetch = (...args) => {
          if (window.lost < 3) { window.lost += 1; return Promise.reject(new TypeError('network changed')); }
          return real(...args);
        };
    """
    made = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": lost})
    try:
        page.driver.refresh()
        page.wait(lambda: page.count(".bot[data-id]") == 4)
        assert page.run("window.lost") == 3
        page.run("(window.lost = 1, 1)")
        hold(page, 1.9)
        page.wait(lambda: commands(served) == ["manager halt"])
        page.wait(lambda: "it ended with exit code 5" in page.text("dialog .verdict"))
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)


def test_files_that_get_lost_are_loaded_again(browser: Browser, served: Served) -> None:
    """However many there are, and however often: it gave up after six files."""
    page = opened(browser, served)
    loads = "Number(sessionStorage.getItem('botfleet-loads'))"
    served.lost |= {"/page/main.js", "/page/uplot.js", "/page/page.css", "/page/uplot.css"}
    page.driver.refresh()
    page.wait(lambda: "Loading" in page.text("main") and page.run(loads) == 2)
    page.run("(sessionStorage.setItem('botfleet-loads', '6'), 1)")
    page.wait(lambda: page.run(loads) > 7)
    served.lost.clear()
    page.wait(lambda: page.count(".bot[data-id]") == 4)
    assert page.run("sessionStorage.getItem('botfleet-loads')") is None
    page.complaints()


def test_another_language_keeps_what_is_chosen_and_loses_nothing(page: Browser) -> None:
    choose = (
        "((select, value) => { select.value = value; select.dispatchEvent(new Event('change')); return 1; })"
        "(document.querySelector('select[aria-label=State]'), 'trading')"
    )
    page.run(choose)
    chosen = ids(page)
    assert chosen == ["bp_sol_01", "bp_btc_01"]
    page.run(
        "(window.shownTexts = [], window.banners = document.querySelector('#banners'),"
        " new MutationObserver(() => window.shownTexts.push(window.banners.innerText))"
        ".observe(window.banners, { childList: true }), 1)"
    )
    page.run("(document.querySelector('[data-key=language]').click(), 1)")
    page.wait(lambda: "需要人處理" in page.text(".needs h2"))
    time.sleep(2.5)  # as long as a stream that got lost is waited for
    assert ids(page) == chosen
    assert page.run("window.shownTexts.filter(Boolean)") == []
    assert page.complaints() == []


def test_what_was_missed_is_read_again_although_a_request_gets_lost(page: Browser, served: Served) -> None:
    """Without it the page would go on with what it knew, and show only what changes from then on."""
    page.run(
        "(window.real = window.fetch, window.lost = 0, window.fetch = (path, ...rest) =>"
        " String(path).endsWith('/instances') && window.lost++ < 5"
        " ? Promise.reject(new TypeError('lost')) : window.real(path, ...rest), 1)"
    )
    served.rows[0] = a_bot("bp_sol_01", pnl="77.5", position="0.2", price="150", **LIVE)
    served.backend._feeds.clear()  # as of an engine side that was started again
    served.look()
    page.wait(lambda: "+77.50" in page.text(".bot[data-id=bp_sol_01]"))
    assert page.run("window.lost") >= 5


def test_a_bots_view_goes_on_while_it_is_open(page: Browser, served: Served) -> None:
    page.run("(document.querySelector('[data-id=bp_sol_01] .c-name').click(), 1)")
    page.wait(lambda: "+10.50 USDC" in page.text("dialog"))
    served.rows[0] = a_bot("bp_sol_01", "stopped", pnl="9.25", price="150", **LIVE)
    served.look()
    page.wait(lambda: "+9.25 USDC" in page.text("dialog"))
    assert page.count("dialog [data-key='act start bp_sol_01']") == 1
    assert page.count("dialog [data-key='act restart bp_sol_01']") == 0


def test_a_sum_of_many_digits_leaves_the_kill_switch_on_a_phone(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    """A page that is wider than a phone is shown smaller, and its lower edge is out of sight."""
    rows = [a_bot("bp_sol_01", pnl="-123456789012.34", position="-12345678901.5", price="150", **LIVE)]
    with serving(tmp_path, rows, door=door) as served:
        page = opened(browser, served, 400)
        assert page.run("innerWidth") == 400
        assert page.run("document.querySelector('#halt').getBoundingClientRect().bottom <= innerHeight")


def test_what_is_not_zero_is_not_written_as_zero(browser: Browser, tmp_path: Path, door: Door) -> None:
    """A position of many a token is a billionth of a whole one, and its price has as many places."""
    tiny = {**LIVE, "lower": "0.0000000005", "upper": "0.000000002"}
    rows = [a_bot("bp_sol_01", pnl="1", position="-0.000000001", price="0.00000000125", **tiny)]
    with serving(tmp_path, rows, door=door) as served:
        page = opened(browser, served)
        assert page.text("[data-id=bp_sol_01] .c-position").split("\n")[-2:][0] == "−0.000000001 SOL"
        assert "−0.000000001" in page.text(".boxes")
        page.run("(document.querySelector('[data-id=bp_sol_01] .c-name').click(), 1)")
        page.wait(lambda: "0.00000000125" in page.text("dialog"))


def test_a_tag_that_no_bot_has_any_more_can_be_left(browser: Browser, tmp_path: Path, door: Door) -> None:
    tagged = a_bot("bp_sol_01", pnl="1", **LIVE)
    tagged = tagged._replace(view=tagged.view._replace(spec=a_spec()._replace(tags=("night",))))
    with serving(tmp_path, [tagged, a_bot("bp_sol_02", pnl="1", **LIVE)], door=door) as served:
        page = opened(browser, served)
        page.run("(document.querySelector('[data-key=\"tag night\"]').click(), 1)")
        assert ids(page) == ["bp_sol_01"]
        served.rows = served.rows[1:]
        served.look()
        page.wait(lambda: ids(page) == [])
        page.run("(document.querySelector('[data-key=\"tag night\"]').click(), 1)")
        assert ids(page) == ["bp_sol_02"]


@pytest.mark.parametrize("left_for_later", [False, True])
def test_the_strip_is_not_calm_while_nobody_knows_what_a_halt_has_left(
    browser: Browser, tmp_path: Path, door: Door, left_for_later: bool
) -> None:
    """The bots' own last words were calm: no orders, as the exchange had confirmed."""
    halted = a_bot("bp_sol_01", "stopped", **{**LIVE, "open_orders": 0, "pnl": "1", "position": "0"})
    saved = InstanceState(halted="ran", left_unknown_at=time.time())
    halted = halted._replace(view=halted.view._replace(saved=saved))
    with serving(tmp_path, [halted, a_bot("bp_sol_02", pnl="1", **LIVE)], door=door) as served:
        if left_for_later:
            snooze = snoozes.Snooze(time.time(), time.time() + 9000, "stopped", "", {})
            served.fleet.state_dir.mkdir(parents=True)
            snoozes.save(served.fleet.snooze_file, {"bp_sol_01": snooze})
        page = opened(browser, served)
        for _reload in range(2):
            page.wait(lambda: "unknown what is left at the exchange: 1 bot" in page.text("header"))
            assert "no action needed" not in page.text("header")
            assert page.count("header .pill.bad") == (1 if left_for_later else 2)
            assert page.text("[data-id=bp_sol_01] .c-orders").split()[-1:] == ["?"]
            assert page.driver.title.startswith("⚠ 1")
            assert page.text("[data-id=bp_sol_01] .c-position").split()[-1:] == ["?"], "not 0 of it"
            assert "unknown what is left at the exchange: 1 bot" in page.text(".boxes")
            page.driver.refresh()
        served.rows[0] = halted._replace(view=halted.view._replace(saved=InstanceState(halted="ran")))
        served.look()
        page.wait(lambda: "unknown what is left" not in page.text("header"))
        assert page.complaints() == []


def test_a_page_that_is_loaded_again_while_it_signs_in_is_signed_in(
    browser: Browser, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is used up by then, and the session's cookie is lost with the answer."""
    redeemed, go_on = threading.Event(), threading.Event()
    opening = served.app_state.session_store.open_session

    def slow(role: access.Role) -> sign_in.Secrets:
        made = opening(role)
        redeemed.set()
        assert go_on.wait(60)
        return made

    monkeypatch.setattr(served.app_state.session_store, "open_session", slow)
    browser.open_as_new(served.links[-1], 1280, "localStorage.setItem('botfleet-language', 'en')")
    assert redeemed.wait(60)
    browser.driver.refresh()
    go_on.set()
    browser.wait(lambda: browser.count(".bot[data-id]") == len(served.rows))
    assert browser.run("sessionStorage.getItem('botfleet-link')") is None
    assert len(served.app_state.session_store._sessions) == 1


def test_a_link_is_good_until_the_server_can_take_it(browser: Browser, served: Served) -> None:
    """The engine side is being started again; the link has gone from the address already."""
    served.lost.add("/api/v1/session")
    browser.open_as_new(served.links[-1], 1280, "localStorage.setItem('botfleet-language', 'en')")
    browser.wait(lambda: browser.count(".sign-in") == 1)
    served.lost.clear()
    browser.driver.refresh()
    browser.wait(lambda: browser.count(".bot[data-id]") == len(served.rows))
    assert browser.run("sessionStorage.getItem('botfleet-link')") is None


@pytest.mark.parametrize("lost", [False, True])
def test_a_link_that_is_typed_in_signs_in_as_well(browser: Browser, served: Served, lost: bool) -> None:
    browser.open_as_new(f"{served.url}/", 1280, "localStorage.setItem('botfleet-language', 'en')")
    browser.wait(lambda: browser.count(".sign-in") == 1)
    secret = "x" * 43 if lost else served.links[-1]
    browser.run("(document.querySelector('.sign-in input').value = arguments[0], 1)", secret)
    press(browser, "Sign in", ".sign-in")
    if lost:
        browser.wait(lambda: "this link has been used, or is an older one" in browser.text("main"))
        assert browser.run("sessionStorage.getItem('botfleet-link')") is None
    else:
        browser.wait(lambda: browser.count(".bot[data-id]") == len(served.rows))
