"""What keeps a live instance back because its exchange's answers are not known well enough."""

from __future__ import annotations

from typing import Any

import pytest

from manager.config import bot_environment, verification
from manager.config.loaded import LoadedConfigs, LoadedFile
from manager.i18n import speaking
from tests.builders import a_fleet, a_spec

TABLE: verification.Table = {
    "backpack": {"perp": {"kit": True, "unverified": []}, "spot": {"kit": False, "unverified": []}},
    "lighter": {"perp": {"kit": True, "unverified": ["fees", "errors"]}},
}


def refusals(fleet_changes: dict[str, Any], **sections: Any) -> list[str]:
    fleet = a_fleet(**fleet_changes)
    loaded = LoadedConfigs((LoadedFile("config/active/a.json", a_spec("a", fleet=fleet, **sections)),))
    checked = verification.with_refusals(loaded, fleet, TABLE)
    return [str(problem) for problems in checked.refusals.values() for problem in problems]


LIGHTER: dict[str, Any] = {"metadata": {"exchange": "lighter", "symbol": "SOL"}, "mode": "live"}


def test_a_verified_exchange_is_traded() -> None:
    assert refusals({}, mode="live") == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"market_type": "spot", "strategy": "grid"},
        {"market_type": None, "strategy": "grid"},
        {"exchange": "lighter", "market_type": "spot", "strategy": "grid"},
    ],
)
def test_without_a_green_kit_there_is_no_live_trading(metadata: dict[str, Any]) -> None:
    [why] = refusals({"accept_unverified": True}, mode="live", metadata=metadata)
    exchange = metadata.get("exchange", "backpack")
    assert f"{exchange} spot cannot be traded live: its conformance kit is not green" in why


def test_what_is_unverified_needs_consent_and_the_line_to_write_is_given() -> None:
    [why] = refusals({}, **LIGHTER)
    assert why.startswith(
        "config/active/a.json: metadata.exchange: lighter perp is traded live only if you accept"
    )
    assert "(fees, errors)" in why
    assert why.endswith('accept_unverified = ["lighter"]')
    [why] = refusals({"accept_unverified": ("apex",)}, **LIGHTER)
    assert why.endswith('accept_unverified = ["apex", "lighter"]')


def test_the_line_is_the_same_for_all_so_that_none_overwrites_another() -> None:
    table = {**TABLE, "aster": {"perp": {"kit": True, "unverified": ["the signature of requests"]}}}
    fleet = a_fleet(accept_unverified=("apex",))
    aster: dict[str, Any] = {"metadata": {"exchange": "aster", "symbol": "SOLUSDT"}, "mode": "live"}
    files = tuple(
        LoadedFile(f"config/active/{name}.json", a_spec(name, fleet=fleet, **sections))
        for name, sections in (("a", LIGHTER), ("b", aster), ("c", {"mode": "live"}))
    )
    loaded = verification.with_refusals(LoadedConfigs(files), fleet, table)
    lines = {
        str(problem).rpartition(": ")[2] for problems in loaded.refusals.values() for problem in problems
    }
    assert lines == {'accept_unverified = ["apex", "aster", "lighter"]'}
    assert set(loaded.refusals) == {"a", "b"}
    accepted = a_fleet(accept_unverified=("apex", "aster", "lighter"))
    assert verification.with_refusals(LoadedConfigs(files), accepted, table).refusals == {}


@pytest.mark.parametrize("accepted", [True, ("lighter",)])
def test_consent_reaches_the_bot_and_no_other(accepted: Any) -> None:
    fleet = a_fleet(accept_unverified=accepted)
    assert refusals({"accept_unverified": accepted}, **LIGHTER) == []
    spec = a_spec("a", fleet=fleet, **LIGHTER)
    given = bot_environment.env_file_values(spec, fleet, {}, {})
    assert given[verification.CONSENT] == "lighter"
    assert verification.CONSENT not in spec.environment()
    paper = a_spec("c", fleet=fleet, **{**LIGHTER, "mode": "paper"})
    assert verification.CONSENT not in bot_environment.env_file_values(paper, fleet, {}, {})
    other = bot_environment.env_file_values(a_spec("b", mode="live", fleet=fleet), fleet, {}, {})
    assert other.get(verification.CONSENT) == ("backpack" if accepted is True else None)


def test_paper_and_bots_of_other_people_are_no_concern_of_it() -> None:
    assert refusals({}, metadata=LIGHTER["metadata"]) == []
    assert refusals({"image": "my-bot:1"}, **LIGHTER) == []


def test_the_bots_own_table_is_read() -> None:
    table = verification.read()
    assert set(table) == {"backpack", "aster", "paradex", "lighter", "apex"}


def test_who_accepts_what_is_unverified_reads_it_in_his_language() -> None:
    table = verification.read()
    unverified = {
        name for kinds in table.values() for known in kinds.values() for name in known["unverified"]
    }
    assert unverified == set(verification.UNVERIFIED)
    fleet = a_fleet()
    spec = a_spec("a", fleet=fleet, **LIGHTER)
    loaded = LoadedConfigs((LoadedFile("config/active/a.json", spec),))
    with speaking("zh-TW"):
        [[problem]] = verification.with_refusals(loaded, fleet).refusals.values()
        assert "（請求的簽章，成交手續費的單位，錯誤代碼，" in str(problem)
