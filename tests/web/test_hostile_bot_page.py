"""A bot's own page that is hostile, in the browser of somebody who is signed in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from tests.bot.browser import Browser
from tests.web.bot_page import BotPage
from tests.web.served import COOKIE, Served
from tests.web.test_bot_pages import bot, other, served

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium and chromedriver"),
]
__all__ = ["bot", "other", "served"]
HOSTILE = """<!doctype html><title>hostile</title><script>
const results = [];
const attempt = async (name, work) => {
  try { results.push([name, await work()]); } catch (error) { results.push([name, "refused"]); }
};
(async () => {
  const fleet = FLEET, other = OTHER;
  for (const mode of ["cors", "no-cors"]) for (const path of ["/api/v1/fleet", "/api/v1/instances"])
    await attempt("read", async () => (await fetch(fleet + path, { mode, credentials: "include" })).status);
  await attempt("halt", async () => (await fetch(fleet + "/api/v1/halt",
    { method: "POST", mode: "no-cors", credentials: "include", body: '{"confirm": "halt"}' })).status);
  await attempt("other", async () => (await fetch(other + "/said",
    { mode: "no-cors", credentials: "include" })).status);
  await attempt("socket", () => new Promise((ok, no) => {
    const socket = new WebSocket(other.replace("http", "ws") + "/socket");
    socket.onopen = () => ok("open"); socket.onerror = no;
  }));
  await attempt("own socket", () => new Promise((ok, no) => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
    socket.onmessage = (event) => ok(event.data); socket.onerror = no;
  }));
  await attempt("own", async () => (await fetch("/said")).status);
  await attempt("own stream", () => new Promise((ok, no) => {
    const events = new EventSource("/events");
    events.onmessage = (event) => { ok(event.data); events.close(); }; events.onerror = no;
  }));
  await attempt("frame", () => new Promise((ok) => {
    const frame = document.createElement("iframe");
    frame.src = fleet + "/";
    frame.onload = () => { try { ok(frame.contentDocument.title); } catch { ok("refused"); } };
    document.body.append(frame);
  }));
  await attempt("opener", () => String(window.opener));
  document.cookie = "botfleet-test=stolen; domain=localhost";
  await attempt("cookies", () => document.cookie);
  window.results = results;
})();
</script><body>"""


@pytest.fixture
def first_window(browser: Browser) -> Iterator[str]:
    """The one window that the browser has; others that were opened meanwhile are closed."""
    first = browser.driver.current_window_handle
    yield first
    for window in set(browser.driver.window_handles) - {first}:
        browser.driver.switch_to.window(window)
        browser.driver.delete_all_cookies()
        browser.driver.close()
    browser.driver.switch_to.window(first)
    browser.complaints()


def open_page(browser: Browser, instance: str) -> None:
    """By the button in the bot's view."""
    before = set(browser.driver.window_handles)
    browser.run(f"document.querySelector('.bot[data-id={instance}] .c-name').click()")
    browser.wait(lambda: browser.count("dialog[open] [data-key='own page']"))
    browser.run("document.querySelector('[data-key=\"own page\"]').click()")
    browser.wait(lambda: set(browser.driver.window_handles) - before)
    [new] = set(browser.driver.window_handles) - before
    browser.driver.switch_to.window(new)


def test_a_hostile_page_in_a_browser_that_is_signed_in(
    browser: Browser, first_window: str, served: Served, bot: BotPage, other: BotPage
) -> None:
    fleet = f'"{served.url}"'
    victim = f'"http://bp_btc_01.localhost:{served.port}"'
    bot.html = HOSTILE.replace("FLEET", fleet).replace("OTHER", victim)
    browser.open_as_new(served.links[-1], 1280, "")
    browser.wait(lambda: browser.count(".bot[data-id]") == len(served.rows))
    open_page(browser, "bp_btc_01")
    browser.wait(lambda: browser.run("document.title") == "bot")
    assert browser.run("location.href") == f"http://bp_btc_01.localhost:{served.port}/"
    browser.driver.switch_to.window(first_window)
    browser.run("document.querySelector('[data-key=close]').click()")
    seen_before = len(other.seen)
    open_page(browser, "bp_sol_01")
    browser.wait(lambda: browser.run("window.results?.length"))
    results = browser.run("window.results")
    result_of = dict(results)
    reads = [result for name, result in results if name == "read"]
    assert set(reads) <= {"refused", 0}
    assert result_of["halt"] in {"refused", 0}
    assert result_of["other"] in {"refused", 0}
    assert result_of["socket"] == "refused"
    assert result_of["own socket"] == "hello"
    assert result_of["own"] == 200
    assert result_of["own stream"] == "first"
    assert result_of["frame"] in {"refused", ""}
    assert result_of["opener"] == "null"
    assert "botfleet" not in result_of["cookies"]
    assert len(other.seen) == seen_before
    assert served.backend.actions.all() == []
    assert COOKIE not in json.dumps([bot.seen, other.seen])
