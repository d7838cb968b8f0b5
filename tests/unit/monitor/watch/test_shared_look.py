"""What `watch` sees is given to the page of the same process, and the containers are listed once for both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.errors import EngineUnreachable
from manager.fleet.session import Session
from manager.monitor.top import snapshots
from manager.monitor.top.snapshots import SnapshotReader
from manager.monitor.watch import shared_look
from manager.monitor.watch.observer import FleetObserver
from manager.monitor.watch.shared_look import SharedLook
from tests.fakes.sandbox import Sandbox, a_sandbox

WITHIN_S = 60.0


class Both:
    """A `watch` and a page in one process. `lists`: the threads in which the containers were listed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.share = sandbox, SharedLook()
        self.observer = FleetObserver(Session(sandbox.folder), self.share)
        self.reader = SnapshotReader(Session(sandbox.folder), self.share)
        self.lists: list[str] = []

    def list(self, *given: Any) -> Any:
        self.lists.append(threading.current_thread().name)
        return type(self.sandbox.engine).containers(self.sandbox.engine, *given)

    def read(self) -> Any:
        """Read as the page does while `watch` goes on."""
        has_read = threading.Event()

        def watch() -> None:
            while not has_read.wait(0.01):
                self.observer.look_if_due()

        thread = threading.Thread(target=watch, name="watch")
        thread.start()
        try:
            return self.reader.read()
        finally:
            has_read.set()
            thread.join(WITHIN_S)


@pytest.fixture
def both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Both]:
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        monkeypatch.setattr(shared_look, "GOOD_FOR_S", 1e9)
        monkeypatch.setattr(snapshots, "ANSWER_WITHIN_S", WITHIN_S)
        new_both = Both(sandbox)
        monkeypatch.setattr(sandbox.engine, "containers", new_both.list)
        new_both.observer.look()
        new_both.observer.look_if_due()
        new_both.read()
        new_both.lists.clear()
        yield new_both
        new_both.reader.close()
        new_both.observer.close()


def test_the_page_lists_nothing_while_watch_looks(both: Both) -> None:
    assert both.read().views.keys() == {"bp_eth_02", "bp_sol_01"}
    both.sandbox.config("bp_new_03", 5003)
    assert "bp_new_03" in both.read().views
    assert both.lists
    assert set(both.lists) == {"watch"}


def test_a_change_is_told_to_the_page_at_once(both: Both) -> None:
    changes: list[None] = []
    both.share.on_change = lambda: changes.append(None)
    both.observer.look_if_due()
    assert not changes, "nothing has changed"
    both.sandbox.run("stop bp_eth_02")
    both.observer.wait(0)
    both.sandbox.clock.sleep(1)
    both.observer.look_if_due()
    assert changes


def test_a_watch_that_stands_still_keeps_nobody_from_seeing(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_look, "GOOD_FOR_S", -1.0)
    assert both.reader.read().views.keys() == {"bp_eth_02", "bp_sol_01"}
    assert both.lists == ["MainThread"]


def test_without_an_answer_the_page_looks_itself(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "ANSWER_WITHIN_S", 0.0)
    both.sandbox.config("bp_new_03", 5003)
    assert "bp_new_03" in both.reader.read().views
    assert both.lists == ["MainThread"]


def test_an_engine_that_goes_is_told_by_the_page_itself(both: Both) -> None:
    both.sandbox.engine.die()
    with pytest.raises(EngineUnreachable):
        both.read()
    assert both.observer.look() is False
    both.observer.look_if_due()
    assert both.share.latest() is None
    with pytest.raises(EngineUnreachable):
        both.read()


def test_settings_that_cannot_be_read_are_told_by_the_page(both: Both) -> None:
    (both.sandbox.folder / "config" / "fleet.toml").write_text("name = [")
    both.observer.look()
    both.observer.look_if_due()
    assert both.share.latest() is None


def test_what_watch_sees_ends_with_it(both: Both) -> None:
    assert both.share.latest() is not None
    both.observer.close()
    assert both.share.latest() is None
    assert both.share.ask(WITHIN_S) is None
