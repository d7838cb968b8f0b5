"""The instance's web page in a real browser: drawn, alive, readable at both widths in both themes, quiet."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains

from manager.util import bundle
from tests.bot.bots import RUN, Bot
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
LIBRARY = bundle.chart_library(RUN.parents[2])
PLOTS = ("price", "pnl", "position")
charts = pytest.mark.skipif(not LIBRARY.is_dir(), reason="needs uPlot: `make page` gets it")
INK = """((plot, name, from, to) => {
  const canvas = document.querySelector(`#${plot}-plot canvas`);
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const wanted = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
  probe.remove();
  const width = canvas.width - 80; // without the scale beside it
  const begin = Math.round(from * width);
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const ink = copy.getContext("2d", { willReadFrequently: true });
  ink.drawImage(canvas, 0, 0);
  const { data } = ink.getImageData(begin, 0, Math.round(to * width) - begin, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    const off = wanted.reduce((sum, part, index) => sum + Math.abs(part - data[at + index]), 0);
    if (data[at + 3] > 250 && off < 24) found += 1;
  }
  return found;
})(...arguments)"""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeExchange]:
    with FakeExchange() as served:
        yield served


@pytest.fixture(scope="module")
def bot(fake: FakeExchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A paper bot on the fake exchange's prices, with trades behind it; its files are as in the image."""
    folder = tmp_path_factory.mktemp("page")
    files = folder / "app"
    shutil.copytree(RUN.parent, files, ignore=shutil.ignore_patterns("__pycache__"))
    if LIBRARY.is_dir():
        shutil.copytree(LIBRARY, files / "gridbot" / "web" / "page" / "lib")
    env = {
        "GRIDBOT_MARKET": "live",
        "BACKPACK_API_URL": fake.url,
        "BOT_WEB_TOKEN": TOKEN,
        "BOTFLEET_INSTANCE": "bp_sol_01",
        "GRIDBOT_EXCHANGE_TIMEOUT": "1",
        "GRIDBOT_RATE_LIMIT_MS": "2",
        "GRIDBOT_OUT_OF_REACH": "2",
    }
    started = Bot(folder, MESH, env, is_forked=False, run=files / "run.py")
    started.wait_healthy(40)
    for number, price in enumerate(("147.9", "145.9", "148.1", "150.2"), 1):
        fake.book.move(Decimal(price))
        started.wait_for(lambda want=number: started.status().get("trades", 0) >= want)  # type: ignore[misc]
    yield started
    started.kill()


def is_drawn(page: Browser) -> bool:
    """Whether the charts, or the table without them, and the trades are there."""
    what = "#plots canvas" if LIBRARY.is_dir() else "#figures td"
    return page.count(what) >= 3 and page.count("#trade-rows td.n") > 0


def ink(page: Browser, plot: str, colour: str, begin: float = 0.0, end: float = 1.0) -> int:
    """Return how many pixels between two shares of a chart's width have this colour of the style sheet."""
    return int(page.run(INK, plot, colour, begin, end))


def cut_off(page: Browser) -> list[str]:
    """Return what is not wholly to be seen."""
    texts: list[str] = page.run(
        "[...document.querySelectorAll("
        "'h1, h2, .figure, .note, .badge, button, th, td, .state')].filter((e) =>"
        " e.offsetParent && (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0"
        " || e.getBoundingClientRect().right > innerWidth)).map((e) => e.outerHTML)"
    )
    return texts


@pytest.fixture
def page(browser: Browser, bot: Bot) -> Browser:
    browser.open_until(lambda: is_drawn(browser), f"http://127.0.0.1:{bot.port}/", 1280)
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
    assert page.complaints() == []


@charts
def test_the_charts_are_drawn(page: Browser) -> None:
    page.run("document.querySelectorAll('.ranges button')[0].click()")
    page.wait(lambda: ink(page, "price", "--accent") > 300)  # the line
    assert ink(page, "price", "--buy") >= 10  # what was bought and sold
    assert ink(page, "price", "--sell") >= 10
    for plot in ("pnl", "position"):  # at zero it is neither a gain nor a loss
        assert sum(ink(page, plot, colour) for colour in ("--buy", "--sell", "--quiet")) > 300
    assert page.complaints() == []


