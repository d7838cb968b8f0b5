"""The page when something comes between: a session that is over, a server that is gone, answers that come
late, another tab, a clock that is wrong, the browser's own buttons.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from selenium.webdriver import ActionChains, Keys

from manager.errors import EngineUnreachable
from tests.bot.browser import Browser
from tests.web.served import Door, Served, a_bot, serving, write_history
from tests.web.test_page import LIVE, opened, press, select

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium and chromedriver"),
]
UNHEARD = "`manager serve` does not answer now"
LATE = """(window.real = window.fetch, window.late = [], window.fetch = (path, ...rest) =>
      String(path).endsWith(arguments[0])
        ? new Promise((go) => window.late.push(go)).then(() => window.real(path, ...rest))
        : window.real(path, ...rest), 1)"""
"""Answers to such a path come when `window.late` says so."""


def a_fleet() -> list[Any]:
    return [
        a_bot("bp_sol_01", pnl="10.5", position="0.2", price="150", **LIVE),
        a_bot("bp_sol_02", pnl="-3", price="150", **LIVE),
        a_bot("bp_btc_01", mode="paper", pnl="1000", quote="USDC", base="BTC"),
    ]


@pytest.fixture
def served(tmp_path: Path, door: Door) -> Iterator[Served]:
    with serving(tmp_path, a_fleet(), door=door) as running:
        write_history(running.backend.session, {"bp_sol_01": ["0", "5", "3", "9"]})
        yield running


@pytest.fixture
def page(browser: Browser, served: Served) -> Browser:
    return opened(browser, served)


def show(page: Browser, bot: str = "bp_sol_01") -> None:
    page.run("(document.querySelector(arguments[0]).click(), 1)", f"[data-id={bot}] .c-name")
    page.wait(lambda: page.count("dialog .actions") == 1)


def ask_about_stop(page: Browser) -> None:
    show(page)
    press(page, "Stop…", "dialog")
    page.wait(lambda: page.count(".question input") == 1)


def hash_of(page: Browser) -> str:
    return str(page.run("location.hash"))


def test_nothing_of_an_earlier_page_of_the_tests_is_there_in_the_next_one(
    browser: Browser, tmp_path: Path, door: Door
) -> None:
    """They have one address."""
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        with serving(folder, a_fleet(), door=door) as served:
            page = opened(browser, served)
            assert page.run("[localStorage.getItem('botfleet-theme'), window.of]") == [None, None]
            assert page.complaints() == []
            page.run("(localStorage.setItem('botfleet-theme', 'dark'), window.of = 'dark', 1)")
            page.run("(console.error('dark'), setInterval(() => console.error('dark'), 50), 1)")
            assert served.backend.actions.all() == []


FIRST_TOLD: dict[str, tuple[Callable[[Browser], None], str]] = {
    "a bot that is opened": (lambda _page: None, "[data-id=bp_sol_02] .c-name"),
    "a question": (show, "dialog [data-key='act stop bp_sol_01']"),
    "a log": (show, "dialog [data-key=log]"),
    "another time": (show, "dialog [data-key='days 7']"),
    "several bots": (lambda page: select(page, "bp_sol_01", "bp_btc_01"), "[data-key='bulk stop']"),
}


def test_a_session_that_is_over_takes_no_step_back(page: Browser, served: Served) -> None:
    """It would be taken instead of opening what is being opened just then: the link of the next sign-in."""
    show(page)
    stepped = page.run("(window.stepped = 0, history.back = () => (window.stepped += 1), history.length)")
    served.app_state.session_store._sessions.clear()
    press(page, "7 d", "dialog")
    page.wait(lambda: "the session is over" in page.text("main"))
    time.sleep(0.5)  # the dialog tells later that it is closed
    assert (page.run("window.stepped"), page.run("history.length")) == (0, stepped)
    assert hash_of(page) == "#bot=bp_sol_01"
    page.run("(document.querySelector('.sign-in input').value = arguments[0], 1)", served.links[-1])
    page.run("(document.querySelector('.sign-in button').click(), 1)")
    page.wait(lambda: page.count("dialog .actions") == 1)
    assert page.text("dialog h2") == "bp_sol_01"
    page.complaints()


@pytest.mark.parametrize("what", FIRST_TOLD)
def test_a_session_that_is_over_is_said_whatever_is_open(page: Browser, served: Served, what: str) -> None:
    """Although the stream of events has not been told yet."""
    before, press_on = FIRST_TOLD[what]
    before(page)
    served.lost.add("/api/v1/events")
    served.app_state.session_store._sessions.clear()
    page.run("(document.querySelector(arguments[0]).click(), 1)", press_on)
    page.wait(lambda: "the session is over" in page.text("main"), 10)
    assert page.run("document.querySelector('dialog').open") is False
    assert "bp_sol_01" not in page.run("document.documentElement.outerHTML")


def test_a_server_that_is_gone_is_said_in_the_readers_language(browser: Browser, tmp_path: Path) -> None:
    """Whatever is asked for then: a browser has words of its own for it."""
    with serving(tmp_path, a_fleet()) as served:
        write_history(served.backend.session, {"bp_sol_01": ["0", "5", "3", "9"]})
        page = opened(browser, served)
        select(page, "bp_sol_01", "bp_btc_01")
        ask_about_stop(page)
        page.driver.find_element("css selector", ".question input").send_keys("bp_sol_01")
    press(page, "Stop bp_sol_01", "dialog")
    page.wait(lambda: UNHEARD in page.text("dialog .verdict"))
    press(page, "Restart…", "dialog")
    page.wait(lambda: UNHEARD in page.text("dialog .place"))
    press(page, "7 d", "dialog")
    page.wait(lambda: page.text("dialog").count(UNHEARD) == 2)
    press(page, "1 d", "dialog")
    press(page, "Close", "dialog")
    press(page, "Stop…", ".bulk")
    page.wait(lambda: UNHEARD in page.text("dialog"))
    press(page, "Close", "dialog")
    page.run("(document.querySelector('[data-id=bp_sol_02] .c-name').click(), 1)")
    page.wait(lambda: UNHEARD in page.text("dialog"))
    press(page, "Close", "dialog")
    page.run("(document.querySelector('[data-key=language]').click(), 1)")
    time.sleep(0.5)
    assert "Failed to fetch" not in page.text("body")
    assert [problem for problem in page.complaints() if "Uncaught" in problem] == []


def test_what_a_proxy_answers_by_itself_is_said_as_such(page: Browser, served: Served) -> None:
    served.lost.add("/api/v1/instances/bp_sol_02")
    page.run("(document.querySelector('[data-id=bp_sol_02] .c-name').click(), 1)")
    page.wait(lambda: "something else answers: HTTP 503" in page.text("dialog"))


def let_the_late_answer_come(page: Browser) -> None:
    page.run("(window.late.pop()(), 1)")
    time.sleep(0.5)


def test_a_late_answer_takes_nothing_that_was_asked_for_since(page: Browser) -> None:
    page.run(LATE, "bp_btc_01/actions/stop")
    select(page, "bp_btc_01")
    press(page, "Stop…", ".bulk")
    page.wait(lambda: page.run("window.late.length") == 1)
    press(page, "Close", "dialog")
    show(page)
    let_the_late_answer_come(page)
    assert page.count("dialog .asked") == 0
    assert page.text("dialog h2") == "bp_sol_01"


def test_a_late_question_is_not_asked_instead_of_a_later_one(page: Browser) -> None:
    page.run(LATE, "bp_sol_01/actions/stop")
    show(page)
    press(page, "Stop…", "dialog")
    page.wait(lambda: page.run("window.late.length") == 1)
    press(page, "Restart…", "dialog")
    page.wait(lambda: "Restart bp_sol_01" in page.text(".question .chips"))
    let_the_late_answer_come(page)
    assert "Restart bp_sol_01" in page.text(".question .chips")


def test_of_two_times_the_one_chosen_last_is_shown(page: Browser) -> None:
    page.run(LATE, "history?days=7")
    show(page)
    press(page, "7 d", "dialog")
    page.wait(lambda: page.run("window.late.length") == 1)
    press(page, "1 d", "dialog")
    page.wait(lambda: page.text("dialog [data-key^=days][aria-pressed=true]") == "1 d")
    let_the_late_answer_come(page)
    assert page.text("dialog [data-key^=days][aria-pressed=true]") == "1 d"


@pytest.mark.parametrize("hours", [1, pytest.param(-1, marks=pytest.mark.long_form)])
def test_ages_are_by_the_servers_clock(browser: Browser, served: Served, hours: int) -> None:
    """A phone's clock that is wrong makes nothing old, and nothing young."""
    script = f"const real = Date.now; Date.now = () => real() + {hours * 3_600_000};"
    made = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        served.delivered_at = time.time() - 600
        page = opened(browser, served)
        page.wait(lambda: "last alert delivered 10 min ago" in page.text("header"))
        time.sleep(1.5)
        assert page.text("#banners") == ""
        assert not page.driver.title.startswith("?")
        served.pause.clear()
        page.wait(lambda: "what follows is" in page.text("#banners"), 40)
    finally:
        served.pause.set()
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)


