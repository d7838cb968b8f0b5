"""When the report is replaced: whoever is killed has left none from before its last trade."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gridbot.runtime.report_file import ReportFile


def test_a_trade_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    file = ReportFile(path)
    report: dict[str, Any] = {"final": False, "condition": {"code": "trading"}, "trades": 0, "position": "0"}

    def kept(**changes: Any) -> dict[str, Any]:
        file.update({**report, **changes})
        return dict(json.loads(path.read_text()))

    assert kept(price="1")["price"] == "1"
    assert kept(price="2")["price"] == "1", "a price alone waits for its minute"
    assert kept(price="3", trades=1, position="0.1")["price"] == "3"
    assert kept(price="4", trades=2, position="0.1")["price"] == "4"
    assert kept(price="5", trades=2, position="0.1")["price"] == "4"
    assert kept(price="6", trades=2, position="0.2")["price"] == "6", "one that the exchange alone knew of"
