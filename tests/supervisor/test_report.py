"""The bot's last report outlives it."""

import pytest

from tests.supervisor.harness import Box, eventually


def test_a_report_is_copied_while_the_bot_runs_and_outlives_its_stop(box: Box) -> None:
    box.bot(
        "on_term(lambda: (report(contract=2, final=True, open_orders_left=1), sys.exit(0)))\n"
        'report(contract=2, final=False, condition={"code": "trading"}); serve()'
    )
    life = box.start()
    eventually(lambda: box.report)
    assert box.report["report"]["condition"] == {"code": "trading"}
    assert box.report["run_ended"] is False
    assert "open_orders_left" not in box.report
    assert life.stop() == 0
    assert box.report["report"]["final"] is True
    assert (box.report["open_orders_left"], box.report["run_ended"]) == (1, True)


def test_the_last_report_of_a_bot_that_was_killed_stays_through_its_restarts(box: Box) -> None:
    box.bot(
        "first = not (HERE / 'began').exists()\n"
        "(HERE / 'began').touch()\n"
        "if first: report(contract=2, pnl='-5')\n"
        "serve()"
    )
    box.start()
    pid = box.until("running")["bot_pid"]
    eventually(lambda: box.report)
    box.kill(pid)
    box.until("running", total=1)
    assert box.report["report"]["pnl"] == "-5"
    assert box.report["previous_run"] is True


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("report(contract=2, final=True)", "exit_code"),
        ("report(open_orders_left=0)", "exit_code"),
        ("report(contract=2, final=False)", "no_report"),
        ("", "no_report"),
    ],
)
def test_an_end_without_a_last_word_is_completed_with_a_code_of_its_own(
    box: Box, code: str, reason: str
) -> None:
    box.bot(f"{code}\nsys.exit(0)")
    box.start()
    state = box.until("completed")
    assert state["reason"]["code"] == reason
    assert state["why"] == ("exit code 0" if reason == "exit_code" else "exit code 0 (no report)")
    assert state["last_exit"]["reason"] == {"code": "exit_code", "params": {"code": 0}}


@pytest.mark.parametrize("content", ["{not json", '"abc', "[1,]", "[" * 50_000, '{"at": 1e999'])
def test_a_report_that_is_no_json_costs_the_bot_nothing(box: Box, content: str) -> None:
    box.bot(
        "report(contract=2, pnl='-5')\ntime.sleep(0.5)\n"
        f"Path(os.environ['BOTFLEET_REPORT']).write_text({content!r})\nserve()"
    )
    box.start()
    pid = box.until("running")["bot_pid"]
    eventually(lambda: "cannot keep the bot's report" in box.daemon_log)
    assert box.until("running")["bot_pid"] == pid
    assert "fault in the supervisor" not in box.daemon_log
    assert box.report["report"]["pnl"] == "-5"