def test_two_tabs_sign_in_and_out_together(page: Browser, served: Served) -> None:
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.open(served.url, 1280)
        page.wait(lambda: page.count(".bot[data-id]") == 3)
        press(page, "Sign out")
        page.wait(lambda: "Not signed in" in page.text("main"))
        page.driver.switch_to.window(first)
        page.wait(lambda: "the session is over" in page.text("main"), 10)
        page.driver.switch_to.window(page.driver.window_handles[-1])
        page.driver.get(served.links[-1])
        page.wait(lambda: page.count(".bot[data-id]") == 3)
        page.driver.switch_to.window(first)
        page.wait(lambda: page.count(".bot[data-id]") == 3, 10)
    finally:
        page.driver.switch_to.window(page.driver.window_handles[-1])
        page.driver.close()
        page.driver.switch_to.window(first)


def test_a_bot_that_was_looked_at_is_no_step_back(page: Browser) -> None:
    page.driver.execute_cdp_cmd("Page.resetNavigationHistory", {})  # Chromium counts to 50 at most
    length = page.run("history.length")
    for _ in range(3):
        show(page)
        assert hash_of(page) == "#bot=bp_sol_01"
        press(page, "Close", "dialog")
        page.wait(lambda: hash_of(page) == "")
    assert page.run("history.length") == length + 1
    page.driver.forward()
    page.wait(lambda: page.count("dialog .actions") == 1)
    page.driver.back()
    page.wait(lambda: page.run("document.querySelector('dialog').open") is False)
    assert page.count(".bot[data-id]") == 3
    page.run("(location.hash = '#bot=%E0%A4%A', 1)")
    page.wait(lambda: page.run("document.querySelector('dialog').open"))
    assert [problem for problem in page.complaints() if "Uncaught" in problem] == []


