"""The bots' time zone is the test's, which only the environment knows."""

from __future__ import annotations

import pytest

from manager.monitor.logs import bots_zone


@pytest.fixture(autouse=True)
def bots_are_in_this_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bots_zone, "zone", lambda: None)
