"""docs/exchanges.md says what the code does: every row of its tables is tried."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gridbot.config import args
from gridbot.exchanges import venues, verification
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import ConfigError
from tests.bot.bots import GRID

PAGES = ("exchanges.md", "exchanges.zh-TW.md")
DOCS = Path(__file__).parents[2] / "docs"
CODE = re.compile(r"`([^`]+)`")


def rows(page: str, columns: int, table: int) -> list[list[str]]:
    """Return the rows of the `table`-th table with so many columns."""
    tables: list[list[list[str]]] = []
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            tables.append([])
        elif len(cells) == columns:
            tables[-1].append(cells)
    return [table[2:] for table in tables if table][table]


def market(base: str, quote: str, id_: str, settle: str = "", **more: str) -> dict[str, Any]:
    symbol = f"{base}/{quote}:{settle}" if settle else f"{base}/{quote}"
    return {"id": id_, "symbol": symbol, "base": base, "quote": quote, "contract": bool(settle), **more}


LISTED = {
    "backpack": [market("SOL", "USDC", "SOL_USDC"), market("SOL", "USDC", "SOL_USDC_PERP", "USDC")],
    "aster": [
        made
        for base in ("SOL", "BTC")
        for made in (
            market(base, "USDT", f"{base}USDT"),
            market(base, "USDT", f"{base}USDT", "USDT"),
        )
    ],
    "paradex": [market("BTC", "USD", "BTC-USD-PERP", "USDC")],
    "lighter": [market("BTC", "USDC", "1", "USDC"), market("ETH", "USDC", "2048")],
    "apex": [
        market("BTC", "USDT", "BTC-USDT", "USDT", id2="BTCUSDT"),
        market("BTC", "USDC", "BTC-USDC", "USDC", id2="BTCUSDC"),
    ],
}


@pytest.mark.parametrize("page", PAGES)
def test_what_is_verified(page: str) -> None:
    written = {(exchange, kind): cells for exchange, kind, *cells in rows(page, 5, 0)}
    table = verification.table()
    assert set(written) == {(exchange, kind) for exchange, kinds in table.items() for kind in kinds}
    for (exchange, kind), (kit, checked, unverified) in written.items():
        known = table[exchange][kind]
        assert (kit in ("green", "通過")) == known["kit"]
        assert checked == str(known["checked"])
        notes = [] if unverified == "–" else re.split("; |；", unverified)
        assert len(notes) == len(known["unverified"])
        if page == PAGES[0]:
            assert notes == known["unverified"]


# What tells which version of a repository's documents was read, in both pages, the table and the kits.
VERSIONS = {
    "elliottech/lighter-python": ("051d1ba", "b0f62b0"),
    "api-evangelist/lighter": ("74746a2",),
    "api-evangelist/backpack": ("2b58248",),
    "asterdex/api-docs": ("265e024", "2026-06-30"),
    "tradeparadex/paradex-docs": ("9b82a75", "2026-08-20"),
    "elliottech/lighter-go": ("17f2d60",),
    "elliottech/lighter-agent-kit": ("8ef74f0",),
}
CITATION = re.compile(r"github\.com/([\w-]+/[\w-]+)")
CITING = [
    path
    for folder in (DOCS.parent / "docker/bot/gridbot/exchanges", DOCS.parent / "tests/bot")
    for path in sorted(folder.rglob("*"))
    if path.suffix in (".py", ".toml", ".json") and CITATION.search(path.read_text(encoding="utf-8"))
    if path.name != "venues.py"  # it names where the library is from, and no document
]


@pytest.mark.parametrize("path", [*(DOCS / page for page in PAGES), *CITING], ids=lambda path: path.name)
def test_every_document_is_cited_with_its_commit_or_its_date(path: Path) -> None:
    """It is named within a line or two: what was read is that version, and no other."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        near = " ".join(lines[max(0, number - 1) : number + 3])
        for repository in CITATION.findall(line):
            if repository in VERSIONS:
                assert any(version in near for version in VERSIONS[repository]), (number + 1, line)


