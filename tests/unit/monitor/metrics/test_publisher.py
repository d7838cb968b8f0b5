"""How often what containers use is measured for the metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from manager.fleet.session import Session
from manager.monitor.metrics.publisher import MEASURE_EVERY_S, UNREAD_EVERY_S, Publisher
from manager.monitor.stats.usage import Sample, Usage
from manager.ops.requests.request_budget import Budgets
from tests.fakes.sandbox import a_sandbox


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many containers each measurement was."""
    measured: list[int] = []

    def measure(_sampler: object, ids: Iterable[str]) -> Mapping[str, Usage]:
        usages = {container: Usage(None, Sample(time.monotonic(), 1.0, 4096)) for container in ids}
        measured.append(len(usages))
        return usages

    monkeypatch.setattr("manager.monitor.stats.sampler.Sampler.measure", measure)
    return measured


def test_it_is_measured_when_it_is_due_and_more_often_for_somebody_who_reads_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measured: list[int],
) -> None:
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up bp_eth_02")
        session = Session(sandbox.folder)
        publisher = Publisher(session.project().fleet, lambda _container: {}, print)

        def publish() -> int:
            """Publish what is seen; return of how many containers usage is told."""
            snapshot = session.observe()
            publisher.publish(snapshot.project.fleet, snapshot.views, {}, Budgets())
            return len(publisher.usages)

        assert [publish(), publish()] == [1, 1]
        assert measured == [1]
        sandbox.run("up")
        assert [publish(), publish()] == [2, 2]
        assert measured == [1, 2], "one has come"
        sandbox.run("stop bp_eth_02")
        assert publish() == 1, "nothing is told of what runs no longer"
        sandbox.run("start bp_eth_02")
        assert publish() == 2
        assert measured == [1, 2, 2], "what it used before is not what it uses"
        sandbox.clock.sleep(UNREAD_EVERY_S - 1)
        publish()
        assert measured == [1, 2, 2]
        list(publisher.collect())
        publish()
        assert measured == [1, 2, 2, 2]
        sandbox.clock.sleep(MEASURE_EVERY_S)
        publish()
        assert measured == [1, 2, 2, 2, 2]
