"""One mapping of states, total."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from manager.fleet import display, supervisor_state
from manager.fleet import status as statuses
from manager.fleet.supervisor_state import SupervisorState
from tests.builders import UPTIME, a_container, a_supervisor_file

ENGINE_STATES = ["created", "running", "paused", "restarting", "removing", "exited", "dead", "something new"]
SUPERVISOR_STATES = [
    "starting",
    "running",
    "unhealthy",
    "restarting",
    "failed",
    "completed",
    "stopping",
    "stopped",
    "new",
]


def a_supervisor_state(tmp_path: Path, state: str = "running", **changes: Any) -> SupervisorState:
    (tmp_path / "supervisor.json").write_text(json.dumps(a_supervisor_file(state, **changes)))
    supervisor = supervisor_state.read(tmp_path)
    assert supervisor is not None
    return supervisor


@pytest.mark.parametrize(
    ("engine", "word"), list(itertools.product(ENGINE_STATES, [*SUPERVISOR_STATES, None]))
)
def test_total(tmp_path: Path, engine: str, word: str | None) -> None:
    supervisor = None if word is None else a_supervisor_state(tmp_path, word)
    for configured in (True, False):
        status = statuses.derive_status(
            a_container(state=engine), supervisor, configured=configured, uptime=UPTIME
        )
        assert status.state in get_args(statuses.State)
        assert configured or status.state == "orphan"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("starting", "starting"),
        ("running", "running"),
        ("unhealthy", "unhealthy"),
        ("restarting", "restarting"),
        ("failed", "failed"),
        ("completed", "completed"),
        ("stopping", "unhealthy"),
        ("stopped", "stopped"),
    ],
)
def test_a_running_container_is_what_its_supervisor_says(tmp_path: Path, word: str, expected: str) -> None:
    assert (
        statuses.derive_status(
            a_container(), a_supervisor_state(tmp_path, word), configured=True, uptime=UPTIME
        ).state
        == expected
    )


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("exited", "stopped"),
        ("created", "stopped"),
        ("paused", "unhealthy"),
        ("dead", "failed"),
        ("restarting", "restarting"),
    ],
)
def test_a_container_that_is_not_running_is_never_green(tmp_path: Path, engine: str, expected: str) -> None:
    status = statuses.derive_status(
        a_container(state=engine), a_supervisor_state(tmp_path), configured=True, uptime=UPTIME
    )
    assert status.state == expected


@pytest.mark.parametrize(
    ("engine", "word", "expected"),
    [
        ("created", None, "created"),
        ("paused", None, "paused"),
        ("removing", None, "removing"),
        ("dead", None, "dead"),
        ("running", "stopping", "stopping"),
        ("exited", None, ""),
        ("restarting", None, ""),
    ],
)
def test_a_more_specific_word_is_the_detail(
    tmp_path: Path, engine: str, word: str | None, expected: str
) -> None:
    supervisor = None if word is None else a_supervisor_state(tmp_path, word)
    container = a_container(state=engine)
    status = statuses.derive_status(container, supervisor, configured=True, uptime=UPTIME)
    assert status.detail == expected
    assert not expected or expected in display.STATE_WORDS
    orphan = statuses.derive_status(container, supervisor, configured=False, uptime=UPTIME)
    assert orphan.detail == (expected or orphan.underlying), "an orphan says at least the state it is in"


def test_a_silent_supervisor_is_unhealthy(tmp_path: Path) -> None:
    spoke = a_supervisor_state(tmp_path, updated_uptime=UPTIME - 96)
    status = statuses.derive_status(a_container(), spoke, configured=True, uptime=UPTIME)
    assert (status.state, status.detail) == ("unhealthy", "silent")
    assert str(status.why) == "its supervisor has not reported for 96 s"
    assert (
        statuses.derive_status(a_container(), spoke, configured=True, uptime=UPTIME - 10).state == "running"
    )


def test_words_of_another_container_or_another_boot_do_not_count(tmp_path: Path) -> None:
    other = a_supervisor_state(tmp_path, "failed", container="someone-else")
    assert statuses.derive_status(a_container(), other, configured=True, uptime=UPTIME).state == "running"
    before_boot = a_supervisor_state(tmp_path, "running", updated_uptime=UPTIME + 5000)
    assert (
        statuses.derive_status(a_container(), before_boot, configured=True, uptime=UPTIME).state == "running"
    )


def test_a_bot_in_a_container_that_is_not_its_own_is_shown_whatever_its_own_container_does(
    tmp_path: Path,
) -> None:
    for container in (None, a_container(), a_container(state="exited")):
        status = statuses.derive_status(
            container, None, configured=True, uptime=UPTIME, other_container="0123456789abcdef"
        )
        assert (status.state, status.detail) == ("unhealthy", "elsewhere")
        assert str(status.why) == "its bot runs in container 0123456789ab, which is not the instance's own"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Up 2 seconds", "starting"),
        ("Up 2 seconds (health: starting)", "starting"),
        ("Up 2 minutes (healthy)", "running"),
        ("Up 2 minutes (unhealthy)", "unhealthy"),
    ],
)
def test_without_a_state_file_the_engines_health_counts(status: str, expected: str) -> None:
    assert (
        statuses.derive_status(a_container(Status=status), None, configured=True, uptime=UPTIME).state
        == expected
    )


@pytest.mark.parametrize(
    ("status", "word", "age", "expected"),
    [
        ("Up Less than a second", "stopped", 0.4, "starting"),
        ("Up 1 second", "stopped", 1.5, "starting"),
        ("Up 4 seconds", "running", 5.5, "starting"),
        ("Up 4 seconds", "stopping", 9, "starting"),
        ("Up 4 seconds", "stopped", 3, "stopped"),
        ("Up 4 seconds", "running", 3.9, "running"),
        ("Up 2 minutes", "running", 9, "running"),
        ("Up About a minute", "stopped", 3, "stopped"),
    ],
)
def test_what_the_run_before_left_does_not_count_when_it_was_started_again(
    tmp_path: Path, status: str, word: str, age: float, expected: str
) -> None:
    left = a_supervisor_state(tmp_path, word, updated_uptime=UPTIME - age)
    derived = statuses.derive_status(a_container(Status=status), left, configured=True, uptime=UPTIME)
    assert derived.state == expected


@pytest.mark.parametrize("age", [0.2, 5.9, 29.0])
def test_a_halted_container_that_docker_started_is_not_starting(tmp_path: Path, age: float) -> None:
    """Its supervisor has written once, in its first second, and writes again in half a minute."""
    status = statuses.derive_status(
        a_container(Status=f"Up {int(age)} seconds"),
        a_supervisor_state(
            tmp_path, "stopped", bot_pid=None, reason={"code": "halted"}, updated_uptime=UPTIME - age
        ),
        configured=True,
        uptime=UPTIME + 0.5,
    )
    assert status.state == "stopped"


def test_missing() -> None:
    assert statuses.derive_status(None, None, configured=True, uptime=UPTIME).state == "missing"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"state": "running"}', "\0", '{"restarts": 1}'])
def test_a_broken_state_file_is_no_state(tmp_path: Path, content: str) -> None:
    (tmp_path / "supervisor.json").write_text(content)
    assert supervisor_state.read(tmp_path) is None


def test_only_its_own_container_tells_how_an_instance_has_ended(tmp_path: Path) -> None:
    failed = a_supervisor_state(tmp_path, "failed")
    own, other = a_container(state="exited"), a_container(state="exited", Id="f" * 64)
    assert statuses.all_ended({"bp_sol_01": own}, {"bp_sol_01": failed})["bp_sol_01"].state == "failed"
    assert statuses.all_ended({"bp_sol_01": other}, {"bp_sol_01": failed}) == {}
    assert statuses.all_ended({"bp_sol_01": own}, {"bp_sol_01": None}) == {}
