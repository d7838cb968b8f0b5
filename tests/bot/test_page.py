"""The instance's web page in a real browser: drawn, alive, readable at both widths in both themes, quiet."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.bot.bots import Bot
from tests.bot.browser import Browser
from tests.fake_exchange.server import FakeExchange

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium and chromedriver"),
]
MESH = (
    "--exchange",
    "backpack",
    "--symbol",
    "SOL_USDC_PERP",
    "--strategy",
    "perp_grid",
    "--grid-upper",
    "156",
    "--grid-lower",
    "144",
    "--grid-num",
    "7",
    "--quantity",
    "0.1",
    "--interval",
    "0.2",
)
TOKEN = "let me in, please"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeExchange]:
    with FakeExchange() as served:
        yield served


@pytest.fixture(scope="module")
def bot(fake: FakeExchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A paper bot on the fake exchange's prices, with a few trades behind it."""
    env = {
        "GRIDBOT_MARKET": "live",
        "BACKPACK_API_URL": fake.url,
        "BOT_WEB_TOKEN": TOKEN,
        "BOTFLEET_INSTANCE": "bp_sol_01",
        "GRIDBOT_EXCHANGE_TIMEOUT": "1",
        "GRIDBOT_RATE_LIMIT_MS": "2",
        "GRIDBOT_OUT_OF_REACH": "2",
    }
    started = Bot(tmp_path_factory.mktemp("page"), MESH, env)
    started.wait_healthy()
    for number, price in enumerate(("147.9", "145.9", "148.1", "150.2"), 1):
        fake.book.move(Decimal(price))
        started.wait_for(lambda want=number: started.status().get("trades", 0) >= want)  # type: ignore[misc]
    yield started
    started.kill()


@pytest.fixture
def page(browser: Browser, bot: Bot) -> Browser:
    url = f"http://127.0.0.1:{bot.port}/"
    browser.open_until(lambda: browser.count("#price-plot path.line") == 1, url, 1280)
    return browser


def test_the_picture_is_drawn(page: Browser, bot: Bot) -> None:
    status = bot.status()
    assert page.text("h1") == "SOL_USDC_PERP"
    assert page.text("#mode") == "PAPER"
    assert page.text("#about") == "bp_sol_01 · backpack · perp_grid · perp · live prices"
    assert page.text("#state-text").startswith("trading")
    assert page.text("#price").split()[0] == status["price"]
    assert page.text("#position").split()[0] == status["position"]
    assert page.text("#trades") == str(status["trades"])
    assert page.count("#order-rows td.buy, #order-rows td.sell") == len(status["open_orders"])
    assert page.count("#trade-rows tr") == status["trades"]
    assert page.text("#error-rows") == "none"
    assert page.count("#price-plot .level") >= 4
    assert page.count("#price-plot .level.buy") >= 1
    assert page.count("#price-plot .level.sell") >= 1
    assert page.count("#price-plot .fill.buy") == 2
    assert page.count("#price-plot .fill.sell") == 2
    for plot in ("pnl", "position"):
        drawn = page.run(f"document.querySelector('#{plot}-plot path.line').getBBox().width")
        assert drawn > 600
    assert page.complaints() == []


def test_it_updates_by_itself(page: Browser, bot: Bot, fake: FakeExchange) -> None:
    before = page.text("#price")
    path = page.run("document.querySelector('#price-plot path.line').getAttribute('d')")
    fake.book.move(fake.book.price + Decimal("0.37"))
    page.wait(lambda: page.text("#price") != before)
    page.wait(lambda: page.run("document.querySelector('#price-plot path.line').getAttribute('d')") != path)
    assert page.text("#price").split()[0] == str(fake.book.price).rstrip("0")
    assert page.complaints() == []


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_both_widths_and_both_themes(page: Browser, bot: Bot, width: int, dark: bool, tmp_path: Path) -> None:
    page.open_until(
        lambda: page.count("#price-plot path.line") == 1 and page.count("#trade-rows td.n"),
        f"http://127.0.0.1:{bot.port}/",
        width,
        dark=dark,
    )
    assert page.run("document.documentElement.scrollWidth") <= width
    ground = page.run("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)")
    text = page.run("getComputedStyle(document.documentElement).color.match(/\\d+/g).map(Number)")
    assert (sum(ground) < 3 * 60) is dark
    assert abs(sum(ground) - sum(text)) > 500
    cut_off = page.run(
        "[...document.querySelectorAll("
        "'h1, h2, .figure, .note, .badge, button, th, td, .state')].filter((e) =>"
        " e.offsetParent && (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0"
        " || e.getBoundingClientRect().right > innerWidth)).map((e) => e.outerHTML)"
    )
    assert cut_off == []
    for plot in ("price", "pnl", "position"):
        box = page.run(f"document.querySelector('#{plot}-plot svg').getBoundingClientRect().toJSON()")
        assert box["width"] > width * 0.8
        assert box["height"] >= 80
    assert page.complaints() == []