def test_a_bot_that_is_opened_as_another_one_is_closed_stays_open(page: Browser) -> None:
    """The step back of the one that is closed is taken a moment later, and closed what was open by then."""
    show(page)
    page.run(
        "(window.back = history.back.bind(history), history.back = () => setTimeout(window.back, 200),"
        " document.querySelector('[data-key=close]').click(), 1)"
    )
    time.sleep(0.1)  # its dialog tells later that it is closed
    page.run("(document.querySelector('[data-id=bp_sol_02] .c-name').click(), 1)")
    page.wait(lambda: page.text("dialog[open] h2") == "bp_sol_02", 10)
    time.sleep(0.5)
    assert page.text("dialog[open] h2") == "bp_sol_02"
    assert hash_of(page) == "#bot=bp_sol_02"
    press(page, "Close", "dialog")
    page.wait(lambda: hash_of(page) == "", 5)


def test_a_bots_address_is_kept_over_the_sign_in(browser: Browser, served: Served) -> None:
    browser.open(f"{served.url}/page/icon.svg", 1280)
    browser.run("(localStorage.clear(), localStorage.setItem('botfleet-language', 'en'), 1)")
    browser.driver.delete_all_cookies()
    browser.open(f"{served.url}/#bot=bp_sol_01", 1280)
    browser.wait(lambda: "Not signed in" in browser.text("main"))
    browser.run("(document.querySelector('.sign-in input').value = arguments[0], 1)", served.links[-1])
    browser.run("(document.querySelector('.sign-in button').click(), 1)")
    browser.wait(lambda: browser.count("dialog .actions") == 1)
    assert browser.text("dialog h2") == "bp_sol_01"
    browser.complaints()


