import json
import os
import stat
from pathlib import Path

import pytest

from supervisor import files, state
from supervisor.reasons import Reason

FIELDS = {
    "schema",
    "instance",
    "container",
    "state",
    "why",
    "reason",
    "bot_pid",
    "anchor_pid",
    "bot_started_at",
    "supervisor_started_at",
    "updated_at",
    "updated_uptime",
    "health_interval",
    "health",
    "restarts",
    "last_exit",
    "cancel",
    "logs_dropped",
    "logs_over_limit",
}


def test_the_fields_are_the_contracts() -> None:
    readme = (Path(__file__).parents[3] / "docker/README.md").read_text()
    section = readme.partition("## What the supervisor tells")[2]
    sample = json.loads(section.split("```json")[1].split("```")[0])
    record = state.Record("bp_sol_01", "3f0c").as_json(1.0, 2.0)
    assert set(record) == set(sample) == FIELDS
    for part in ("health", "restarts", "logs_dropped", "logs_over_limit"):
        assert isinstance(record[part], dict)
        assert set(sample[part]) == set(json.loads(json.dumps(record[part])))


def test_save_and_load(tmp_path: Path) -> None:
    path = str(tmp_path / "supervisor.json")
    record = state.Record("bp_sol_01", "c" * 64)
    record.state, record.why = "failed", "exit code 1, \ud800 and ü"
    record.in_a_row, record.total, record.last_exit = 3, 7, {"code": 1}
    state.save(path, record, durable=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["supervisor.json"]
    old = state.load_terminal(path, "c" * 64)
    assert old is not None
    again = state.Record("bp_sol_01", "c" * 64)
    again.resume(old)
    assert (again.state, again.in_a_row, again.total, again.last_exit) == ("failed", 3, 7, {"code": 1})


@pytest.mark.parametrize(
    "word", ["starting", "running", "unhealthy", "restarting", "stopping", "stopped", "x", None]
)
def test_other_states_are_history(tmp_path: Path, word: str | None) -> None:
    path = tmp_path / "supervisor.json"
    path.write_text(json.dumps({"state": word, "container": "c"}))
    assert state.load_terminal(str(path), "c") is None


def test_another_containers_end_is_history(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.json"
    path.write_text(json.dumps({"state": "failed", "container": "c"}))
    assert state.load_terminal(str(path), "d") is None
    assert state.load_terminal(str(path), "c") is not None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100000, b"1" * 5000])
def test_rubbish_is_history(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "supervisor.json"
    path.write_bytes(content)
    assert state.load_terminal(str(path), "c") is None


CONTAINER = "c" * 64
REFUSED = {"ok": False, "ever_ok": True, "reason": {"params": {"status": 503}}}


def outage(tmp_path: Path, health: object, restarts: object) -> tuple[int, int, int] | None:
    path = tmp_path / "supervisor.json"
    content = {"container": CONTAINER, "state": "stopped", "health": health, "restarts": restarts}
    path.write_text(json.dumps(content))
    return state.load_outage(str(path), CONTAINER)


def test_a_start_that_was_ended_is_no_outage(tmp_path: Path) -> None:
    assert outage(tmp_path, REFUSED, {}) == (0, 0, 0)
    assert outage(tmp_path, {**REFUSED, "starting": False}, {}) == (0, 0, 0)
    assert outage(tmp_path, {**REFUSED, "starting": True}, {}) is None
    goes_on = {"in_a_row": 0, "since_healthy": 1}
    assert outage(tmp_path, {**REFUSED, "starting": True}, goes_on) == (0, 1, 0)


@pytest.mark.parametrize(
    "value",
    [pytest.param(-(10**400), id="low"), -1, pytest.param(10**400, id="high"), True, 1.0, None, "1", [1]],
)
def test_what_no_supervisor_has_counted_is_nothing(tmp_path: Path, value: object) -> None:
    counts = {"in_a_row": value, "since_healthy": value, "unanswered": value, "total": value}
    assert outage(tmp_path, REFUSED, counts) == (0, 0, 0)
    record = state.Record("bp_sol_01", CONTAINER)
    record.resume({"state": "failed", "restarts": counts})
    assert (record.in_a_row, record.total, record.since_healthy) == (0, 0, 0)


def test_what_is_nested_as_no_supervisor_does_is_history(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.json"
    deep: object = 1
    for _ in range(400):
        deep = {"cause": deep}
    path.write_text(json.dumps({"container": CONTAINER, "state": "failed", "reason": deep}))
    assert state.load_terminal(str(path), CONTAINER) is None


def test_a_failed_save_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(OSError, match="No space"):
        files.replace(str(path), b"new", durable=True)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_reading_waits_for_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        files.read_small(str(tmp_path / "fifo"))
    (tmp_path / "large").write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="larger than 100 bytes"):
        files.read_small(str(tmp_path / "large"), 100)
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@pytest.mark.parametrize(
    ("word", "why", "line"),
    [
        ("running", None, "ok 81234\n"),
        ("completed", "exit code 0", "ok 81234\n"),
        ("starting", None, "bad 81234 starting\n"),
        ("unhealthy", "503", "bad 81234 unhealthy: 503\n"),
        ("failed", "exit code 1\n\tline two", "bad 81234 failed: exit code 1 line two\n"),
        ("stopping", None, "bad 81234 stopping\n"),
        ("stopped", None, "bad 81234 stopped\n"),
        ("restarting", "SIGKILL", "bad 81234 restarting: SIGKILL\n"),
        (state.LOCKED, "held by x", "bad 81234 locked: held by x\n"),
    ],
)
def test_the_verdict(word: str, why: str | None, line: str) -> None:
    assert state.verdict(word, why, 81234.4) == line


def test_a_halted_instance_is_no_fault() -> None:
    record = state.Record("bp_sol_01", "c")
    record.enter("stopped", Reason("halted", by="halt", nonce="n"))
    assert record.is_halted
    assert state.verdict("stopped", "halted", 1, halted=True) == "ok 1\n"
    record.enter("stopped", Reason("killed"))
    assert not record.is_halted
