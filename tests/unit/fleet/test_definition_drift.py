"""How often a container is compared with its definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.engine import container_config, labels
from manager.fleet import definition_drift
from manager.fleet.session import Session
from tests.builders import FLEET_NAME
from tests.fakes.sandbox import a_sandbox


def test_what_is_the_same_is_not_compared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compared: list[str] = []
    compare = container_config.were_relisted

    def counted(container: object, *others: object) -> list[str]:
        compared.append(container.instance)  # type: ignore[attr-defined]
        return compare(container, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(container_config, "were_relisted", counted)
    monkeypatch.setattr(definition_drift, "_compared", {})
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        session = Session(sandbox.folder)
        session.observe()
        compared.clear()
        assert not session.observe().plan_input.made
        assert not compared
        container = sandbox.engine.find(f"{FLEET_NAME}-bp_eth_02")
        container.labels = {**container.labels, labels.MODE: "live"}
        assert session.observe().plan_input.made == {"bp_eth_02": ("settings",)}
        assert compared == ["bp_eth_02"]