@pytest.mark.parametrize("how", ["by its address", "by the form"])
def test_a_browser_that_keeps_no_cookie_is_told_of_it(
    browser: Browser, served: Served, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does by HTTP where the page is served by HTTPS: the form came back without a word."""
    monkeypatch.setattr("starlette.responses.Response.set_cookie", lambda *_of, **_more: None)
    link = served.links[-1]
    browser.open_as_new(
        link if how == "by its address" else served.url + "/",
        1280,
        "localStorage.setItem('botfleet-language', 'en')",
    )
    browser.wait(lambda: "Not signed in" in browser.text("main"))
    if how == "by the form":
        assert "cookie" not in browser.text("main"), "nobody has signed in yet"
        browser.run("(document.querySelector('.sign-in input').value = arguments[0], 1)", link)
        browser.run("(document.querySelector('.sign-in button').click(), 1)")
    browser.wait(lambda: "this browser has not kept its cookie" in browser.text("main .bad"))
    browser.complaints()


def test_on_paper_nothing_is_in_the_way(page: Browser) -> None:
    """The kill switch would be printed over the figures of each sheet."""

    def is_shown(selector: str) -> bool:
        return bool(page.run("document.querySelector(arguments[0]).checkVisibility()", selector))

    shown, gone = (".boxes", "[data-id=bp_sol_01] .c-name", ".chart"), ("#halt", ".settings", ".bulk")
    assert all(is_shown(selector) for selector in (*shown, *gone))
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert [is_shown(selector) for selector in (*shown, *gone)] == [True] * 3 + [False] * 3
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def focused(page: Browser) -> str:
    return str(page.run("document.activeElement.dataset.key ?? document.activeElement.className"))


def press_key(page: Browser, key: str, on: str) -> None:
    selector = f"[data-key={json.dumps(on)}]"
    page.run("(document.querySelector(arguments[0]).focus(), 1)", selector)
    page.driver.switch_to.active_element.send_keys(key)


@pytest.mark.parametrize("opener", ["bot bp_sol_01", "bulk log", "halt"])
def test_the_focus_comes_back_to_what_has_opened_a_dialog(page: Browser, served: Served, opener: str) -> None:
    """Although it was drawn anew meanwhile, and although the address has changed."""
    press_key(page, Keys.ENTER, opener)
    page.wait(lambda: page.run("document.querySelector('dialog').open"))
    served.rows[:] = [a_bot(row.id, pnl="77.7", **LIVE) for row in served.rows]
    served.look()
    page.wait(lambda: "+77.70" in page.text(".bots"))
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait(lambda: focused(page) == opener, 5)


def test_the_focus_stays_where_an_action_is_asked_for(page: Browser) -> None:
    show(page)
    press_key(page, Keys.ENTER, "act stop bp_sol_01")
    page.wait(lambda: page.count(".question input") == 1)
    press(page, "Cancel", "dialog")
    assert focused(page) == "act stop bp_sol_01"
    press_key(page, Keys.ENTER, "act orders bp_sol_01")
    page.wait(lambda: focused(page) == "go")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait(lambda: focused(page) == "output")


def test_a_button_that_is_gone_while_it_is_held_does_nothing(page: Browser, served: Served) -> None:
    """That it was let go of is told to whatever lies there then."""
    page.run("(document.querySelector('#halt button').dispatchEvent(new PointerEvent('pointerdown')), 1)")
    page.run("(document.querySelector('#halt button').remove(), 1)")
    time.sleep(2)
    assert page.run("document.querySelector('dialog').open") is False
    assert served.backend.actions.all() == []


def refuse(page: Browser, path: str, status: int) -> None:
    """Have the browser told so for such a path."""
    page.run(
        """(window.real = window.fetch, window.fetch = (path, ...rest) =>
          new RegExp(arguments[0]).test(path) ? Promise.resolve(new Response("{}", { status: arguments[1] }))
          : window.real(path, ...rest), 1)""".replace("arguments[0]", json.dumps(path)).replace(
            "arguments[1]", str(status)
        )
    )


def test_a_halt_that_the_session_did_not_outlive_is_told_as_none(page: Browser, served: Served) -> None:
    refuse(page, "/halt$", 401)
    page.run("(document.querySelector('#halt button').click(), 1)")
    page.wait(lambda: page.count("dialog .halt") == 1)
    button = page.driver.find_element("css selector", "dialog .halt")
    ActionChains(page.driver).click_and_hold(button).pause(1.9).release().perform()
    page.wait(lambda: "the session is over. Nothing was halted" in page.text("main"))
    press(page, "中文")
    page.wait(lambda: "沒有停機" in page.text("main"))
    assert served.backend.actions.all() == []


def test_an_open_dialog_says_how_old_what_it_shows_is(page: Browser, served: Served) -> None:
    """It lies over the line that says so on the page."""
    stale_note = "document.querySelector('dialog').dataset.stale ?? ''"
    show(page)
    assert page.run(stale_note) == ""
    served.error = EngineUnreachable("the Docker Engine does not answer")
    served.look()
    page.wait(lambda: "the Docker Engine does not answer · what follows is" in page.run(stale_note))
    assert "does not answer" in page.run(
        "getComputedStyle(document.querySelector('dialog'), '::before').content"
    )
    served.error = None
    served.look()
    page.wait(lambda: page.run(stale_note) == "")


def test_a_bot_that_goes_while_its_view_is_open_is_said_to_be_gone(page: Browser, served: Served) -> None:
    ask_about_stop(page)
    gone = served.rows.pop(0)
    served.look()
    page.wait(lambda: "bp_sol_01 is gone" in page.text("dialog"))
    assert page.count("dialog .actions") + page.count(".question") == 0
    served.rows.append(gone)
    served.look()
    page.wait(lambda: page.count("dialog .actions") == 1)


def test_an_answer_that_got_lost_is_asked_for_again_and_carried_out_once(
    page: Browser, served: Served
) -> None:
    """The first one was carried out, and has ended, before it is asked for again."""
    lost = """(window.real = window.fetch, window.posts = [], window.fetch = async (path, options = {}) => {
      const isFirst = options.method === "POST" && window.posts.push(options.body) === 1;
      const answer = await window.real(path, options);
      if (isFirst) { await new Promise((go) => setTimeout(go, 3000)); throw new TypeError("lost"); }
      return answer;
    }, 1)"""
    page.run(lost)
    show(page)
    press(page, "Ask the exchange…", "dialog")
    page.wait(lambda: focused(page) == "go")
    press(page, "Ask the exchange bp_sol_01", "dialog")
    page.wait(lambda: page.run("window.posts.length") == 2)
    page.wait(lambda: "it ended with exit code 5" in page.text("dialog .verdict"))
    assert len(served.backend.actions.all()) == 1


def test_a_laptop_that_has_slept_says_how_old_all_is_and_sends_nothing_late(
    page: Browser, served: Served
) -> None:
    """Ten minutes, in which its clock went on and nothing else did. A start that was pressed before that was
    carried out when it was opened, however late.
    """
    let_time_pass(page)
    show(page)
    press(page, "Ask the exchange…", "dialog")
    page.wait(lambda: focused(page) == "go")
    with offline(page):
        press(page, "Ask the exchange bp_sol_01", "dialog")
        page.wait(lambda: UNHEARD in page.text("dialog .verdict"))
        with asleep(page):
            time.sleep(2)
        page.run("(window.passed = 600_000, 1)")
        page.wait(lambda: "asked for 10 min ago, and not answered" in page.text("dialog .verdict"))
        page.wait(lambda: re.search("what follows is 1[01] min old", page.text("#banners")))
        assert page.run("document.body.classList.contains('stale')")
        assert page.driver.title.startswith("? · ")
    page.wait(lambda: page.text("#banners") == "")
    assert not page.run("document.body.classList.contains('stale')")
    assert served.backend.actions.all() == []


def test_a_halt_that_was_not_heard_is_asked_for_again_and_not_by_a_device_that_has_slept(
    page: Browser, served: Served
) -> None:
    """The fleet may have been halted and resumed by other means in the hours that a laptop was shut."""
    let_time_pass(page)
    page.run("(document.querySelector('#halt button').click(), 1)")
    page.wait(lambda: page.count("dialog .halt") == 1)
    button = page.driver.find_element("css selector", "dialog .halt")
    with offline(page):
        ActionChains(page.driver).click_and_hold(button).pause(1.7).release().perform()
        page.wait(lambda: f"{UNHEARD}; it is asked for again" in page.text("dialog .verdict"))
        page.run("(window.passed = 600_000, 1)")
        page.wait(lambda: "asked for 10 min ago, and not answered" in page.text("dialog .verdict"))
    page.wait(lambda: page.text("#banners") == "")
    assert served.backend.actions.all() == []


def test_of_several_bots_the_rest_is_left_where_the_device_has_slept(page: Browser, served: Served) -> None:
    let_time_pass(page)
    select(page, "bp_sol_01", "bp_btc_01")
    press(page, "Stop…", ".bulk")
    page.wait(lambda: page.count(".asked input") == 1)
    page.driver.find_element("css selector", ".asked input").send_keys("bp_sol_01")
    page.run("(document.querySelector('.question button').click(), window.passed = 600_000, 1)")
    page.wait(lambda: "not asked for any more, as this device has slept" in page.text("dialog"))
    assert len(served.backend.actions.all()) == 1


def let_time_pass(page: Browser) -> None:
    """`passed`: so many milliseconds by the device's clock, in which the page stood still."""
    page.run("(window.passed = 0, window.realNow = Date.now, Date.now = () => realNow() + passed, 1)")


@contextmanager
def offline(page: Browser) -> Iterator[None]:
    """The device has no network."""

    def go(*, is_off: bool) -> None:
        limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": is_off, **limits})

    page.driver.execute_cdp_cmd("Network.enable", {})
    go(is_off=True)
    try:
        yield
    finally:
        go(is_off=False)


@contextmanager
def asleep(page: Browser) -> Iterator[None]:
    """No process of the browser runs."""
    driver = psutil.Process(page.driver.service.process.pid)
    processes = driver.children(recursive=True)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_an_action_of_an_earlier_server_is_said_to_be_unknown(page: Browser) -> None:
    show(page)
    press(page, "Ask the exchange…", "dialog")
    page.wait(lambda: focused(page) == "go")
    refuse(page, "/actions/[0-9]+$", 404)
    press(page, "Ask the exchange bp_sol_01", "dialog")
    page.wait(lambda: "`manager serve` was started again meanwhile" in page.text("dialog .verdict"))