@pytest.mark.parametrize("page", PAGES)
def test_every_source_is_on_the_page(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for kinds in verification.table().values():
        for source in (source for known in kinds.values() for source in known["sources"]):
            named = [*CITATION.findall(source), *re.findall(r"at commit (\w+)", source)]
            assert named or "support.backpack.exchange" in source
            assert all(name in text for name in named)


@pytest.mark.parametrize("row", [row for page in PAGES for row in rows(page, 4, 0)], ids=" ".join)
def test_what_a_symbol_becomes(row: list[str]) -> None:
    exchange, written, kind, becomes = row
    symbols, [symbol] = CODE.findall(becomes), CODE.findall(written)
    if len(symbols) > 1:
        with pytest.raises(ConfigError, match=" or ".join(symbols)):
            venues.find_market(symbol, LISTED[exchange], perp=kind == "perp")
        return
    chosen = venues.find_market(symbol, LISTED[exchange], perp=kind == "perp")
    assert chosen is not None
    assert [chosen["symbol"]] == symbols
    assert chosen["contract"] == (kind == "perp")
    if not symbol.isdigit():  # an exchange's own number names no currency
        assert venues.currencies(exchange, symbol) == (chosen["base"], chosen["quote"])


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_is_listed_in_the_order_in_which_it_wins(page: str) -> None:
    listed = [(exchange, tuple(CODE.findall(names))) for exchange, names, _ in rows(page, 3, 1)]
    assert listed == [
        (exchange, names)
        for exchange, venue in venues.VENUES.items()
        for names in (*venue.keys.values(), *venue.optional.values())
    ]


@pytest.mark.parametrize("row", [row for page in PAGES for row in rows(page, 3, 2)], ids=" ".join)
def test_where_calls_go(row: list[str]) -> None:
    exchange, written, goes_to = row
    [text], [address] = CODE.findall(written), CODE.findall(goes_to)
    name, _, value = text.partition("=")
    settings = args.parse([exchange if word == "backpack" else word for word in GRID], {})
    api = CcxtExchange(settings, None, {name: value})._api
    assert api.implode_hostname(next(iter(api.urls["api"].values()))) == address


@pytest.mark.parametrize("exchange", venues.VENUES)
@pytest.mark.parametrize("other", venues.VENUES)
def test_nothing_goes_to_an_address_of_another_exchange(exchange: str, other: str) -> None:
    """Each has hosts for its kinds of market and for tests beside the one that is known here."""
    domain = ".".join(venues.VENUES[other].host.split(".")[-2:])
    settings = args.parse([exchange if word == "backpack" else word for word in GRID], {})
    own = CcxtExchange(settings, None, {})._api.urls["api"]
    for url in (
        f"https://{domain}",
        f"https://sapi.{domain}/v1",
        f"https://API.Testnet.{domain.upper()}:443/",
    ):
        if other != exchange:
            assert CcxtExchange(settings, None, {"BASE_URL": url})._api.urls["api"] == own
            with pytest.raises(ConfigError, match=f"_BASE_URL: is an address of {other}"):
                CcxtExchange(settings, None, {f"{exchange.upper()}_BASE_URL": url})


def test_every_address_of_an_exchange_is_on_the_host_that_was_set_once() -> None:
    settings = args.parse(["paradex" if word == "backpack" else word for word in GRID], {})
    urls = CcxtExchange(settings, None, {"PARADEX_BASE_URL": "https://proxy.example/x/v1/"})._api.urls["api"]
    assert set(urls.values()) == {"https://proxy.example/x/v1", "https://proxy.example/x/v2"}


@pytest.mark.parametrize("url", ["proxy.example", "ftp://proxy.example", "https://proxy.example/?a=1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="BACKPACK_BASE_URL: must"):
        CcxtExchange(args.parse(GRID, {}), None, {"BACKPACK_BASE_URL": url})
