"""Slow is not gone: when a call is made again, and when the engine is given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from manager.engine import http_socket
from manager.engine.client import SLOW_TRIES, Engine
from manager.engine.http_socket import ApiError, NoAnswer, TooSlow
from manager.errors import EngineSlow, EngineUnreachable, NameTaken

SLOW, GONE, WELL = TooSlow("timed out"), NoAnswer("refused"), None
Answer = Exception | None


class Scripted:
    """An engine's answers in their order; after these it is well. What is made there stays made."""

    def __init__(self, calls: list[Answer], looks: list[Answer] | None = None) -> None:
        self.calls, self.looks = calls, looks or []
        self.made: list[str] = []
        self.waits: list[float] = []
        """How long each call and look would have waited."""

    def __call__(self, _path: str, method: str, api: str, *more: Any) -> Any:
        is_look = api == "/version"
        answers = self.looks if is_look else self.calls
        self.waits.append(more[-1])
        if not is_look:
            self.made.append(f"{method} {api}")
        if answers and (answer := answers.pop(0)) is not None:
            raise answer
        if api.endswith("/json"):
            return {
                "Id": "late",
                "State": {"Status": "created"},
                "Config": {"Labels": {"a": "b", "of": "image"}},
            }
        return {"Id": "new"}


@pytest.fixture
def engine_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Engine, Scripted]]:
    def make(calls: list[Answer], looks: list[Answer] | None = None) -> tuple[Engine, Scripted]:
        script = Scripted(calls, looks)
        monkeypatch.setattr(http_socket, "call", script)
        return Engine(), script

    return make


def test_a_start_goes_on_while_looks_are_late_too_because_its_bot_is_down(
    engine_with: Callable[..., tuple[Engine, Scripted]],
) -> None:
    """A restart of many under load once ended with “start the engine”, and left bots down."""
    engine, script = engine_with([SLOW] * (SLOW_TRIES - 1), [SLOW] * (SLOW_TRIES - 1))
    told: list[str] = []
    engine.patience.go_on(lambda text: told.append(str(text)))
    engine.start("a")
    assert len(script.made) == SLOW_TRIES
    assert len(told) == 1, "it is not said for every call"
    assert "is slow" in told[0]
    assert "it is asked again" in told[0]


def test_what_is_slow_to_the_end_is_called_slow_and_what_refuses_is_gone_at_once(
    engine_with: Callable[..., tuple[Engine, Scripted]],
) -> None:
    engine, _script = engine_with([SLOW] * 99)
    with pytest.raises(EngineSlow, match="is slow"):
        engine.start("a")
    engine, script = engine_with([SLOW] * 99, [GONE])
    with pytest.raises(EngineUnreachable, match="no Docker Engine answers"):
        engine.start("a")
    assert len(script.made) == 1


@pytest.mark.parametrize("call", [lambda engine: engine.info(), lambda engine: engine.stop("a", 10)])
def test_a_list_or_a_stop_is_given_up_when_the_looks_in_between_are_late_too(
    engine_with: Callable[..., tuple[Engine, Scripted]], call: Callable[[Engine], None]
) -> None:
    engine, script = engine_with([SLOW] * 99, [WELL, SLOW])
    with pytest.raises(EngineUnreachable, match="no Docker Engine answers"):
        call(engine)
    assert len(script.made) == 2, "who only reads is told soon"
    engine, script = engine_with([SLOW] * 99, [SLOW, WELL, SLOW, SLOW])
    engine.patience.go_on(lambda _text: None)
    with pytest.raises(EngineUnreachable, match="no Docker Engine answers"):
        call(engine)
    assert len(script.made) == 4


def test_a_container_that_was_made_too_late_is_ours_and_another_one_of_its_name_is_not(
    engine_with: Callable[..., tuple[Engine, Scripted]],
) -> None:
    taken = ApiError(409, "Conflict. The name is already in use by container x")
    engine, _script = engine_with([SLOW, SLOW, taken], [SLOW, SLOW])
    assert engine.create("desk-a", {"Labels": {"a": "b"}}) == "late"
    engine, _script = engine_with([SLOW, taken])
    with pytest.raises(NameTaken):
        engine.create("desk-a", {"Labels": {"a": "other"}})
    engine, _script = engine_with([taken])
    with pytest.raises(NameTaken):
        engine.create("desk-a", {"Labels": {"a": "b"}})


def test_a_command_that_changes_waits_longer_for_an_engine_that_is_late_and_lives(
    engine_with: Callable[..., tuple[Engine, Scripted]],
) -> None:
    """Each answer may take 40 s: a restart and a halt go on, and who only looks is told soon."""
    engine, script = engine_with([SLOW, SLOW], [SLOW, WELL])
    engine.patience.go_on(lambda _text: None)
    engine.info()
    engine.stop("a", 10)
    assert script.waits == [10, 5, 10, 45, 60, 60]
    engine, script = engine_with([SLOW, SLOW], [WELL])
    engine.info()
    engine.info()
    assert script.waits == [10, 5, 10, 5, 10, 10]


def test_an_engine_that_is_silent_is_not_said_to_need_a_start(
    engine_with: Callable[..., tuple[Engine, Scripted]],
) -> None:
    engine, _script = engine_with([SLOW], [SLOW])
    with pytest.raises(EngineUnreachable, match="it hangs, or is too busy: wait, or restart it"):
        engine.info()
    engine, _script = engine_with([GONE])
    with pytest.raises(EngineUnreachable, match="start that engine"):
        engine.info()


@pytest.mark.parametrize("call", [lambda engine: engine.info(), lambda engine: engine.create("a", {})])
def test_an_engine_that_died_meanwhile_is_said_to_need_one(
    engine_with: Callable[..., tuple[Engine, Scripted]], call: Callable[[Engine], None]
) -> None:
    """The look between two calls was refused, and the message said that the engine hangs: wait."""
    for looks in ([GONE], [SLOW, GONE]):
        engine, _script = engine_with([SLOW] * 99, list(looks))
        engine.patience.go_on(lambda _text: None)
        with pytest.raises(EngineUnreachable, match=r"refused\); start that engine"):
            call(engine)
    denied = NoAnswer("denied")
    denied.__cause__ = PermissionError(13, "denied")
    engine, _script = engine_with([SLOW], [denied])
    with pytest.raises(EngineUnreachable, match="permission denied for the Docker Engine"):
        call(engine)


def test_who_stops_waits_no_longer_for_a_stop_and_for_a_list_two_minutes(
    engine_with: Callable[..., tuple[Engine, Scripted]],
) -> None:
    """Where the engine answers looks and no list, a halt waited for 23 minutes, and for one stop for 25."""
    engine, script = engine_with([SLOW] * 99)
    engine.patience.go_on(lambda _text: None, is_stop=True)
    with pytest.raises(EngineSlow, match="is slow"):
        engine.info()
    assert script.waits[::2] == [10, 60, 120, 120, 120, 120]
    script.waits.clear()
    with pytest.raises(EngineSlow, match="is slow"):
        engine.stop("a", 10)
    assert script.waits == [60, 5] * SLOW_TRIES, "as long each time"
    engine, script = engine_with([SLOW] * 99)
    engine.patience.go_on(lambda _text: None)
    with pytest.raises(EngineSlow, match="is slow"):
        engine.info()
    assert script.waits[::2] == [10, 60, 120, 240, 480, 480], "who starts bots again goes on"
