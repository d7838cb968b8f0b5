"""What the image's program finds before live trading is told in the reader's language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gridbot.trading.preflight import KEYS_REFUSED
from manager import i18n
from manager.fleet import preflight_messages
from manager.fleet.preflight_messages import Line, line
from manager.i18n import quoted

ROOT = Path(__file__).parents[3]
BOT = ROOT / "docker" / "bot" / "gridbot"
CODE = re.compile(r'Check\(\s*f?"([a-z_{}]+)"')


def codes_of_the_bot() -> set[str]:
    sources = [
        BOT / "trading" / "preflight.py",
        BOT / "trading" / "limit_checks.py",
        BOT / "trading" / "share_checks.py",
        BOT / "trading" / "liquidation.py",
        BOT / "trading" / "moved_range.py",
        BOT / "cli" / "preflight.py",
    ]
    codes = {code for source in sources for code in CODE.findall(source.read_text())}
    return codes - {"clock_{side}"} | {"clock_behind", "clock_ahead", KEYS_REFUSED}


def test_every_code_of_the_bundled_bot_is_translated_and_documented() -> None:
    assert codes_of_the_bot() == preflight_messages.SENTENCES.keys()
    table = (ROOT / "docker" / "README.md").read_text()
    for code in preflight_messages.SENTENCES:
        assert f"`{code}`" in table, code


def test_a_code_is_told_with_its_parameters_and_its_remedy() -> None:
    raw = {
        "level": "fail",
        "code": "profit_below_fees",
        "params": {"gross": "0.013", "fees": "0.04", "net": "-0.027"},
        "text": "other words",
        "remedy": "other words",
    }
    told = line(raw)
    assert (told.level, told.code) == ("fail", "profit_below_fees")
    assert str(told.text) == "a grid earns 0.013 % and pays 0.04 % in fees: -0.027 % is left"
    assert str(told.remedy).startswith("set fewer levels")
    with i18n.speaking("zh_TW"):
        assert "0.013" in str(told.text)
        assert "grid" not in str(told.text)


def test_what_works_needs_no_remedy() -> None:
    params = {"price": "90", "percent": "37", "end": "144"}
    assert line({"level": "ok", "code": "liquidation", "params": params}).remedy is None
    assert line({"level": "warn", "code": "liquidation", "params": params}).remedy is not None


@pytest.mark.parametrize("raw", [{"code": "new_thing"}, {"code": "funds", "params": {"free": "1"}}])
def test_an_unknown_code_or_a_missing_parameter_is_told_in_the_programs_words(raw: dict[str, object]) -> None:
    told = line({**raw, "level": "warn", "text": "a \x1b[2Jthing", "remedy": "do it"})
    assert told == Line("warn", str(raw["code"]), quoted("a  [2Jthing"), quoted("do it"))


@pytest.mark.parametrize("raw", [{}, {"level": "bad", "code": "x"}, {"level": "ok"}, 1, []])
def test_what_is_no_check_is_refused(raw: object) -> None:
    with pytest.raises((LookupError, TypeError)):
        line(raw)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["symbol_missing", "levels_invalid", "of_tomorrow"])
def test_the_programs_own_words_are_a_quotation_in_another_language(code: str) -> None:
    words = "SOL_USDX is not listed"
    raw = {"level": "fail", "code": code, "params": {"error": words}, "text": words, "remedy": "look there"}
    told = line(raw)
    assert str(told.text) == words
    with i18n.speaking("zh-TW"):
        assert str(told.text) == f"「{words}」"
        assert (str(told.remedy) == "「look there」") is (code == "of_tomorrow")
