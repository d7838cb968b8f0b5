"""When runs have ended of which no database says so, and why, in the reader's language."""

from __future__ import annotations

from decimal import Decimal

from gridbot.config import args
from gridbot.strategies import risk
from manager import i18n
from manager.monitor.history import run_ends
from manager.monitor.history.model import Run

LINE = "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --grid-lower 100 --grid-upper 140"


def test_only_the_present_run_has_no_end() -> None:
    runs = [Run(began, ended, "", "live") for began, ended in ((100.0, None), (200.0, 250.0), (300.0, None))]
    ended_runs = run_ends.with_ends([*runs, Run(400.0, None, "", "live")], 400.4, {300.0: 390.0})
    assert [run.ended for run in ended_runs] == [200.0, 250.0, 390.0, None]
    assert [run.ended for run in run_ends.with_ends(runs[2:], None, {})] == [300.0]
    assert [bool(run.why) for run in ended_runs] == [True, False, True, False]


def test_a_run_that_was_never_sampled_has_just_begun_and_an_end_keeps_its_reason() -> None:
    runs = [Run(100.0, None, "its own words", "live"), Run(200.0, None, "", "live")]
    first, second = run_ends.with_ends(runs, 100.0, {})
    assert (first.ended, second.ended) == (None, None), "it began after the one that was sampled last"
    assert run_ends.with_ends(runs, 100.0, {200.0: 210.0})[1].ended == 210.0
    assert run_ends.with_ends(runs, 200.0, {})[0] == Run(100.0, 200.0, "its own words", "live")


def test_each_end_of_the_bundled_bot_is_told_in_chinese() -> None:
    settings = args.parse(
        f"{LINE} --grid-num 5 --quantity 1 --stop-loss 5 --take-profit 5".split(), {"DB_PATH": "unused"}
    )
    conditions = [risk.pnl_limit_reached(settings, Decimal(pnl)) for pnl in (-6, 6)]
    conditions += [
        risk.range_left(Decimal(100), Decimal(140), Decimal(0), Decimal(price)) for price in (99, 141)
    ]
    for reason in [condition.reason for condition in conditions if condition is not None] + [
        "duration of 25 s is over",
        "superseded by a new run",
        "the position was closed",
        "stopped on the web page",
        "the replay is over",
    ]:
        assert reason is not None
        with i18n.speaking("zh-TW"):
            assert not run_ends.words(reason).isascii(), reason
    assert len([condition for condition in conditions if condition is not None]) == 4
    assert run_ends.words("a bot's own words") == "a bot's own words"
