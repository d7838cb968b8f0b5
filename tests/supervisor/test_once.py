"""A question instead of a bot."""

import json
import sys

import pytest

from tests.supervisor.harness import Box

ANSWER = "print(json.dumps({'argv': sys.argv[1:], 'env': dict(os.environ)}))"


def ask(box: Box, code: str, once: str = "20") -> tuple[int, str, str]:
    (box.root / "ask.py").write_text(f"import json, os, sys, time\n{code}\n")
    box.set(once=once, bot_command=f"{sys.executable} -S {box.root}/ask.py")
    life = box.start("--symbol", "SOL")
    return life.wait(), life.stdout.decode(), life.stderr


def test_it_gets_the_bots_argv_and_credentials_and_leaves_nothing_behind(box: Box) -> None:
    (box.root / "secrets/env.json").write_text(json.dumps({"BACKPACK_KEY": "k"}))
    code, out, _err = ask(box, ANSWER)
    answer = json.loads(out)
    assert (code, answer["argv"], answer["env"]["BACKPACK_KEY"]) == (0, ["--symbol", "SOL"], "k")
    assert "BOTFLEET_REPORT" not in answer["env"], "the bot's last words are the bot's own"
    assert not any((box.root / "state").iterdir())
    assert not any((box.root / "logs").iterdir())


def test_it_can_be_asked_while_a_bot_holds_the_lock(box: Box) -> None:
    box.start()
    box.until("running")
    assert ask(box, "print('yes'); sys.exit(7)")[:2] == (7, "yes\n")
    assert box.state["state"] == "running"


def test_no_answer_in_time_ends_it(box: Box) -> None:
    code, _out, err = ask(box, "time.sleep(60)", once="0.3")
    assert (code, err) == (124, "no answer within 0.3 s\n")


@pytest.mark.parametrize("seconds", ["", "0", "soon", "1e9"])
def test_a_time_that_is_none_is_refused(box: Box, seconds: str) -> None:
    code, out, err = ask(box, ANSWER, once=seconds)
    assert (code, out) == (2, "")
    assert "BOTFLEET_ONCE: must be a number" in err


def test_what_keeps_it_from_being_started_is_said(box: Box) -> None:
    (box.root / "secrets/env.json").write_text("[]")
    assert "env.json: it is not a JSON object" in ask(box, ANSWER)[2]
    (box.root / "secrets/env.json").unlink()
    box.set(once="5", bot_command="/nowhere/program")
    life = box.start()
    assert life.wait() == 2
    assert life.stderr == "cannot start /nowhere/program: No such file or directory\n"
