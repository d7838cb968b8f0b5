"""What the engine side refuses of a question by itself: the web side is not trusted."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from manager.web.engine_side import figures, verbs
from manager.web.engine_side.figures import DAY_S
from manager.web.protocol import Refusal

BEGUN_AT = 1_764_500_000.0
WOULD_BEGIN = 299
"""The status of a command that would be begun."""


class Backend:
    """What questions are answered from: one instance on paper, and commands that are never begun."""

    def __init__(self) -> None:
        self.asked_for: list[str] = []
        self.keys = {"known"}
        self.is_ending = True
        self.readers = SimpleNamespace(note=lambda: None)
        self.actions = SimpleNamespace(
            begun_at=BEGUN_AT, knows=self.keys.__contains__, begin=self._begin, note_refusal=self._note
        )
        self.snapshots = SimpleNamespace(latest=SimpleNamespace(fleet=None, rows=[]))
        self.tails = SimpleNamespace(after=lambda *_: SimpleNamespace(_asdict=dict))

    def _note(self, *_: object) -> None:
        pass

    def _begin(self, *_: object) -> None:
        raise Refusal(WOULD_BEGIN)

    def known_row(self, instance: str) -> Any:
        self.asked_for.append(instance)
        return SimpleNamespace(id=instance, is_live=False)

    def row(self, _instance: str) -> None:
        return None

    def is_fresh(self) -> bool:
        return True


@pytest.fixture(name="backend")
def _backend() -> Backend:
    return Backend()


def status(backend: Backend, verb: str, /, **params: Any) -> int:
    """Return with which status the question is refused; 200 for an answer."""
    question = json.dumps({"verb": verb, "language": "en", "params": params}).encode()
    answer = verbs.answer(backend, question)  # type: ignore[arg-type]
    return int(answer["refusal"]["status"]) if "refusal" in answer else 200


@pytest.mark.parametrize(
    ("key", "after_s", "expected"),
    [
        ("new", -60, 409),
        ("new", verbs.CLOCKS_S - 1, 409),  # the page's clock may be so much ahead
        ("new", verbs.CLOCKS_S + 1, WOULD_BEGIN),
        ("known", -60, WOULD_BEGIN),  # this very process has begun it, and answers with that
    ],
)
def test_what_a_process_before_may_have_begun_is_not_begun_once_more(
    backend: Backend, key: str, after_s: float, expected: int
) -> None:
    asked = {"instance": "bp_sol_01", "verb": "stop", "by": "anna", "key": key}
    assert status(backend, "act", **asked, asked_at=BEGUN_AT + after_s) == expected


@pytest.mark.parametrize("until", [5, ["8h"], {"a": 1}, "8" * 1000, True])
def test_a_time_of_another_type_is_refused_as_one_that_is_none(backend: Backend, until: object) -> None:
    assert status(backend, "act", instance="bp_sol_01", verb="snooze", by="anna", until=until) == 422


def test_logs_are_asked_for_of_so_many_instances_and_no_more(backend: Backend) -> None:
    names = [f"bot_{number}" for number in range(verbs.MOST_NAMED + 1)]
    assert status(backend, "logs", instances=names, after="") == 422
    assert backend.asked_for == []
    assert status(backend, "logs", instances=names[1:], after="") == 200


@pytest.mark.parametrize(("days", "most"), [(2, 2), (10**9, verbs.MAX_DAYS), (-5, 0)])
def test_no_more_days_are_read_than_are_kept(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, days: int, most: int
) -> None:
    asked: list[float] = []

    def of_history(_session: object, _instance: str, since: float, **_: object) -> None:
        asked.append(since)
        raise Refusal(404)

    vars(backend)["session"] = None
    monkeypatch.setattr(figures, "of_history", of_history)
    before = time.time()
    assert status(backend, "history", instance="bp_sol_01", days=days) == 404
    assert before - most * DAY_S <= asked[0] <= time.time() - most * DAY_S


def test_who_waits_for_events_does_not_hold_up_the_end(backend: Backend) -> None:
    def refuse(_last_id: str, _seconds: float) -> None:
        raise AssertionError("it waits")

    feed = SimpleNamespace(last_id="7", after=lambda _id: [], wait=refuse)
    vars(backend).update(feed=lambda: feed, note_reader=lambda: None)
    assert status(backend, "events", after="7", wait=20) == 200
    assert status(backend, "events", after="7", wait=0) == 200
    backend.is_ending = False
    assert status(backend, "events", after="7", wait=20) == 500, "it would wait"