def test_ranges_and_the_crosshair(page: Browser) -> None:
    page.run("document.querySelectorAll('.ranges button')[0].click()")
    assert page.run("document.querySelectorAll('.ranges button')[0].ariaPressed") == "true"
    box = page.run("document.querySelector('#price-plot svg').getBoundingClientRect().toJSON()")
    page.run(
        "document.querySelector('#price-plot').dispatchEvent("
        "new PointerEvent('pointermove', { bubbles: true, clientX: arguments[0], clientY: arguments[1] }))",
        box["x"] + box["width"] / 2,
        box["y"] + 50,
    )
    assert page.count(".hover .tip-text") == 3
    assert page.complaints() == []


def test_the_controls_need_the_token(page: Browser, bot: Bot) -> None:
    page.wait(lambda: page.run("!document.querySelector('#controls').hidden"))
    page.run("document.querySelector('#pause').click()")
    page.wait(lambda: page.text("#control-note") == "the token is wrong or missing")
    assert bot.status()["paused"] is False
    assert all("401" in complaint for complaint in page.complaints())

    page.run("document.querySelector('#token').value = arguments[0]", TOKEN)
    page.run("document.querySelector('#pause').click()")
    page.wait(lambda: page.text("#state-text") == "paused")
    page.wait(lambda: page.text("#order-rows") == "no open orders")
    assert bot.get("/health")[0] == 200
    page.run("document.querySelector('#pause').click()")
    page.wait(lambda: page.text("#state-text").startswith("trading"))
    page.wait(lambda: page.count("#order-rows tr") > 3)
    assert page.complaints() == []


def test_no_line_leads_over_a_time_without_data(page: Browser, bot: Bot) -> None:
    began = page.count("rect.gap")
    with closing(sqlite3.connect(bot.db, timeout=30)) as db, db:
        run, first = db.execute("SELECT run_id, min(at) FROM equity GROUP BY 1 ORDER BY 1 DESC").fetchone()
        earlier = [(first - 300 + 2 * each, run, 150.0, 0.0, -1.0, 0.0, 0.0) for each in range(10)]
        db.executemany("INSERT INTO equity VALUES (?, ?, ?, ?, ?, ?, ?)", earlier)
    page.wait(lambda: page.count("rect.gap") >= began + 3)
    for plot in ("price", "pnl", "position"):
        drawn = page.run(f"document.querySelector('#{plot}-plot path.line').getAttribute('d')")
        assert drawn.count("M") >= 2
    assert page.complaints() == []


def test_an_outage_is_said(page: Browser, bot: Bot, fake: FakeExchange) -> None:
    fake.faults.down = True
    page.wait(lambda: page.text("#state-text") == "exchange away")
    page.wait(lambda: "does not answer" in page.text("#banner"))
    page.wait(lambda: page.count("#error-rows li:not(.none)") >= 1)
    fake.faults.down = False
    page.wait(lambda: page.text("#state-text").startswith("trading"), within=40)
    assert page.run("document.querySelector('#banner').hidden") is True


def test_a_dead_bot_is_said(page: Browser, bot: Bot) -> None:
    """The last test: it ends the bot, by the page's own button."""
    page.run(
        "(() => { window.confirm = () => true; document.querySelector('#token').value = arguments[0]; })()",
        TOKEN,
    )
    page.run("document.querySelector('#token').value = arguments[0]", TOKEN)
    page.run("document.querySelector('button.danger').click()")
    assert bot.wait_end() == 0
    assert bot.query("SELECT count(*) FROM orders WHERE state IN ('new', 'open')") == [(0,)]
    page.wait(lambda: page.text("#state-text") == "no answer")
    assert "doesn't answer" in page.text("#banner")