def test_it_updates_by_itself(page: Browser, bot: Bot, fake: FakeExchange) -> None:
    before = page.text("#price")
    picture = (
        "(document.querySelector('#price-plot canvas')?.toDataURL()"
        " ?? document.querySelector('#figures').innerText)"
    )
    drawn = page.run(picture)
    fake.book.move(fake.book.price + Decimal("0.37"))
    page.wait(lambda: page.text("#price") != before)
    page.wait(lambda: page.run(picture) != drawn)
    assert page.text("#price").split()[0] == str(fake.book.price).rstrip("0")
    assert page.complaints() == []


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_both_widths_and_both_themes(page: Browser, bot: Bot, width: int, dark: bool, tmp_path: Path) -> None:
    page.open_until(lambda: is_drawn(page), f"http://127.0.0.1:{bot.port}/", width, dark=dark)
    assert page.run("document.documentElement.scrollWidth") <= width
    ground = page.run("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)")
    text = page.run("getComputedStyle(document.documentElement).color.match(/\\d+/g).map(Number)")
    assert (sum(ground) < 3 * 60) is dark
    assert abs(sum(ground) - sum(text)) > 500
    assert cut_off(page) == []
    for plot in PLOTS if LIBRARY.is_dir() else ():
        box = page.run(f"document.querySelector('#{plot}-plot canvas').getBoundingClientRect().toJSON()")
        assert box["width"] > width * 0.8
        assert box["height"] >= 80
    assert page.complaints() == []


@charts
def test_the_charts_follow_the_systems_colours(page: Browser) -> None:
    page.wait(lambda: ink(page, "price", "--accent") > 100)
    for scheme in ("dark", "light"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        page.wait(lambda: ink(page, "price", "--accent") > 100)


@charts
def test_ranges_and_the_values_under_the_pointer(page: Browser) -> None:
    page.run("document.querySelectorAll('.ranges button')[0].click()")
    assert page.run("document.querySelectorAll('.ranges button')[0].ariaPressed") == "true"

    def values() -> list[str]:
        over = page.driver.find_element("css selector", "#price-plot .u-over")
        ActionChains(page.driver).move_to_element_with_offset(over, 100, 0).perform()
        return [page.text(f"#{plot}-plot .u-legend") for plot in PLOTS]

    page.wait(lambda: "Price1" in values()[0])
    price, pnl, position = values()
    assert "lowest1" in price
    assert "–" not in pnl.replace("P&L", "")
    assert "0" in position
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


@charts
def test_no_line_leads_over_a_time_without_data(page: Browser, bot: Bot) -> None:
    with closing(sqlite3.connect(bot.db, timeout=30)) as db, db:
        run, first = db.execute("SELECT run_id, min(at) FROM equity GROUP BY 1 ORDER BY 1 DESC").fetchone()
        earlier = [(first - 3000 + 2 * number, run, 150.0, 0.05, -1.0, 0.0, 0.0) for number in range(200)]
        db.executemany("INSERT INTO equity VALUES (?, ?, ?, ?, ?, ?, ?)", earlier)
    page.run("document.querySelectorAll('.ranges button')[1].click()")
    page.wait(lambda: ink(page, "pnl", "--sell", 0.01, 0.1) > 20)
    lines = {"price": ["--accent"], "pnl": ["--sell", "--buy"], "position": ["--sell", "--buy"]}
    for plot, colours in lines.items():
        assert sum(ink(page, plot, colour, 0.3, 0.7) for colour in colours) == 0, plot
    assert ink(page, "price", "--accent", 0.0, 0.1) > 20
    assert page.complaints() == []


def test_without_the_library_the_figures_are_a_table(
    browser: Browser, fake: FakeExchange, tmp_path: Path
) -> None:
    """A checkout's bot has none: the image's build adds it."""
    env = {"GRIDBOT_MARKET": "live", "BACKPACK_API_URL": fake.url, "GRIDBOT_RATE_LIMIT_MS": "2"}
    bare = Bot(tmp_path, MESH, env)
    try:
        bare.wait_healthy()
        with closing(sqlite3.connect(bare.db, timeout=30)) as db, db:  # the longest that a table has to hold
            run, first = db.execute("SELECT run_id, min(at) FROM equity").fetchone()
            db.execute(
                "INSERT INTO equity VALUES (?, ?, ?, ?, ?, ?, ?)",
                (first - 600, run, 150.25, -123.4567, -12345.67, 0, 0),
            )
        for width in (1280, 400):
            browser.open_until(
                lambda: browser.count("#figures tbody tr") > 1, f"http://127.0.0.1:{bare.port}/", width
            )
            assert "library is not in this bot's image: `make page`" in browser.text("#figures .why")
            assert browser.text("#figures th") == "Time"
            assert str(fake.book.price).rstrip("0") in browser.text("#figures tbody tr")
            assert browser.run("document.documentElement.scrollWidth") <= width
            assert cut_off(browser) == []
            assert browser.complaints() == []
    finally:
        bare.kill()


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
